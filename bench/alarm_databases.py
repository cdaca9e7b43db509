"""The alarms on each database, against its own kind of reference: for ``accuracy_alarms``."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.alarm_spells import (
    NEAR_S,
    Monitor,
    Spell,
    Told,
    active,
    near,
    reference_alarms,
    segments,
    ventricular,
)
from monitor import irregularity
from monitor.config import Settings
from monitor.events import FS, BeatClass, Priority
from replay import physionet
from trainer.protocols import MITDB
from trainer.references import Reference, load_reference


@dataclass
class Line:
    """One row of the table."""

    what: str
    figure: str
    floor: str
    goal: str


@dataclass
class Result:
    """Lines, and what is to be said about them."""

    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_CINC = {
    "Asystole": ("asystole",),
    "Bradycardia": ("extreme_brady",),
    "Tachycardia": ("extreme_tachy",),
    "Ventricular_Flutter_Fib": ("vf",),
    "Ventricular_Tachycardia": ("vt",),
}
_CINC_S = (290.0, 300.0)


def challenge2015(monitor: Monitor, settings: Settings) -> Result:
    """True and false alarms of intensive care: is ours there too?"""
    root = _folder("challenge2015", settings)
    counts: Counter[tuple[str, bool, bool]] = Counter()
    wrong: list[str] = []
    for line in (root / "ALARMS").read_text("utf-8").split():
        name, kind, truth = line.split(",")
        true = truth == "1"
        ours = any(s.kind in _CINC[kind] and active(s, *_CINC_S) for s in monitor(f"challenge2015/{name}").spells)
        counts[kind, true, ours] += 1
        if true != ours:
            wrong.append(f"{'missed' if true else 'false'} {name}")
    total = Counter((true, ours) for (_, true, ours), n in counts.items() for _ in range(n))
    tp, fn, fp, tn = total[True, True], total[True, False], total[False, True], total[False, False]
    score = 100 * (tp + tn) / (tp + tn + fp + 5 * fn)
    notes = [f"challenge2015: TP {tp}, FN {fn}, FP {fp}, TN {tn}; by kind TP/FN/FP/TN: " + "; ".join(
        f"{kind} {counts[kind, True, True]}/{counts[kind, True, False]}/{counts[kind, False, True]}/"
        f"{counts[kind, False, False]}" for kind in _CINC
    ), "challenge2015, " + ", ".join(sorted(wrong))]  # fmt: skip
    return Result([Line("challenge2015: score, ECG alone", f"{score:.1f}", "70", "78")], notes)


def cudb(monitor: Monitor, settings: Settings) -> Result:
    """Onsets of fibrillation. The database marks no tachycardia, but all beats: of the alarms outside of the marks it
    is said which stand in a rate that the rules call extreme on the reference's own beats."""
    hits: list[bool] = []
    false: list[str] = []
    fast: list[str] = []
    missed: list[str] = []
    hours = 0.0
    for name in _names("cudb", settings):
        told = monitor(f"cudb/{name}")
        reference = load_reference(physionet.locate(f"cudb/{name}", settings.data))
        marked = segments(reference, told.seconds)
        vf = [segment for segment in marked if segment[2] == "["]
        alarms = ventricular(told.spells)
        for a, _, _ in vf:
            hits.append(any(active(spell, a, a + 5.0) for spell in alarms))
            if not hits[-1]:
                missed.append(f"{name} at {a:.0f} s")
        hours += (told.seconds - sum(b - a for a, b, _ in vf)) / 3600
        outside = [s for s in alarms if not near(s, vf, "[")]
        false += [f"{name} {s.kind} at {s.raised:.0f} s" for s in outside]
        rates = [s for s in reference_alarms(reference, settings) if s.kind == "extreme_tachy"] if outside else []
        fast += [
            f"{name} at {s.raised:.0f} s"
            for s in outside
            if any(active(s, rate.onset, rate.over) or active(rate, s.onset, s.raised + NEAR_S) for rate in rates)
        ]
    rest = len(false) - len(fast)
    return Result(
        [
            Line("cudb: VF onsets alarmed within 5 s", f"{_share(hits)}", "90 %", "95 %"),
            Line("cudb: false VF/VT alarms an hour outside", f"{len(false) / hours:.1f} ({len(false)})", "1", "0.5"),
            Line("cudb: those without a tachycardia of the reference's beats", f"{rest / hours:.1f} ({rest})", "", ""),
        ],
        [f"cudb, missed: {', '.join(missed) or 'none'}; outside of the marks: {', '.join(false) or 'none'}",
         f"cudb, of those in a tachycardia of the reference's beats: {', '.join(fast) or 'none'}"],
    )  # fmt: skip


