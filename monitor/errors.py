"""The one kind of failure that is a person's to mend; everything else is our own bug and crashes loudly."""


class UserError(Exception):
    """Something a person asked for cannot be done. The message is one line: what, where, what to write instead.

    The command line prints it without a traceback and ends with exit code 1.
    """


class UsageError(UserError):
    """The words of the command or of the configuration are wrong: exit code 2."""
