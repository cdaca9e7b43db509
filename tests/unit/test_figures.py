"""Figures: what they say is what was counted, the paper is true to its scale, colours can be told apart."""

import itertools
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import wfdb
from marks import annotations
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from monitor.checkpoint import save
from monitor.events import CLASSES, BeatClass, Level, Verdict
from monitor.network import Network
from trainer import figures, outcomes, paper
from trainer.cli import main
from trainer.outcomes import Example, compare, curve
from trainer.scoring import Where

FS = 360
LABELS = "NSVNV"
PEAKS = [1000, 1300, 1500, 2000, 2400]


def verdict(sample, label):
    shares = tuple(0.8 if c.value == label else 0.05 for c in CLASSES)
    return Verdict(
        stream="r",
        seq=0,
        sample=sample,
        label=BeatClass(label),
        probabilities=shares,
        rr=None,
        level=Level.GOOD,
        amplitude=1.0,
        p_likeness=0.9,
        p_amplitude=0.1,
    )


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Ten seconds with an R peak of 1 mV at each of PEAKS, and their reference."""
    folder = tmp_path_factory.mktemp("record")
    signal = np.zeros((3600, 1))
    signal[PEAKS, 0] = 1.0
    wfdb.wrsamp("r", FS, ["mV"], ["MLII"], signal, fmt=["16"], adc_gain=[200.0], baseline=[0], write_dir=str(folder))
    wfdb.wrann("r", "atr", np.array(PEAKS), list(LABELS), write_dir=str(folder))
    return folder / "r"


@pytest.fixture(scope="module")
def outcome(record):
    reference = annotations(" ".join(f"{n}{c}" for n, c in zip(PEAKS, LABELS, strict=True)), length=3600)
    found = [verdict(1003, "N"), verdict(1300, "N"), verdict(1500, "V"), verdict(2000, "N"), verdict(3000, "S")]
    return compare(Where("db/r", f"replay:{record}", record), reference, found)


LOG = {name: np.array([1.0, 0.5]) for name in ("train_loss", "loss", "N", "S", "V", "F", "Q")} | {
    "step": np.array([10.0, 20.0])
}


def test_every_figure_in_both_formats_and_twice_the_same(outcome, tmp_path):
    paths = figures.draw_all(LOG, [outcome], "title", tmp_path / "new")
    assert sorted(path.name for path in paths) == sorted(
        f"{name}.{kind}" for name in ("training", "confusion", "precision-recall", "errors") for kind in ("png", "svg")
    )
    again = figures.draw_all(LOG, [outcome], "title", tmp_path / "again")
    for one, two in zip(paths, again, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name


def test_the_cells_say_what_was_counted(outcome):
    figure = Figure()
    figures.draw_confusion(figure, outcome.confusion, "t")
    counts, rates = ({_cell(text): text.get_text() for text in axes.texts} for axes in figure.axes)
    n, s, v, missed, extra = 0, 1, 2, 5, 5
    assert (counts[n, n], counts[s, n], counts[v, v], counts[v, missed], counts[extra, s]) == ("2", "1", "1", "1", "1")
    assert (rates[n, n], rates[v, v], rates[v, missed], rates[extra, s]) == ("100.0", "50.0", "50.0", "100.0")
    assert (extra, missed) not in counts
    assert sum(int(word) for word in counts.values() if word != "·") == outcome.confusion.sum()
    assert {word for (row, _), word in rates.items() if row == 3} == {""}  # no F: no share


def _cell(text):
    x, y = text.get_position()
    return int(y), int(x)


def test_what_could_not_be_read_is_missed_or_extra():
    confusion = np.arange(49).reshape(7, 7)
    folded = figures.folded(confusion)
    assert folded.shape == (6, 6)
    assert folded[2, 5] == confusion[2, 5] + confusion[2, 6]
    assert folded[5, 3] == confusion[5, 3] + confusion[6, 3]
    np.testing.assert_array_equal(folded[:5, :5], confusion[:5, :5])
    assert confusion[2, 5] == 19  # as it was


def test_the_operating_point_and_the_average_precision_are_drawn(outcome):
    figure = Figure()
    curves = {label: curve([outcome], k) for k, label in enumerate(CLASSES)}
    figures.draw_curves(figure, curves, "t")
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [word.split()[0] for word in legend] == ["N", "S", "V"]  # the classes that there are
    assert f"AP {curves[BeatClass.V].average_precision:.3f}" in legend[2]
    points = [line.get_xydata()[0].tolist() for line in figure.axes[0].lines if line.get_markersize() == 9]
    assert points == [list(curves[label].at) for label in CLASSES[:3]]
    assert curves[BeatClass.V].at == (0.5, 1.0)


def test_a_long_curve_is_thinned_but_ends_where_it_ends():
    rng = np.random.default_rng(0)
    right = rng.random(20_000) < 0.7
    hits = np.cumsum(right)
    one = outcomes.Curve(hits / np.arange(1, 20_001), hits / hits[-1], 0.7, (0.5, 0.7), int(hits[-1]))
    x, y = figures.thinned(one)
    assert len(x) < 600
    assert (x[0], x[-1], y[-1]) == (0.0, 1.0, one.precision[-1])


def test_a_log_without_patients_held_out():
    figure = Figure()
    figures.draw_training(figure, {name: LOG[name] for name in ("step", "train_loss")})
    assert len(figure.axes) == 1
    assert "no patients were held out" in figure.axes[0].get_title()
    figure = Figure()
    figures.draw_training(figure, LOG)
    assert len(figure.axes) == 2
    assert len(figure.axes[1].lines) == len(CLASSES)


# --- on paper ---------------------------------------------------------------------------------------------------


@pytest.fixture
def strip(outcome):
    """The page, and its one strip: the V at 2400 that was missed."""
    index = int(np.flatnonzero(outcome.reference == 2400)[0])
    figure = Figure(figsize=paper.size_inches())
    paper.draw(figure, [Example(outcome, index)], "t")
    return figure, figure.axes[0]


def test_the_paper_is_true_to_scale(strip):
    figure, axes = strip
    box, (width, height) = axes.get_position(), figure.get_size_inches() * 25.4
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    assert box.width * width / (x1 - x0) == pytest.approx(25.0)  # mm/s
    assert box.height * height / (y1 - y0) == pytest.approx(10.0)  # mm/mV
    upright, level = ([], [])
    for lines in axes.collections:
        (x, y), (x_end, y_end) = (np.array(lines.get_segments())[:, k].T for k in (0, 1))
        if (x == x_end).all() and len(x) > 1:  # a beat's tick is alone
            upright.append(np.diff(x) * 25)
        elif (y == y_end).all():
            level.append(np.diff(y) * 10)
    for fine, coarse in (upright, level):
        np.testing.assert_allclose(fine, 1.0)
        np.testing.assert_allclose(coarse, 5.0)


def test_the_signal_lies_under_its_r_peaks(strip):
    _, axes = strip
    trace = max(axes.lines, key=lambda line: len(line.get_xdata()))
    peaks = trace.get_xdata()[trace.get_ydata() > 0.9]
    np.testing.assert_allclose(peaks * FS, [1500 - 2400, 2000 - 2400, 0], atol=1e-6)
    letters = {(round(t.xy[0] * FS), t.xy[1]): t.get_text() for t in axes.texts}
    above = {at: letter for (at, side), letter in letters.items() if side == 1.0}
    below = {at: letter for (at, side), letter in letters.items() if side == 0.0}
    assert above == {-400: "N", 0: "V"}
    assert below == {-400: "N", 600: "S"}
    assert axes.get_title(loc="left").endswith("V, not found")


def test_each_kind_of_error_in_words(outcome):
    words = [paper.told(one) for one in outcomes.examples([outcome], 9)]
    assert any(re.search(r"db/r +0:00:03\.6 +S, judged N \(p 0\.80, of S 0\.05\)", word) for word in words)
    assert any(re.search(r"0:00:08\.3 +no beat, judged S \(p 0\.80\)", word) for word in words)


def test_the_misjudged_beat_is_not_cut():
    times = np.linspace(-2.5, 2.5, 1801)
    signal = np.where(np.abs(times) < 0.02, 1.5, 0.0)
    signal[100] = -9.0  # an artefact elsewhere draws the middle down
    middle = paper.middle_of(times, signal, 3.5)
    assert middle - 1.75 < 0.0
    assert middle + 1.75 > 1.5
    signal[50:60] = np.nan
    assert np.isfinite(paper.middle_of(times, signal, 3.5))
    assert paper.middle_of(times, np.full(1801, np.nan), 3.5) == 0.0


def test_a_beat_at_the_records_edge(outcome):
    edge = replace(outcome, reference=np.where(outcome.reference == 2400, 3599, outcome.reference))
    times, signal = paper.excerpt(edge.where.path, FS, 3599, 5.0)
    assert times[-1] == 0.0
    assert len(times) == len(signal) == 901


# Machado, Oliveira & Fernandes 2009 (10.1109/TVCG.2009.113), severity 1.
DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
PROTANOPIA = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


@pytest.mark.parametrize("eyes", [np.eye(3), DEUTERANOPIA, PROTANOPIA])
def test_classes_can_be_told_apart_by_any_eyes(eyes):
    """Differences in CIELAB; 2 can just be seen."""

    def lab(colour):
        rgb = np.array(to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        x, y, z = np.cbrt(XYZ @ np.clip(eyes @ linear, 0, 1) / (0.9505, 1.0, 1.089))
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    for a, b in itertools.combinations(CLASSES, 2):
        assert np.linalg.norm(lab(paper.COLOURS[a]) - lab(paper.COLOURS[b])) > 15, (a, b)


# --- the command ------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    save(tmp_path / "weights.safetensors", Network(), {"protocol": "p", "recipe": {"seed": 3}, "data_sha256": {}})
    (tmp_path / "log.csv").write_text("step,train_loss\n10.0,1.0\n")
    return tmp_path


def test_from_a_run_to_its_figures(run, record, capsys):
    assert main(["figures", str(run), "--records", str(record), "--out", str(run / "f")]) == 0
    told = capsys.readouterr().out.split()
    assert len(told) == 8
    for path in told:
        assert Path(path).stat().st_size > 1000


def test_records_that_were_learnt_from_are_told(run, record, monkeypatch):
    titles = []
    monkeypatch.setattr(figures, "draw_all", lambda log, found, title, out: titles.append(title) or [])
    words = ["figures", str(run), "--records", str(record), "--out", str(run / "f")]
    assert main(words) == 0
    origin = {"protocol": "p", "recipe": {"seed": 3}, "data_sha256": {str(record): "0"}}
    save(run / "weights.safetensors", Network(), origin)
    assert main(words) == 0
    assert titles == [f"p, seed 3; on {record}", f"p, seed 3; on {record}, 1 of them learnt from"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: (run / "log.csv").unlink(), "there is no log here"),
        (lambda run: (run / "log.csv").write_text("step,train_loss\n1,two\n"), "not a log of `ecg-train fit`"),
        (lambda run: (run / "log.csv").write_text("a,b\n1,2\n"), "it has no steps"),
        (lambda run: (run / "log.csv").write_text(""), "it has no steps"),
        (lambda run: (run / "weights.safetensors").unlink(), "there are no weights here"),
        (lambda run: (run / "f").write_text("a file"), "--out"),
    ],
)
def test_mistakes_are_one_line(run, record, capsys, change, words):
    change(run)
    assert main(["figures", str(run), "--records", str(record), "--out", str(run / "f")]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert words in told[-1]
    assert told[-1].startswith("ecg-train: ")


def test_without_matplotlib(run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["figures", str(run), "--out", str(run / "f")]) == 1
    assert capsys.readouterr().err == (
        "ecg-train: figures needs the package matplotlib; write `pip install 'ecg-monitor[figures]'`\n"
    )


def test_a_protocol_without_such_records(run, capsys):
    assert main(["figures", str(run), "--protocol", "everything", "--out", str(run / "f")]) == 1
    assert "everything has no records for it; between-patients," in capsys.readouterr().err
