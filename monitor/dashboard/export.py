"""A picture of the dashboard as a file, for people who have not started it yet."""

import io
from pathlib import Path

from rich.console import Console, RenderableType


def save_svg(renderable: RenderableType, width: int, height: int, path: Path, title: str) -> None:
    """Writes ``renderable`` on ``width`` × ``height`` cells as SVG to ``path``, under ``title``."""
    console = Console(
        width=width, height=height, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(renderable, end="")
    path.write_text(console.export_svg(title=title), "utf-8")