_VENTRICULAR = ("VT", "VF", "VFIB", "VFL", "[")
_TRUE_IN: dict[str, tuple[str, ...]] = {
    "vf": _VENTRICULAR,
    "vt": _VENTRICULAR,
    "asystole": ("ASYS", *_VENTRICULAR),
    "extreme_tachy": (*_VENTRICULAR, "SVTA", "AFIB"),
    "extreme_brady": ("ASYS", "NOD", "VER", "SBR"),
}
"""vfdb has no beats: in which of its rhythms an alarm is right."""


def vfdb(monitor: Monitor, settings: Settings) -> Result:
    """Episodes of ventricular tachyarrhythmia."""
    hits: list[bool] = []
    missed: list[str] = []
    false: list[tuple[str, Spell, str]] = []
    hours = 0.0
    for name in _names("vfdb", settings):
        told = monitor(f"vfdb/{name}")
        marked = segments(load_reference(physionet.locate(f"vfdb/{name}", settings.data)), told.seconds)
        hours += told.seconds / 3600
        alarms = ventricular(told.spells)
        for a, b, rhythm_name in marked:
            if rhythm_name in _VENTRICULAR and b - a >= 4.0:
                hits.append(any(active(spell, a, b + NEAR_S) for spell in alarms))
                if not hits[-1]:
                    missed.append(f"{name} {rhythm_name} at {a:.0f} s")
        others = [s for s in told.spells if s.priority is Priority.HIGH and s.kind not in ("vt", "vf")]
        for spell in [*alarms, *others]:
            if not near(spell, marked, _TRUE_IN[spell.kind]):
                during = next((r for a, b, r in marked if a <= spell.raised < b), "unmarked")
                false.append((name, spell, during))
    by = Counter(f"{name} {spell.kind} in {during}" for name, spell, during in false)
    ectopic = sum(during == "HGEA" for _, _, during in false)
    return Result(
        [
            Line("vfdb: VF/VFL/VT episodes of 4 s and more alarmed", _share(hits), "80 %", "90 %"),
            Line("vfdb: false high-priority alarms an hour", f"{len(false) / hours:.1f} ({len(false)})", "2", "1"),
        ],
        [f"vfdb, missed: {', '.join(missed) or 'none'}; false ({ectopic} of them in marked high-grade ectopy): "
         + ", ".join(f"{n} × {what}" for what, n in by.most_common())],
    )  # fmt: skip


_RUNS = ("v_run", "v_rhythm", "vt", "vf")


def reference_runs(reference: Reference) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Runs of three and more V, and couplets: seconds of the first and the last beat. Fibrillation left out."""
    at = reference.samples / reference.fs
    runs: list[tuple[float, float]] = []
    couplets: list[tuple[float, float]] = []
    k = 0
    while k < len(at):
        n = 0
        while k + n < len(at) and reference.labels[k + n] is BeatClass.V:
            n += 1
        if n >= 2:
            first, last = float(at[k]), float(at[k + n - 1])
            if not any(a / reference.fs - 1 <= last and first <= b / reference.fs + 1 for a, b in reference.vf):
                (couplets if n == 2 else runs).append((first, last))
        k += max(n, 1)
    return runs, couplets


def mitdb(monitor: Monitor, settings: Settings) -> Result:
    """Runs, couplets, and false alarms of high priority."""
    found: dict[str, Counter[str]] = {"runs": Counter(), "couplets": Counter()}
    false: list[str] = []
    hours = 0.0
    for name in MITDB:
        told = monitor(f"mitdb/{name}")
        reference = load_reference(physionet.locate(f"mitdb/{name}", settings.data))
        hours += told.seconds / 3600
        runs, couplets = reference_runs(reference)
        vf = [(a / reference.fs, b / reference.fs) for a, b in reference.vf]
        ours: dict[str, list[tuple[float, float]]] = {"runs": [], "couplets": []}
        seen: set[float] = set()
        for spell in told.spells:
            if any(a - 1 <= spell.raised <= b + NEAR_S for a, b in vf):
                continue
            if spell.kind in _RUNS and spell.onset not in seen:  # a run that becomes a tachycardia is one
                seen.add(spell.onset)
                last = spell.beats[-1] / FS if spell.beats else min(spell.over, told.seconds)
                ours["runs"].append((spell.onset, max(last, spell.onset)))
            elif spell.kind == "couplet":
                ours["couplets"].append((spell.beats[0] / FS, spell.beats[-1] / FS))
        for what, truth in (("runs", runs), ("couplets", couplets)):
            mine = ours[what]
            found[what]["tp"] += sum(any(_overlap(a, b, what) for b in mine) for a in truth)
            found[what]["fn"] += sum(not any(_overlap(a, b, what) for b in mine) for a in truth)
            found[what]["right"] += sum(any(_overlap(a, b, what) for a in truth) for b in mine)
            found[what]["wrong"] += sum(not any(_overlap(a, b, what) for a in truth) for b in mine)
        false += _false_high(f"{name}", told, reference, settings)
    lines = []
    for what, floor, goal in (("runs", "85/80", "95/90"), ("couplets", "85/80", "90/90")):
        c = found[what]
        se, pp = 100 * c["tp"] / max(c["tp"] + c["fn"], 1), 100 * c["right"] / max(c["right"] + c["wrong"], 1)
        title = "V runs (≥ 3)" if what == "runs" else "couplets"
        lines.append(Line(f"mitdb: {title}, Se / +P", f"{se:.1f} / {pp:.1f} (of {c['tp'] + c['fn']})", floor, goal))
    lines.append(Line(f"mitdb: false high-priority alarms in {hours:.1f} h", str(len(false)), "6", "2"))
    return Result(lines, [f"mitdb, false high-priority: {', '.join(false) or 'none'}"])


def _overlap(a: tuple[float, float], b: tuple[float, float], what: str) -> bool:
    if what == "couplets":  # both beats are the same two
        return abs(a[0] - b[0]) <= 0.15 and abs(a[1] - b[1]) <= 0.15
    return a[0] - 0.15 <= b[1] and b[0] - 0.15 <= a[1]


def _false_high(name: str, told: Told, reference: Reference, settings: Settings) -> list[str]:
    """Alarms of high priority that the same rules do not raise on the reference's beats, nor its marks explain."""
    true = reference_alarms(reference, settings)
    marked = segments(reference, told.seconds)
    false = []
    for spell in told.spells:
        if spell.priority is not Priority.HIGH:
            continue
        kinds = ("vt", "vf") if spell.kind in ("vt", "vf") else (spell.kind,)
        if any(s.kind in kinds and s.raised - NEAR_S <= spell.over and spell.raised <= s.over + NEAR_S for s in true):
            continue
        if not (spell.kind in ("vt", "vf") and near(spell, marked, ("VT", "VFL", "["))):
            false.append(f"{name} {spell.kind} at {spell.raised:.0f} s")
    return false


