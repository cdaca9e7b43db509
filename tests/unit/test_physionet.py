"""Records by name: found, or fetched from a server of our own on the loopback."""

import hashlib
import http.server
import io
import socket
import threading

import msgspec
import numpy as np
import pytest

from monitor.errors import UserError
from replay import physionet
from replay.records import Record


@pytest.fixture
def published(tmp_path):
    """What the server serves: database mitdb 1.0.0 with record 1 (and its .atr) and patient/2 (without)."""
    root = tmp_path / "www" / "mitdb" / "1.0.0"
    (root / "patient").mkdir(parents=True)
    for record in ("1", "patient/2"):
        name = record.rpartition("/")[2]
        (root / f"{record}.dat").write_bytes(np.arange(90_000).astype("<i2").tobytes())
        (root / f"{record}.hea").write_text(f"{name} 1 360 90000\n{name}.dat 16 200/mV 12 0 0 0 0 I\n")
    (root / "1.atr").write_bytes(b"beats")
    publish(root)
    return root


def publish(root):
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name != physionet.SUMS)
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()} {p.relative_to(root).as_posix()}\n" for p in files]
    (root / physionet.SUMS).write_text("".join(lines))


@pytest.fixture
def asked():
    return []


@pytest.fixture
def server(published, tmp_path, asked):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / "www"))

        def log_message(self, *args):
            asked.append(self.path.rpartition("/")[2])

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/{{database}}/{{version}}/"
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ecg-monitor"


@pytest.fixture
def data(settings, tmp_path, cache):
    def build(url="http://127.0.0.1:9/", path=("{cache}",)):
        return msgspec.structs.replace(settings.data, url=url, path=path, timeout_s=2.0)

    return build


def kept(cache):
    return sorted(p.relative_to(cache).as_posix() for p in cache.rglob("*") if p.is_file())


def test_a_record_is_fetched_whole_once(server, data, cache, published, asked):
    seen = []
    data = data(server)
    path = physionet.locate("mitdb/1", data, lambda *step: seen.append(step))
    assert path == cache / "mitdb" / "1"
    assert Record(path).length == 90_000
    assert kept(cache) == ["mitdb/1.atr", "mitdb/1.dat", "mitdb/1.hea"]
    assert (cache / "mitdb" / "1.dat").read_bytes() == (published / "1.dat").read_bytes()
    assert seen[0] == ("1.dat", physionet.BLOCK, 180_000)
    assert ("1.dat", 180_000, 180_000) in seen
    count = len(asked)
    assert physionet.locate("mitdb/1", data) == path
    assert len(asked) == count


def test_a_record_in_a_folder_without_annotations(server, data, cache):
    physionet.fetch("mitdb/patient/2", data(server))
    assert kept(cache) == ["mitdb/patient/2.dat", "mitdb/patient/2.hea"]


def test_folders_come_first_and_in_order(data, published, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder / "mitdb").mkdir(parents=True)
        (tmp_path / folder / "mitdb" / "1.hea").write_text("")
    found = physionet.locate("mitdb/1", data(path=(str(tmp_path / "b"), str(tmp_path / "a"))))
    assert found == tmp_path / "b" / "mitdb" / "1"


def test_relative_folders_are_relative_to_the_working_folder(data, tmp_path, monkeypatch):
    (tmp_path / "here" / "mitdb").mkdir(parents=True)
    (tmp_path / "here" / "mitdb" / "1.hea").write_text("")
    monkeypatch.chdir(tmp_path)
    assert physionet.find("mitdb/1", data(path=("here",))) is not None
    assert physionet.find("mitdb/2", data(path=("here",))) is None


def test_the_cache_is_searched_even_where_no_entry_names_it(server, data, cache):
    physionet.fetch("mitdb/1", data(server))
    assert physionet.find("mitdb/1", data(path=())) == cache / "mitdb" / "1"


@pytest.mark.parametrize("damaged", ["1.hea", "1.dat", "1.atr"])
def test_a_wrong_checksum_keeps_nothing_of_that_name(server, data, cache, published, damaged):
    (published / damaged).write_bytes(b"1 1 360 5\n1.dat 16 200\n")
    with pytest.raises(UserError, match=rf"{damaged} came with SHA-256 \w+…, but \w+… is published"):
        physionet.fetch("mitdb/1", data(server))
    assert f"mitdb/{damaged}" not in kept(cache)
    assert "mitdb/1.hea" not in kept(cache)
    assert not [name for name in kept(cache) if name.endswith(".part")]


