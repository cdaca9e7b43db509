"""The fixtures of ``daemons``, which tests also import from."""

from daemons import listen, start

__all__ = ["listen", "start"]
