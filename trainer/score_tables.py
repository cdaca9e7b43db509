"""Scores as tables for people; a pure function of what was counted."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from monitor.events import CLASSES
from monitor.text import clean
from trainer.ec57 import LABELS
from trainer.ec57_runs import Kind
from trainer.ec57_statistics import Estimate, record_values
from trainer.scoring import APART, Rules, Score, Summary

_RUNS = {"couplet": "couplets", "short_run": "runs of 3 to 5", "long_run": "longer runs"}


def report(scores: Sequence[Score], whole: Summary, apart: Summary | None, rules: Rules, source: str) -> RenderableType:
    """Everything, the sums first."""
    count = len(scores)
    of = f"{count} records" if count > 1 else clean(scores[0].record)
    lines: list[RenderableType] = [
        Text(f"{of}; {clean(source)}; from {rules.from_s:g} s; e and j as {rules.convention.value}"),
        _figures("beat by beat, gross" if count > 1 else "beat by beat", whole.gross),
    ]
    if apart is not None:
        lines.append(_figures(f"the same without {APART}", apart.gross))
    lines += [_runs(whole.gross), _confusion(whole)]
    if count > 1:
        lines.append(_records(scores, whole))
        lines.append(Text("a–b: 95 % of bootstrap draws over records", style="dim"))
    return Group(*lines)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        min_width=len(title),
    )
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def percent(value: float | None, digits: int = 2) -> str:
    """``97.31``; – where undefined."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _with_interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.value is None:
        return percent(estimate.value)
    low, high = (percent(end, 1).replace("100.0", "100") for end in (estimate.low, estimate.high))
    return f"{percent(estimate.value)} {low}–{high}"


def _figures(title: str, gross: dict[str, Estimate]) -> Table:
    table = _table(title, ("", "beats", "Se %", "+P %", "F1 %", "FPR %"))
    for key, name in {"qrs": "QRS", "veb": "VEB", "sveb": "SVEB", **{f"class.{c}": str(c) for c in CLASSES}}.items():
        rate = gross.get(f"{key}.false_positive_rate")
        table.add_row(
            name,
            str(gross[f"{key}.sensitivity"].below),
            *(_with_interval(gross[f"{key}.{figure}"]) for figure in ("sensitivity", "positive_predictivity", "f1")),
            "" if rate is None else percent(rate.value, 3),
            end_section=key == "sveb",
        )
    return table


def _runs(gross: dict[str, Estimate]) -> Table:
    table = _table("run by run, gross", ("", "runs", "Se %", "+P %"))
    for kind in Kind:
        for key, name in _RUNS.items():
            se, pp = (gross[f"runs.{kind}.{key}.{figure}"] for figure in ("sensitivity", "positive_predictivity"))
            table.add_row(f"{kind.value.upper()} {name}", str(se.below), _with_interval(se), _with_interval(pp))
    return table


def _confusion(whole: Summary) -> Table:
    table = _table("reference by test; O no beat, X unreadable", ("", *(label.lower() for label in LABELS)))
    for label, row in zip(LABELS, whole.confusion.tolist(), strict=True):
        none = len(CLASSES) if label in "OX" else len(LABELS)
        table.add_row(label, *(str(n) for n in row[:none]))
    return table


def _records(scores: Sequence[Score], whole: Summary) -> Table:
    columns = ("record", "beats", "Q Se", "Q +P", "V Se", "V +P", "S Se", "S +P", "RR ms")
    names = [f"{key}.{figure}" for key in ("qrs", "veb", "sveb") for figure in ("sensitivity", "positive_predictivity")]
    table = _table("record by record: QRS, VEB, SVEB, %; RR error", columns)
    for one, values in zip(scores, record_values(whole.each), strict=True):
        error = one.beats.rr_error_ms
        table.add_row(
            clean(one.record),
            str(int(one.confusion[: len(CLASSES)].sum())),
            *(percent(values[name]) for name in names),
            "–" if error is None else f"{error:.1f}",
            end_section=one is scores[-1],
        )
    beats = str(int(whole.confusion[: len(CLASSES)].sum()))
    table.add_row("gross", beats, *(percent(whole.gross[name].value) for name in names), "")
    table.add_row("average", "", *(percent(whole.average[name].value) for name in names), "")
    return table
