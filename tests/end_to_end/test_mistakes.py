"""A person's mistakes: each ends in one clear line and the right exit code, never in a traceback."""

import shutil

import pytest
from daemons import cli

from monitor.link import AlertSocket, free_port, new_context


def one_line(done, code, *words):
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("ecg-monitor: ")
    for word in words:
        assert word in lines[0], lines[0]


def run(*arguments):
    return cli("run", "--headless", "--speed", "max", "--alert-port", str(free_port()), *arguments)


def test_a_record_that_is_not_there(tmp_path):
    one_line(run("--source", f"replay:{tmp_path}/none"), 1, "none")
    one_line(cli("annotate", str(tmp_path / "none"), "--out", str(tmp_path)), 1, "none")


def test_a_record_nobody_publishes_without_a_network(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('[data]\nurl = "http://127.0.0.1:9/{database}/{version}/"\npath = []\n')
    done = run("--source", "replay:mitdb/999", "--config", str(config))
    one_line(done, 1, "replay:demo", "127.0.0.1:9")


@pytest.fixture
def copy(tmp_path, data_dir):
    for suffix in ("hea", "dat"):
        shutil.copy(data_dir / "mitdb" / f"100.{suffix}", tmp_path / f"100.{suffix}")
    return tmp_path / "100"


def test_a_truncated_signal_file(copy):
    data = copy.with_suffix(".dat")
    data.write_bytes(data.read_bytes()[:1000])
    one_line(run("--source", f"replay:{copy}"), 1, "100.dat")


def test_a_header_that_lies(copy):
    header = copy.with_suffix(".hea")
    header.write_text(header.read_text().replace("650000", "9650000"))
    one_line(run("--source", f"replay:{copy}"), 1, "100.dat")


def test_a_lead_that_is_not_there(copy):
    one_line(run("--source", f"replay:{copy}", "--lead", "V9"), 1, "V9", "MLII")


@pytest.mark.parametrize(
    ("source", "word"), [("replay", "no such scheme"), ("replay:", "no record"), ("nothing:1", "no such scheme")]
)
def test_a_source_that_is_none(source, word):
    one_line(run("--source", source), 1, word)


def test_an_unknown_setting(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("[alarms]\nasystole = 3\n")
    one_line(cli("config", "--config", str(config)), 2, "alarms.asystole", "asystole_s")
    one_line(run("--source", "replay:demo", "--config", str(config)), 2, "alarms.asystole")


def test_a_port_in_use(settings):
    import msgspec

    context = new_context()
    port = free_port()
    holder = AlertSocket(context, msgspec.structs.replace(settings.alert_socket, port=port), {}, 1000)
    try:
        done = cli("run", "--headless", "--source", "replay:demo", "--alert-port", str(port))
        one_line(done, 1, f"127.0.0.1:{port} is in use", "--alert-port")
    finally:
        holder.close()
        context.term()


@pytest.mark.parametrize("content", [b"not weights", b""])
def test_broken_weights(tmp_path, content):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(content)
    config = tmp_path / "c.toml"
    config.write_text(f'[classifier]\nweights = "{weights}"\n')
    one_line(run("--source", "replay:demo", "--config", str(config)), 1, "w.safetensors")
    done = cli("doctor", "--config", str(config))
    assert done.returncode == 1
    assert "WRONG weights" in done.stdout


def test_cuda_where_there_is_none():
    import torch

    if torch.cuda.is_available():
        assert run("--source", "replay:demo", "--device", "cuda", "--duration", "5").returncode == 0
    else:
        one_line(run("--source", "replay:demo", "--device", "cuda"), 1, "no CUDA device")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "--source", "replay:demo", "--speed", "0"),
        ("run", "--source", "replay:demo", "--speed", "fast"),
        ("run", "--source", "replay:demo", "--duration", "-1"),
        ("run", "--source", "replay:demo", "--alert-port", "99999"),
        ("--no-such-flag",),
        ("nonsense",),
        ("alerts", "udp://1.2.3.4:5"),
        ("annotate", "mitdb/100"),
    ],
)
def test_wrong_words_are_exit_code_2(arguments):
    done = cli(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_results_that_would_overwrite_each_other(tmp_path):
    one_line(cli("annotate", "mitdb/100", "/x/100", "--out", str(tmp_path)), 2, "two records are called 100")


def test_a_folder_that_cannot_be_recorded_to(tmp_path):
    (tmp_path / "file").write_text("")
    one_line(run("--source", "replay:demo", "--record", str(tmp_path / "file" / "x")), 1, "--record", "Not a directory")


def test_metrics_for_everybody(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('[metrics]\nhost = "0.0.0.0"\nport = 9464\n')
    one_line(run("--source", "replay:demo", "--config", str(config)), 1, "[metrics] host 0.0.0.0", "127.0.0.1")


def test_nobody_to_watch():
    one_line(cli("watch", f"127.0.0.1:{free_port()}", "--headless"), 1, "no ecg-monitor answers")


@pytest.mark.parametrize("command", ["run", "watch", "alerts", "annotate", "doctor", "config", "stage"])
def test_help_has_examples(command):
    done = cli(command, "--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert f"ecg-monitor {command}" in done.stdout or command == "run"


def test_version_says_what_it_is_not():
    done = cli("--version")
    assert done.returncode == 0
    assert "Not a medical device" in done.stdout


def test_config_prints_what_it_can_read(tmp_path):
    for arguments in ((), ("--defaults",)):
        printed = cli("config", *arguments)
        assert printed.returncode == 0
        file = tmp_path / "all.toml"
        file.write_text(printed.stdout)
        again = cli("config", "--config", str(file))
        assert again.stdout == cli("config").stdout
