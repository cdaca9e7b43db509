"""The unit file that ships: systemd's own words, and a command that this program understands."""

import configparser
import shlex
import tomllib
from pathlib import Path

from monitor import supervisor
from monitor.cli import parser

TOP = Path(__file__).resolve().parents[2]


class Unit(configparser.RawConfigParser):
    optionxform = staticmethod(str)


def unit():
    read = Unit(strict=True, delimiters=("=",), comment_prefixes=("#",))
    assert read.read(TOP / "deploy" / "ecg-monitor.service")
    return read


def test_the_unit_file_fits_the_program(settings):
    service = unit()["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert Path(program).name == "ecg-monitor"
    given = parser().parse_args(words)
    assert given.command == "run"
    assert given.headless
    own = "/var/lib/" + service["StateDirectory"]
    assert str(given.record).startswith(own)
    assert str(given.state).startswith(own)
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 2 * settings.supervisor.hang_s, "a hung stage would be the service's end"
    assert int(service["TimeoutStartSec"]) > supervisor._START_S, "the supervisor's own line would not be read"
    assert int(service["TimeoutStopSec"]) > settings.supervisor.stop_s
    assert int(service["SuccessExitStatus"]) == 128 + 15


def test_it_ships():
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    assert "deploy" in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert "deploy/ecg-monitor.service" in (TOP / "README.md").read_text()