def test_a_record_that_was_cut_off_is_fetched_again(server, data, cache, published):
    (cache / "mitdb").mkdir(parents=True)
    (cache / "mitdb" / "1.dat").write_bytes(b"half")
    physionet.locate("mitdb/1", data(server))
    assert (cache / "mitdb" / "1.dat").read_bytes() == (published / "1.dat").read_bytes()


def one_line(told):
    assert "\n" not in str(told.value)
    return str(told.value)


def test_no_server_is_told_with_what_was_tried(data, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{{database}}/{{version}}/"
        with pytest.raises(UserError) as told:
            physionet.fetch("mitdb/1", data(url, ("some/folder", "{cache}")))
    line = one_line(told)
    for word in ("some/folder", "ecg-monitor", url.format(database="mitdb", version="1.0.0"), "refused", "replay:demo"):
        assert word in line


def test_a_url_that_is_none_is_told(data):
    with pytest.raises(UserError, match="does not answer"):
        physionet.fetch("mitdb/1", data("nowhere"))


def test_a_missing_list_of_sums_is_told(server, data, published):
    (published / physionet.SUMS).unlink()
    with pytest.raises(UserError, match=r"SHA256SUMS.txt answers 404"):
        physionet.fetch("mitdb/1", data(server))


def test_a_record_that_is_not_published_is_told(server, data, cache):
    with pytest.raises(UserError, match="has no such record"):
        physionet.fetch("mitdb/999", data(server))
    assert kept(cache) == []


def test_an_unknown_database_lists_those_known(data):
    with pytest.raises(UserError, match=r"no database nodb is known .*\(mitdb, nstdb, svdb, cudb, vfdb\)") as told:
        physionet.fetch("nodb/1", data())
    assert "replay:./nodb/1" in one_line(told)


@pytest.mark.parametrize(
    "name",
    [
        "mitdb",
        "mitdb/",
        "/mitdb/1",
        "../mitdb/1",
        "mitdb/../1",
        "mitdb/..",
        "mitdb//1",
        "mitdb/.1",
        "mit db/1",
        "a\\b/1",
    ],
)
def test_names_that_could_leave_the_cache_are_refused(data, name):
    for look in (physionet.find, physionet.fetch):
        with pytest.raises(UserError, match="no name of a record"):
            look(name, data())


@pytest.mark.parametrize("file", ["../evil.dat", "/etc/evil.dat", ".hidden", "a\\b"])
def test_a_header_cannot_write_outside_of_the_cache(server, data, cache, published, file):
    (published / "1.hea").write_text(f"1 1 360 5\n{file} 16 200\n")
    publish(published)
    with pytest.raises(UserError, match="its header names the file"):
        physionet.fetch("mitdb/1", data(server))
    assert kept(cache) == []


def test_a_file_without_a_sum_is_not_trusted(server, data, published):
    (published / "1.hea").write_text("1 1 360 5\nother.dat 16 200\n")
    publish(published)
    with pytest.raises(UserError, match=r"does not list other\.dat"):
        physionet.fetch("mitdb/1", data(server))


def test_several_segments_are_left_to_the_user(server, data, published):
    (published / "1.hea").write_text("1/2 1 360 5\n")
    publish(published)
    with pytest.raises(UserError, match="several segments; download it"):
        physionet.fetch("mitdb/1", data(server))


def test_a_cache_that_cannot_be_written_is_told(server, data, cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written"):
        physionet.fetch("mitdb/1", data(server))


def test_a_server_that_never_ends_is_left(server, data, monkeypatch):
    monkeypatch.setattr(physionet, "LARGEST_TEXT", 100)
    with pytest.raises(UserError, match="does not end"):
        physionet.fetch("mitdb/1", data(server))


def test_the_bar():
    out = io.StringIO()
    show = physionet.bar(out)
    for done in (0, 1, 500, 1000):
        show("208.dat", done, 1000)
    assert out.getvalue().split("\r")[1:] == [
        "208.dat          [..............................]   0 %",
        "208.dat          [###############...............]  50 %",
        "208.dat          [##############################] 100 %\n",
    ]
    show("208.atr", 2_500_000, None)
    assert out.getvalue().endswith("\r208.atr          2.5 MB")
