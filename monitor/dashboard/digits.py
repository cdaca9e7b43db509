"""Large figures out of half blocks, to be read from across a room."""

_SHAPES = {
    "0": ("###", "# #", "# #", "# #", "###"),
    "1": (" # ", "## ", " # ", " # ", "###"),
    "2": ("###", "  #", "###", "#  ", "###"),
    "3": ("###", "  #", " ##", "  #", "###"),
    "4": ("# #", "# #", "###", "  #", "  #"),
    "5": ("###", "#  ", "###", "  #", "###"),
    "6": ("###", "#  ", "###", "# #", "###"),
    "7": ("###", "  #", "  #", "  #", "  #"),
    "8": ("###", "# #", "###", "# #", "###"),
    "9": ("###", "# #", "###", "  #", "###"),
    "-": ("   ", "   ", "###", "   ", "   "),
    " ": ("   ", "   ", "   ", "   ", "   "),
}
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def block(figure: str, scale: int = 1) -> list[str]:
    """``figure`` (digits, minus, space) as lines of equal width: 3 high at scale 1, 5 high at scale 2.

    A digit is 3 × ``scale`` cells wide, with ``scale`` cells between two.
    """
    pixels = [" ".join(_SHAPES[c][row] for c in figure) for row in range(5)]
    tall = ["".join(p * scale for p in line) for line in pixels for _ in range(scale)]
    if len(tall) % 2:
        tall.append(" " * len(tall[0]))
    pairs = zip(tall[::2], tall[1::2], strict=True)
    return ["".join(_HALVES[a == "#", b == "#"] for a, b in zip(up, down, strict=True)) for up, down in pairs]
