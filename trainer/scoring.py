"""Records scored after EC57: found, judged by the whole pipeline or read from annotation files, compared, summed up.

The pipeline is the one that runs live: its own R peaks, streaming, first lead, the verdicts it would publish. They are
compared as ``ecg-monitor annotate`` writes them, so that scoring what it wrote gives the same counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monitor.classifier import Classifier
from monitor.commands.annotate import judged, uri_of
from monitor.config import Settings
from monitor.detector import Detector
from monitor.errors import UserError
from monitor.events import Verdict
from monitor.network import Network
from monitor.sources import PUBLISHED, SourceRequest, stream_name
from monitor.stage import Chain
from replay import physionet
from replay.records import SUFFIXES
from trainer import ec57, ec57_runs
from trainer.annotations import CLASS_OF, Annotations, Convention, of_verdicts, read
from trainer.ec57 import BeatByBeat, Ints
from trainer.ec57_runs import Kind, RunByRun
from trainer.ec57_statistics import Estimate, Quotients, average, gross, quotients
from trainer.protocols import DS1, DS2, MITDB

GROUPS = {"ds1": DS1, "ds2": DS2, "mitdb": MITDB}
"""Names for many records of mitdb at once. Any other database's name stands for all of it that is on this machine."""

APART = "mitdb/232"
"""Has three quarters of DS2's S beats, so that it alone decides the figures for S; they are given without it too."""


@dataclass(frozen=True)
class Rules:
    """How to compare."""

    from_s: float = ec57.LEARNING_S
    """s of learning period at the beginning of a record."""
    convention: Convention = Convention.AAMI


LITERATURE = Rules(from_s=0.0, convention=Convention.LITERATURE)
"""Whole records, escapes as N: what is published on MIT-BIH is counted so."""


@dataclass(frozen=True)
class Where:
    """A record and where it lies."""

    name: str
    uri: str
    """Of the source that plays it."""
    path: Path
    """Without extension."""


@dataclass(frozen=True)
class Score:
    """One record."""

    record: str
    beats: BeatByBeat
    runs: dict[Kind, RunByRun]

    @property
    def confusion(self) -> Ints:
        """[7, 7], reference by test, in the order of ``ec57.LABELS``."""
        return self.beats.confusion


@dataclass(frozen=True)
class Summary:
    """Several records."""

    records: tuple[str, ...]
    confusion: Ints
    """[7, 7], added up."""
    each: Quotients = field(repr=False)
    """Name → counts [R] of the records, in their order."""
    gross: dict[str, Estimate]
    average: dict[str, Estimate]


def find(words: Sequence[str], settings: Settings) -> list[Where]:
    """The records that a person named, each once, in the order they were named; fetched from PhysioNet if need be.

    Raises:
        UserError: one of them is not there.
    """
    found: dict[str, Where] = {}
    for word in words:
        for where in _group(word, settings) or [locate(word, settings)]:
            found.setdefault(where.name, where)
    return list(found.values())


def locate(word: str, settings: Settings) -> Where:
    """One record, by its DATABASE/RECORD, path or ``replay:`` URI."""
    uri = uri_of(word)
    scheme, _, what = uri.partition(":")
    if scheme != "replay" or what == "demo":
        raise UserError(
            f"{word}: has no reference to score against; write DATABASE/RECORD or the path of a WFDB record"
        )
    if PUBLISHED.fullmatch(what):
        return Where(what, uri, physionet.locate(what, settings.data))
    path = Path(what).expanduser()
    path = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
    if not Path(f"{path}.hea").is_file():
        databases = ", ".join(dict.fromkeys((*GROUPS, "svdb")))
        raise UserError(f"{word}: no such record, there is no {path}.hea; write mitdb/208, a path, or {databases}")
    return Where(what, uri, path)


def _group(word: str, settings: Settings) -> list[Where]:
    if word in GROUPS:
        return [locate(f"mitdb/{record}", settings) for record in GROUPS[word]]
    if word not in settings.data.versions:
        return []
    here = {
        path.stem: Where(f"{word}/{path.stem}", f"replay:{word}/{path.stem}", path.with_suffix(""))
        for folder in reversed(physionet.folders(settings.data))
        for path in (folder / word).glob("*.hea")
        if path.with_suffix(".atr").is_file()
    }
    if not here:
        raise UserError(f"{word}: none of its records lies in {', '.join(map(str, physionet.folders(settings.data)))}")
    return [here[name] for name in sorted(here)]


def reference_of(where: Where, extension: str) -> Annotations:
    """What the experts say.

    Raises:
        UserError: they say nothing, or it cannot be read.
    """
    if not Path(f"{where.path}.{extension}").is_file():
        raise UserError(f"{where.name}: no reference, there is no {where.path}.{extension}; --ref-ext names another")
    reference = read(where.path, extension)
    if not any(mark.symbol in CLASS_OF[Convention.AAMI] for mark in reference.marks):
        raise UserError(
            f"{where.name}: no beats in its reference {where.path}.{extension}, so there is nothing to score"
        )
    return reference


def written(where: Where, folder: Path, extension: str) -> Annotations:
    """What an annotation file ``folder``/RECORD.``extension`` says, in the record's own samples.

    Raises:
        UserError: it is not there or cannot be read.
    """
    file = folder / Path(stream_name(where.uri)).name
    if not Path(f"{file}.{extension}").is_file():
        raise UserError(
            f"{where.name}: no annotations, there is no {file}.{extension}; "
            f"`ecg-monitor annotate {where.name} --out {folder}` writes RECORD.ecgm, --ext names another extension"
        )
    return read(where.path, extension, file=file)


def verdicts(where: Where, network: Network, settings: Settings) -> list[Verdict]:
    """What the whole pipeline says of a record, on the CPU."""
    import torch

    core = Chain(Detector(settings), Classifier(settings, network, torch.device("cpu")))
    request = SourceRequest(uri=where.uri, stream=where.name, now=0.0)
    return [event for event in judged(request, core, settings) if isinstance(event, Verdict)]


def judge(where: Where, network: Network, settings: Settings, reference: Annotations) -> Annotations:
    """:func:`verdicts` at the rate and length of ``reference``."""
    return of_verdicts(verdicts(where, network, settings), reference.fs, reference.length)


def score(record: str, reference: Annotations, test: Annotations, rules: Rules) -> Score:
    """One record, compared beat by beat and run by run.

    Raises:
        UserError: nothing of the record is left after the learning period.
    """
    if rules.from_s * reference.fs >= reference.length:
        seconds = reference.length / reference.fs
        raise UserError(f"{record}: is over after {seconds:.0f} s, before --from {rules.from_s:g}; write --from 0")
    return Score(
        record,
        ec57.compare(reference, test, rules.convention, rules.from_s),
        ec57_runs.compare(reference, test, rules.convention, rules.from_s),
    )


def summarize(scores: Sequence[Score]) -> Summary:
    """Gross and average of one or more records, with intervals."""
    each = quotients([one.confusion for one in scores], [one.runs for one in scores])
    confusion: Ints = sum((one.confusion for one in scores[1:]), scores[0].confusion)
    return Summary(tuple(one.record for one in scores), confusion, each, gross(each), average(each))


def without(scores: Sequence[Score], record: str = APART) -> list[Score]:
    """The others, where ``record`` is among several; [] where nothing is to be left out."""
    rest = [one for one in scores if one.record != record]
    return rest if len(rest) < len(scores) else []
