"""``ecg-train``: a mistake gets one line and exit code 1."""

import pytest

from bench import accuracy_beats
from trainer.cli import main


@pytest.mark.parametrize("command", ["fit", "qrs", "rhythm"])
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nonsense=3", "the recipe has seed, rate, decay"),
        ("batch=0", "`int` >= 1"),
        ("batch=-2", "`int` >= 1"),
        ("batch=1.5", "Expected `int`"),
        ("rate=-1", "`float` > 0"),
        ("rate=0", "`float` > 0"),
        ("rate=NaN", "no number"),
        ("rate=1e999", "--set rate=1e999"),
        ("decay=-0.1", "`float` >= 0"),
        ("seed=-1", "`int` >= 0"),
        ('seed="x"', "Expected `int`"),
        ("seed", "nothing is no number"),
    ],
)
def test_a_wrong_recipe_is_one_line(command, word, said, capsys, tmp_path):
    assert main([command, "--out", str(tmp_path / "x"), "--set", word]) == 1
    complaint = capsys.readouterr().err
    assert said in complaint
    assert word in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("fit", "steps=0"),
        ("fit", "reports=0"),
        ("fit", "copies=0"),
        ("fit", "chunk=0"),
        ("fit", "dropout=1"),
        ("fit", "composed=1.5"),
        ("fit", "patience=-1"),
        ("fit", "mixed=3"),
        ("qrs", "rounds=0"),
        ("qrs", "epochs=0"),
        ("rhythm", "epochs=0"),
        ("rhythm", "class_weights=[1,2]"),
        ("rhythm", "windows=0"),
    ],
)
def test_values_that_cannot_be(command, word, capsys, tmp_path):
    assert main([command, "--out", str(tmp_path / "x"), "--set", word]) == 1
    assert capsys.readouterr().err.startswith(f"ecg-train: --set {word}: Expected")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate", "--protocol", "everything"], "everything has no records for it"),
        (["figures", "nowhere", "--out", "x"], "there is no log here"),
        (["export", "--weights", __file__, "--out", "x.onnx"], "not a whole safetensors file"),
        (["evaluate", "--weights", "nowhere"], "there are no weights here"),
    ],
)
def test_mistakes_get_one_line(words, said, capsys):
    assert main(words) == 1
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1


def test_the_table_of_runs_that_are_not_there(capsys):
    assert accuracy_beats.main(["nowhere"]) == 1
    assert "there are no weights here" in capsys.readouterr().err
