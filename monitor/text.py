"""Text from outside, made safe to show."""

import unicodedata


def printable(text: str) -> str:
    """The text with every control character (escape sequences, line breaks, direction marks) shown as ``·``: a
    stream's name must not be able to drive the terminal."""
    return "".join("·" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else c for c in text)
