"""Records found, judged or read, scored, and told; a person's mistakes."""

import io
import json
import shutil

import numpy as np
import pytest
import wfdb
from marks import annotations
from rich.console import Console

from monitor.cli import main as cli
from monitor.config import load
from monitor.errors import UsageError, UserError
from trainer import scoring
from trainer.annotations import read
from trainer.score import as_json, main
from trainer.score_tables import percent, report
from trainer.scoring import LITERATURE, Rules, find, score, summarize, without


def written(folder, name, extension, text, fs=360):
    """An annotation file."""
    marks = annotations(text).marks
    wfdb.wrann(
        name,
        extension,
        np.array([mark.sample for mark in marks]),
        [mark.symbol for mark in marks],
        np.array([mark.subtype for mark in marks]),
        aux_note=[mark.note for mark in marks],
        fs=fs,
        write_dir=str(folder),
    )


REFERENCE = "400N 800V 1200j 1500~-1 1900~0 2000S 2400F 2700+(AFIB"
TEST = "405N 810V 1195N 2000N 2400V"


@pytest.fixture
def record(tmp_path):
    """A record ``r`` with a reference, and what a monitor said of it in ``out/r.ecgm``."""
    (tmp_path / "r.hea").write_text("r 1 360 36000\nr.dat 16 200 16 0 0 0 0 ECG\n")
    written(tmp_path, "r", "atr", REFERENCE)
    (tmp_path / "out").mkdir()
    written(tmp_path / "out", "r", "ecgm", TEST)
    return tmp_path / "r"


def told(capsys, *words):
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_annotation_files(record, capsys):
    out = told(capsys, record, "--annotations", record.parent / "out", "--from", "0")
    assert out["schema"] == "ecg-monitor/score/1"
    confusion = np.zeros((7, 7), dtype=int)
    for row, column in ((0, 0), (1, 0), (1, 0), (2, 2), (3, 2)):  # j is S here
        confusion[row, column] += 1
    assert out["gross"]["confusion"] == out["records"][0]["confusion"] == confusion.tolist()
    statistics = out["gross"]["statistics"]
    assert statistics["veb"]["positive_predictivity"] == {"value": 1.0, "low": None, "high": None, "of": [1, 1]}
    assert statistics["class"]["V"]["positive_predictivity"]["value"] == 0.5
    assert statistics["runs"]["veb"]["couplet"]["sensitivity"] == {
        "value": None,
        "low": None,
        "high": None,
        "of": [0, 0],
    }
    assert out["without_232"] is None
    literature = told(
        capsys, record, "--annotations", record.parent / "out", "--from", "0", "--convention", "literature"
    )
    assert literature["gross"]["confusion"][0][0] == 2  # and N there
    later = told(capsys, record, "--annotations", record.parent / "out", "--from", "5")
    assert later["gross"]["confusion"] == [[0] * 7, [1, *[0] * 6], [0] * 7, [0, 0, 1, *[0] * 4], *[[0] * 7] * 3]


def test_files_of_another_rate_and_extension(record, capsys):
    """The test's samples are at 250 Hz; its file says so."""
    text = " ".join(f"{round(int(word[:-1]) * 250 / 360)}{word[-1]}" for word in TEST.split())
    written(record.parent, "r", "other", text, fs=250)
    a = told(capsys, record, "--annotations", record.parent / "out", "--from", "0")
    b = told(capsys, record, "--annotations", record.parent, "--ext", "other", "--from", "0")
    assert a["gross"]["confusion"] == b["gross"]["confusion"]


def test_marks_are_read_as_they_are_written(record):
    found = read(record, "atr")
    assert (found.fs, found.length) == (360.0, 36000)
    assert found.marks == annotations(REFERENCE).marks


def test_the_default_is_ec57s(record):
    with pytest.raises(UserError, match=r"over after 100 s, before --from 300; write --from 0"):
        main([str(record), "--annotations", str(record.parent / "out")])


