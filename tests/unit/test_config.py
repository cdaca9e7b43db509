"""Settings: the shipped ones are whole; a mistake in a file is told with its place."""

from pathlib import Path

import pytest

from monitor import config
from monitor.errors import UsageError


def test_what_is_written_can_be_read(settings):
    assert config.loads(config.dumps(settings)) == settings


def test_a_file_is_laid_over_the_defaults(tmp_path, settings):
    file = tmp_path / "my.toml"
    file.write_text("[alarms]\npause_s = 3.0\n[data.versions]\nmydb = '2.0'\n")
    mine = config.load(file)
    assert mine.alarms.pause_s == 3.0
    assert mine.data.versions == {**settings.data.versions, "mydb": "2.0"}
    assert mine.detector == settings.detector


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[alarms]\npuase_s = 3\n", "unknown setting alarms.puase_s; did you mean alarms.pause_s"),
        ("[alarm]\npause_s = 3\n", "did you mean alarms"),
        ("[alarms]\npause_s = 'long'\n", r"Expected `float`, got `str` - at `\$.alarms.pause_s`"),
        ("[alarms]\npause_s = -1\n", "> 0"),
        ("[alert_socket]\nport = 70000\n", "port"),
        ("not toml", "not TOML"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path, text, words):
    file = tmp_path / "my.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=words) as error:
        config.load(file)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there():
    with pytest.raises(UsageError, match="No such file"):
        config.load(Path("/nowhere/my.toml"))


def test_every_setting_is_explained():
    """Each key of config.toml stands below a comment that says what it is."""
    lines = config.default_file().read_text().splitlines()
    for number, line in enumerate(lines):
        if "=" in line and not line.startswith("#"):
            above = number - 1
            while above >= 0 and lines[above].strip() and not lines[above].startswith(("#", "[")):
                above -= 1
            assert lines[above].startswith("#"), line
