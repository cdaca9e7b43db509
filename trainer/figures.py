"""What people look at after a training, as PNG and SVG: how it went, what is taken for what, how sure it is of it, and
examples of its errors on ECG paper.

The verdicts are those of the pipeline run that ``evaluate`` scores (``outcomes``). Drawing is matplotlib's, without a
screen.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.errors import UserError
from monitor.events import CLASSES, BeatClass
from trainer import paper
from trainer.ec57 import Ints
from trainer.outcomes import Curve, Floats, Outcomes, curve, examples
from trainer.paper import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")

DPI = 150
"""Of the PNG: an A4 page fills a screen."""

_WIDTH, _HEIGHT = 10.0, 4.6
"""Inches, of a figure with two panels."""
_SQUARE = (6.6, 6.4)

_MARKERS = {BeatClass.N: "o", BeatClass.S: "s", BeatClass.V: "^", BeatClass.F: "D", BeatClass.Q: "v"}
_LINES: dict[BeatClass, Any] = {
    BeatClass.N: "-",
    BeatClass.S: "-",
    BeatClass.V: "-",
    BeatClass.F: (0, (5, 1.5)),
    BeatClass.Q: (0, (1.5, 1.2)),
}
"""With the colours, so that a class is known without them."""

_ISO_F1 = (0.2, 0.4, 0.6, 0.8, 0.9)
"""Curves of equal F1 behind precision and recall."""
_ISO_COLOUR = "#c8c8d0"
_STEPS = 500
"""Points of a drawn curve: more than the page has pixels are of no use."""

_DARK = 0.7
"""Shade from which on the figures in a cell are white: they are then easier to read than black ones."""

_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "svg.hashsalt": "ecg-monitor",  # the same file every time
}


def require() -> None:
    """Looks for matplotlib before the long run whose results it is to draw.

    Raises:
        UserError: it is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError("figures needs the package matplotlib; write `pip install 'ecg-monitor[figures]'`") from error


def read_log(path: Path) -> dict[str, Floats]:
    """Column → values, as ``fit`` writes them.

    Raises:
        UserError: it is not there, or is none.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        log = {name: np.array([float(row[name]) for row in rows]) for name in (rows[0] if rows else ())}
    except OSError as error:
        raise UserError(f"{path}: there is no log here; `ecg-train fit` writes one beside the weights") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: not a log of `ecg-train fit`: {error}") from error
    if not {"step", "train_loss"} <= log.keys():
        raise UserError(f"{path}: not a log of `ecg-train fit`: it has no steps with their loss")
    return log


def draw_all(log: dict[str, Floats], outcomes: Sequence[Outcomes], title: str, out: Path) -> list[Path]:
    """Every figure, in every format, in the folder ``out``; the paths.

    Raises:
        UserError: it cannot be written to.
    """
    require()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    confusion: Ints = np.sum([each.confusion for each in outcomes], axis=0)
    curves = {label: curve(outcomes, k) for k, label in enumerate(CLASSES)}
    chosen = examples(outcomes, paper.EXAMPLES)
    paths = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(_STYLE):
            panels = 2 if _judged(log) else 1
            training = Figure(figsize=(panels * _WIDTH / 2, _HEIGHT), layout="constrained")
            matrices = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
            recall = Figure(figsize=_SQUARE, layout="constrained")
            errors = Figure(figsize=paper.size_inches())
            draw_training(training, log)
            draw_confusion(matrices, confusion, title)
            draw_curves(recall, curves, title)
            paper.draw(errors, chosen, f"Examples of errors: {title}")
            named = {"training": training, "confusion": matrices, "precision-recall": recall, "errors": errors}
            for name, figure in named.items():
                for extension in FORMATS:
                    paths.append(out / f"{name}.{extension}")
                    # A date would make the same figure another file.
                    metadata = {"Date": None} if extension == "svg" else {}
                    figure.savefig(paths[-1], dpi=DPI, metadata=metadata)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}") from error
    return paths


def draw_training(figure: "Figure", log: dict[str, Floats]) -> None:
    """Loss, and F1 by class where patients were held out, over the steps."""
    steps, classes = log["step"], _judged(log)
    panels = figure.subplots(1, 2 if classes else 1, squeeze=False)[0]
    loss = panels[0]
    loss.plot(
        steps, log["train_loss"], "o-", color="#14141c", label="training, mean since the last report", markersize=4
    )
    if "loss" in log:
        loss.plot(steps, log["loss"], "s--", color=COLOURS[None], label="patients held out", markersize=4)
    loss.set(title="Loss", xlabel="step", ylabel="cross-entropy", xlim=(0, None), ylim=(0, None))
    loss.legend(frameon=False)
    if not classes:
        loss.set_title("Loss (no patients were held out)")
        return
    f1 = panels[1]
    for label in classes:
        style = {"color": COLOURS[label], "linestyle": _LINES[label], "marker": _MARKERS[label]}
        f1.plot(steps, log[label.value], label=label.value, markersize=4, **style)
    f1.set(title="F1 by class, patients held out, beats found", xlabel="step", xlim=(0, None), ylim=(0, 1.02))
    f1.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _judged(log: dict[str, Floats]) -> list[BeatClass]:
    """Classes of which the log has F1: none where no patients were held out."""
    return [label for label in CLASSES if label.value in log]


def draw_confusion(figure: "Figure", confusion: Ints, title: str) -> None:
    """Two heat maps of a [7, 7] confusion: counts, and shares of each row."""
    counts = folded(confusion)
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Counts span four orders of magnitude: shaded by their logarithm.
    shades = np.log1p(counts) / max(np.log1p(counts.max()), 1.0)
    left, right = figure.subplots(1, 2)
    _heat(left, shades, [[_grouped(n) for n in row] for row in counts], "Counts")
    percent = [
        [_percent(share) if total else "" for share in row]
        for row, total in zip(rates, counts.sum(axis=1), strict=True)
    ]
    _heat(right, rates, percent, "Share of the row, %")
    figure.suptitle(title, fontsize=10)


def folded(confusion: Ints) -> Ints:
    """[7, 7] → [6, 6]: whether nothing was there or nothing could be read makes no difference to a beat's class."""
    beats = len(CLASSES)
    out = confusion[: beats + 1, : beats + 1].copy()
    out[beats] += confusion[beats + 1, : beats + 1]
    out[:, beats] += confusion[: beats + 1, beats + 1]
    return out