def nstdb(monitor: Monitor, settings: Settings) -> Result:
    """Electrode motion as strong as the signal, and twice as strong."""
    false: list[str] = []
    hours = 0.0
    for name in ("118e00", "118e_6", "119e00", "119e_6"):
        told = monitor(f"nstdb/{name}")
        hours += told.seconds / 3600
        false += _false_high(name, told, load_reference(physionet.locate(f"nstdb/{name}", settings.data)), settings)
    figure = f"{len(false) / hours:.1f} ({len(false)})"
    return Result(
        [Line("nstdb at 0 and −6 dB: false high-priority alarms an hour", figure, "1", "0")],
        [f"nstdb, false high-priority: {', '.join(false) or 'none'}"],
    )


_STRIP_S = 30.0


def challenge2017(monitor: Monitor, settings: Settings) -> Result:
    """AF on short strips, judged by the AF rule's measure on all beats that there are."""
    counts: Counter[tuple[str, bool]] = Counter()
    folder = _folder("challenge2017", settings)
    for line in (folder / "REFERENCE.csv").read_text("utf-8").split():
        name, truth = line.split(",")
        told = monitor(f"challenge2017/{name}")
        if told.seconds < _STRIP_S - 0.5:
            continue
        p = irregularity.probability(told.verdicts, settings.alarms.af_weights)
        counts[truth, p is not None and p >= settings.alarms.af_from] += 1
    tp, fn = counts["A", True], counts["A", False]
    fp = sum(n for (truth, ours), n in counts.items() if ours and truth != "A")
    f1 = 2 * tp / max(2 * tp + fp + fn, 1)
    called = ", ".join(
        f"{truth} {counts[truth, True]} of {counts[truth, True] + counts[truth, False]}" for truth in "ANO~"
    )
    return Result(
        [Line("challenge2017: AF F1, strips of 30 s and more", f"{f1:.2f}", ".70", ".80")],
        [f"challenge2017, called AF: {called}"],
    )


def _folder(database: str, settings: Settings) -> Path:
    found = next((f / database for f in physionet.folders(settings.data) if (f / database).is_dir()), None)
    if found is None:
        raise SystemExit(f"{database}: in none of the folders of data.path")
    return found


def _names(database: str, settings: Settings) -> list[str]:
    """The records of a database that are here."""
    folders = [folder / database for folder in physionet.folders(settings.data)]
    return sorted({path.stem for folder in folders for path in folder.glob("*.hea")})


def _share(hits: list[bool]) -> str:
    return f"{100 * sum(hits) / max(len(hits), 1):.1f} % ({sum(hits)} of {len(hits)})"
