"""Text from outside, made safe to show: a stream's name must not be able to drive the terminal."""

import unicodedata

_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_UNPRINTABLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Unicode categories of control, format (direction marks among them), surrogate, private and line-breaking
characters."""


def clean(text: str) -> str:
    """The text with no control, bidirectional or invisible character left in it."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(_UNKNOWN if unicodedata.category(c) in _UNPRINTABLE else c for c in composed)