def _grouped(count: int) -> str:
    """``44 237``; a dot where there is nothing."""
    return f"{count:,}".replace(",", "\u2009") if count else "·"


def _percent(share: float) -> str:
    """``97.3``; a dot where there is nothing."""
    return "·" if share == 0 else "<0.1" if share < 0.0005 else f"{100 * share:.1f}"


def _heat(axes: "Axes", shades: Floats, words: list[list[str]], title: str) -> None:
    names = [label.value for label in CLASSES]
    size = len(names) + 1
    shades[-1, -1] = np.nan  # neither there nor found: nobody counts that
    axes.pcolormesh(np.ma.masked_invalid(shades), cmap="Blues", vmin=0.0, vmax=1.0, edgecolors="white", linewidth=1.5)
    for row in range(size):
        for column in range(size):
            if row == column == size - 1:
                continue
            axes.text(
                column + 0.5,
                row + 0.5,
                words[row][column],
                ha="center",
                va="center",
                fontsize=9.5,
                fontweight="bold" if row == column else "normal",
                color="white" if shades[row, column] > _DARK else "#14141c",
            )
    ticks = np.arange(size) + 0.5
    axes.set_xticks(ticks, [*names, "missed"])
    axes.set_yticks(ticks, [*names, "extra"])
    axes.set(title=title, xlabel="verdict", ylabel="reference", xlim=(0, size), ylim=(size, 0), aspect="equal")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def draw_curves(figure: "Figure", curves: dict[BeatClass, Curve], title: str) -> None:
    """Precision over recall, one curve a class that there is, with the point at which the verdicts stand."""
    axes = figure.subplots()
    recall = np.linspace(0.01, 1.0, _STEPS)
    for f1 in _ISO_F1:
        there = recall > f1 / 2
        axes.plot(
            recall[there], f1 * recall[there] / (2 * recall[there] - f1), color=_ISO_COLOUR, linewidth=0.6, zorder=1
        )
        axes.annotate(
            f"F1 {f1:g}",
            (1.0, f1 / (2 - f1)),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=7,
            va="center",
            color="#8a8a94",
        )
    for label, one in curves.items():
        if one.beats == 0:
            continue
        x, y = thinned(one)
        colour = COLOURS[label]
        name = f"{label.value}   AP {one.average_precision:.3f}   n {_grouped(one.beats)}"
        axes.plot(x, y, color=colour, linestyle=_LINES[label], linewidth=1.6, zorder=2, clip_on=False)
        axes.plot(
            *one.at,
            marker=_MARKERS[label],
            color=colour,
            markersize=9,
            markeredgecolor="white",
            zorder=4,
            clip_on=False,
            linestyle="none",
        )
        axes.plot([], [], color=colour, linestyle=_LINES[label], linewidth=1.6, marker=_MARKERS[label], label=name)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (positive predictivity)", xlim=(0, 1), ylim=(0, 1.0))
    axes.set_aspect("equal")
    axes.set_title(title.replace("; ", "\n"), pad=12)  # what was trained, on what it is judged
    axes.legend(
        loc="lower left",
        framealpha=0.9,
        edgecolor="none",
        alignment="left",
        title="line: every threshold\nsymbol: the verdicts as given, the likeliest class",
        title_fontsize=8,
    )


def thinned(one: Curve) -> tuple[Floats, Floats]:
    """Recall and precision at no more than _STEPS recalls, at each the last and so the lowest threshold before more is
    recalled; they begin at recall 0."""
    at = np.round(one.recall * _STEPS)
    last = np.flatnonzero(np.append(np.diff(at) > 0, True)) if len(at) else np.zeros(0, dtype=np.int64)
    x, y = one.recall[last], one.precision[last]
    return np.concatenate(([0.0], x)), np.concatenate((y[:1] if len(y) else [0.0], y))