def test_the_table_has_what_the_json_has(record, capsys):
    assert main([str(record), "--annotations", str(record.parent / "out"), "--from", "0"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["VEB", "1", "100.00", "100.00", "100.00", "0.000"] in lines
    assert ["SVEB", "2", "0.00", "–", "0.00", "0.000"] in lines
    assert ["F", "0", "0", "1", "0", "0", "0", "0"] in lines


def several():
    one = score("mitdb/100", annotations("400N 800V 1200S"), annotations("400N 800V 1200S"), LITERATURE)
    two = score("mitdb/232", annotations("400S 800S 1200S"), annotations("400N 800N 1200S"), LITERATURE)
    three = score("mitdb/208", annotations("400N 800V"), annotations("400N 800N"), LITERATURE)
    return [one, two, three]


def test_with_and_without_232():
    scores = several()
    assert [one.record for one in without(scores)] == ["mitdb/100", "mitdb/208"]
    assert without(scores[:1]) == []
    assert without([scores[1]]) == []
    out = as_json(scores, summarize(scores), summarize(without(scores)), LITERATURE, "x")
    assert out["gross"]["statistics"]["sveb"]["sensitivity"]["of"] == [2, 4]
    assert out["without_232"]["gross"]["statistics"]["sveb"]["sensitivity"]["of"] == [1, 1]
    assert out["without_232"]["gross"]["records"] == 2
    assert out["average"]["statistics"]["veb"]["sensitivity"]["value"] == 0.5


@pytest.mark.parametrize("width", [80, 160])
def test_the_tables_fit(width):
    scores = several()
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(report(scores, summarize(scores), summarize(without(scores)), Rules(), "a\x1b[31m"))
    text = console.export_text()
    assert "…" not in text
    assert "without mitdb/232" in text
    assert "\x1b" not in text
    assert percent(None) == "–"


def test_groups(settings, data_dir):
    assert [where.name for where in find(["ds2", "mitdb/232"], settings)] == [f"mitdb/{r}" for r in scoring.DS2]
    assert len(find(["mitdb"], settings)) == 48
    svdb = find(["svdb"], settings)
    assert svdb[0].name == "svdb/800"
    assert all(where.path.with_suffix(".atr").is_file() for where in svdb)
    (one,) = find([str(data_dir / "mitdb" / "100.hea"), str(data_dir / "mitdb" / "100.hea")], settings)
    assert one.path == data_dir / "mitdb" / "100"


def test_a_reference_against_itself(settings, data_dir):
    """Real annotations of every kind: nothing is missed, nothing is extra, no run is broken."""
    (where,) = find(["mitdb/207"], settings)  # VF
    reference = scoring.reference_of(where, "atr")
    same = score(where.name, reference, reference, Rules())
    assert same.confusion.sum() == np.trace(same.confusion) > 1500
    for name, estimate in summarize([same]).gross.items():
        if not name.endswith("false_positive_rate"):
            assert estimate.value in (1.0, None), name


def test_the_pipeline_and_what_annotate_wrote(settings, data_dir, tmp_path, capsys):
    """One implementation: the same verdicts, live in memory or through files, on a record of another rate."""
    assert cli(["annotate", "svdb/800", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    by_file = told(capsys, "svdb/800", "--annotations", tmp_path)
    live = told(capsys, "svdb/800")
    assert live["records"] == by_file["records"]
    assert live["gross"]["statistics"]["qrs"]["sensitivity"]["value"] > 0.99


def test_evaluate_counts_the_same(settings, data_dir):
    from monitor.checkpoint import SHIPPED, load
    from trainer.evaluate import judge_record, scores, table

    one = judge_record("mitdb/119", load(SHIPPED)[0], settings)
    (where,) = find(["mitdb/119"], settings)
    reference = scoring.reference_of(where, "atr")
    assert one.confusion[:5].sum() == len([m for m in reference.marks if m.symbol in "NLRBejAaJSnVErF/fQ?"])
    gross = summarize([one]).gross
    assert scores(one.confusion)["V"][2] == gross["class.V.f1"].value
    assert f"{100 * gross['class.V.sensitivity'].value:.2f}" in table([one])


def mistake(*words):
    with pytest.raises(UserError) as caught:
        main([str(word) for word in words])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_such_record(record, tmp_path):
    assert "none.hea" in mistake(tmp_path / "none")
    assert "ds2" in mistake("nowhere")
    assert "no reference to score against" in mistake("demo")
    assert "no reference to score against" in mistake("edf:x")


def test_no_such_database_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = tmp_path / "c.toml"
    config.write_text(f'[data]\npath = ["{tmp_path}"]\n')
    with pytest.raises(UserError, match="svdb: none of its records"):
        find(["svdb"], load(config))


def test_no_reference(record):
    record.with_suffix(".atr").unlink()
    assert f"{record}.atr" in mistake(record)
    assert f"{record}.man; --ref-ext" in mistake(record, "--ref-ext", "man")


def test_a_reference_without_beats(record):
    written(record.parent, "r", "atr", "100+(VF 900~0")
    assert "no beats" in mistake(record, "--annotations", record.parent / "out", "--from", "0")


def test_no_annotations(record):
    said = mistake(record, "--annotations", record.parent / "none", "--from", "0")
    assert "none/r.ecgm" in said
    assert "ecg-monitor annotate" in said


def test_an_annotation_file_that_is_none(record):
    (record.parent / "out" / "r.ecgm").write_bytes(b"\xff\xff\xff")
    assert "r.ecgm: not a WFDB annotation file" in mistake(record, "--annotations", record.parent / "out")


def test_no_weights(record):
    assert "there are no weights here" in mistake(record, "--weights", record)


def test_options_that_do_not_go_together(record):
    with pytest.raises(UsageError, match="leave one out"):
        main([str(record), "--annotations", "x", "--weights", "y"])


def test_wrong_words():
    for words in ([], ["mitdb/100", "--convention", "both"], ["mitdb/100", "--from", "-1"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2


def test_the_command_line_finds_it(record, capsys, monkeypatch):
    """Through the entry point that pyproject.toml declares, whatever is installed."""
    import importlib.metadata
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    value = project["entry-points"]["ecg_monitor.commands"]["score"]
    entry = importlib.metadata.EntryPoint("score", value, "ecg_monitor.commands")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry])
    folder = record.parent / "out"
    assert cli(["score", str(record), "--annotations", str(folder), "--from", "0"]) == 0
    assert "SVEB" in capsys.readouterr().out
    shutil.rmtree(folder)
    assert cli(["score", str(record), "--annotations", str(folder)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("ecg-monitor: ")
    assert said.count("\n") == 1
    with pytest.raises(SystemExit):
        cli(["--help"])
    assert "score beats and runs" in " ".join(capsys.readouterr().out.split())
