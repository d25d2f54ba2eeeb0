"""The tracks from Kaggle: fetched once through kagglehub, or one clear line for why not."""

import base64
import hashlib
import io
import os
import resource
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from popsearch import commands
from popsearch.data import kaggle
from popsearch.errors import ConfigError, DataError

ROWS = b"id,popularity\n" + b"1,50\n" * 20_000
ENDING = (
    "; download it from https://www.kaggle.com/datasets/yamaerenay/"
    "spotify-dataset-19212020-600k-tracks and give data.path=path/to/tracks.csv"
)
SAY = """
from popsearch.data import kaggle
try:
    print(kaggle.fetch())
except kaggle.DataError as error:
    print(error)
"""
Answer = Callable[[BaseHTTPRequestHandler], None]


class Kaggle(BaseHTTPRequestHandler):
    """Answers in the place of kaggle.com, as a proxy that every request is sent to."""

    server: "Server"

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.answer(self)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Server(ThreadingHTTPServer):
    answer: Answer
    asked: list[str]


def give(raw: bytes, *, md5: bytes | None = None, code: int = 200) -> Answer:
    """Give an answer that sends these bytes."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        request.send_header("Content-Length", str(len(raw)))
        digest = base64.b64encode(hashlib.md5(raw if md5 is None else md5).digest())
        request.send_header("X-Goog-Hash", f"md5={digest.decode()}")
        request.send_header("X-Kaggle-HubVersion", "99.0")
        request.end_headers()
        request.wfile.write(raw)

    return answer


def packed(raw: bytes, name: str = "tracks.csv") -> bytes:
    """Give a zip that holds one file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, raw)
    return stream.getvalue()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Give a server that is all of the network there is, and empty folders for what is kept."""
    pytest.importorskip("kagglehub")
    with Server(("127.0.0.1", 0), Kaggle) as server:
        server.asked, server.answer = [], give(ROWS)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for name in [name for name in os.environ if name.startswith("KAGGLE")]:
            monkeypatch.delenv(name)
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", f"http://me:hunter2@127.0.0.1:{server.server_port}")
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")  # http, not https
        monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
        monkeypatch.setenv("POPSEARCH_CACHE_DIR", str(tmp_path / "popsearch"))
        monkeypatch.setenv("HOME", str(tmp_path))  # no credentials of whoever runs the tests
        yield server
        server.shutdown()


def fault() -> str:
    """Give the one line that fetching ends with, between its beginning and its ending."""
    with pytest.raises(DataError) as caught:
        kaggle.fetch()
    (line,) = caught.value.faults
    beginning = "data=tracks: tracks.csv cannot be fetched from Kaggle: "
    assert line.startswith(beginning)
    assert line.endswith(ENDING)
    assert "\n" not in line
    assert "hunter2" not in line
    return line.removeprefix(beginning).removesuffix(ENDING)


def redirect(request: BaseHTTPRequestHandler) -> None:
    """Answer as Kaggle does: the file lies on another server, packed."""
    if request.path == "http://storage.test/tracks.csv.zip":
        give(packed(ROWS))(request)
    else:
        request.send_response(302)
        request.send_header("Location", "http://storage.test/tracks.csv.zip")
        request.send_header("Content-Length", "0")
        request.end_headers()


@pytest.mark.parametrize(
    ("answer", "n_asked"),
    [(give(ROWS), 1), (give(packed(ROWS)), 1), (redirect, 2)],
    ids=["plain", "zip", "zip elsewhere"],
)
def test_the_file_is_fetched_once(
    server: Server, answer: Answer, n_asked: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The second call gives the same path without asking, and prints nothing."""
    server.answer = answer
    path = kaggle.fetch()
    assert path.read_bytes() == ROWS
    assert path.name == "tracks.csv"
    assert tmp_path / "kagglehub" in path.parents
    assert list(path.parent.iterdir()) == [path]
    assert len(server.asked) == n_asked
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "fetching tracks.csv from Kaggle (about 100 MB)"
    assert kaggle.fetch() == path
    assert len(server.asked) == n_asked
    assert capfd.readouterr() == ("", "")


def test_the_script_says_where_the_file_lies(server: Server, tmp_path: Path) -> None:
    """scripts/fetch_tracks.py fetches it, copies it where that is typed, and prints one path."""
    script = str(Path(__file__).parent.parent / "scripts" / "fetch_tracks.py")
    done = subprocess.run(
        [sys.executable, script, "output=copy.csv"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "copy.csv\n"
    assert (tmp_path / "copy.csv").read_bytes() == ROWS
    assert kaggle.fetch().read_bytes() == ROWS
    assert len(server.asked) == 1


def test_fetching_is_refused_before_anything_is_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A word that means nothing, or a folder that is not there; a server's refusal is one line."""
    monkeypatch.chdir(tmp_path)
    for words in (["please"], ["output=a", "output=b"], ["output=no/copy.csv"]):
        with pytest.raises(ConfigError):
            commands.fetch(words)
    assert not server.asked
    server.answer = give(b"", code=403)
    with pytest.raises(DataError, match="403 Forbidden"):
        commands.fetch([])


def test_a_whole_data_set_that_is_there_is_used(server: Server) -> None:
    """Who has fetched the data set with kagglehub need not fetch the file again."""
    import kagglehub

    server.answer = give(packed(ROWS))
    folder = kagglehub.dataset_download(kaggle.HANDLE)
    server.asked.clear()
    assert kaggle.fetch() == Path(folder, "tracks.csv")
    assert not server.asked


def test_a_zip_in_the_place_of_the_file_is_unpacked(server: Server) -> None:
    """As a process leaves it that is killed after the download; nothing is fetched again."""
    path = kaggle.fetch()
    path.write_bytes(packed(ROWS))
    assert kaggle.fetch() == path
    assert path.read_bytes() == ROWS
    assert len(server.asked) == 1


def test_an_account_changes_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its token is not printed, nor that there is a newer kagglehub, which is told to accounts."""
    monkeypatch.setenv("KAGGLE_API_TOKEN", "hunter2")
    server.answer = give(b"", code=403)
    assert fault() == "the server answered 403 Forbidden"
    server.answer = give(ROWS)
    assert kaggle.fetch().read_bytes() == ROWS
    out, err = capfd.readouterr()
    assert out == ""
    assert "hunter2" not in err


def test_a_removed_file_is_fetched_again(server: Server) -> None:
    """What a message about a broken download says to do helps."""
    server.answer = give(b"id,popularity\n1,")
    path = kaggle.fetch()
    (line,) = kaggle.check(1)
    assert "must have 586,672 rows, but has 1: " in line
    assert f"remove {path} and fetch it again" in line
    assert line.endswith(f"with data.path={path}")
    path.unlink()
    server.answer = give(ROWS)
    assert kaggle.fetch().read_bytes() == ROWS
    assert kaggle.check(586_672) == []


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (403, "the server answered 403 Forbidden"),
        (404, "the server answered 404 Not Found"),
        (503, "the server answered 503 Service Unavailable"),
        (401, "the server answered 401 Unauthorized; no account is needed, but the one that is "
         "set up here was refused"),
    ],
)  # fmt: skip
def test_a_refusal_of_the_server_is_told_with_its_number(
    server: Server, code: int, why: str
) -> None:
    """What a page of the server says is left out; nothing is taken for the file."""
    server.answer = give(b"<html>a page of many lines\n</html>", code=code)
    assert fault() == why
    server.answer = give(ROWS)
    assert kaggle.fetch().read_bytes() == ROWS


def test_a_server_that_is_silent_is_not_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for ever, as kagglehub does, has a limit here, and it is gone afterwards."""
    import requests

    send, done = requests.Session.send, threading.Event()
    monkeypatch.setattr(kaggle, "TIMEOUTS", (0.1, 0.1))
    server.answer = lambda _: done.wait(30)
    assert fault() == "timed out"
    done.set()
    assert requests.Session.send is send


def test_a_download_that_breaks_is_told_and_goes_on_next_time(server: Server) -> None:
    """Half a file is never taken for the whole, whatever its length."""

    def half(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(ROWS)))
        request.end_headers()
        request.wfile.write(ROWS[: len(ROWS) // 2])

    server.answer = half
    assert "IncompleteRead" in fault()
    server.answer = give(ROWS, md5=b"other bytes")
    assert fault() == "it arrived damaged; the same command tries again"
    server.answer = give(ROWS)
    assert kaggle.fetch().read_bytes() == ROWS


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (packed(ROWS, "other.csv"), "There is no item named 'tracks.csv' in the archive"),
        (b"<html>please log in\n</html>", "what came is not the table of tracks"),
    ],
    ids=["a zip of another file", "a page of a hotel's network"],
)
def test_another_file_is_not_taken_for_the_table(server: Server, sent: bytes, why: str) -> None:
    """It is refused, and not kept: the next call fetches again."""
    server.answer = give(sent)
    assert why in fault()
    server.answer = give(ROWS)
    assert kaggle.fetch().read_bytes() == ROWS


def program(code: str, **environment: str) -> "subprocess.Popen[str]":
    """Start a program in an interpreter of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_keeps_the_file_from_being_written_is_told(server: Server, tmp_path: Path) -> None:
    """A full disk, a folder that cannot be made: the system's own words."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        assert fault() == "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    shutil.rmtree(tmp_path / "kagglehub")
    (tmp_path / "kagglehub").touch()
    assert fault().startswith(f"Not a directory: {tmp_path}/kagglehub/")


def test_processes_that_start_at_once_fetch_once(server: Server) -> None:
    """The second waits for the first: kagglehub would write into one file from both."""
    begun = [program(SAY) for _ in range(2)]
    ended = [process.communicate() for process in begun]
    assert [out.splitlines() for out, _ in ended] == [[ended[0][0].strip()]] * 2
    assert ended[0][0].endswith("tracks.csv\n")
    assert len(server.asked) == 1
    assert sum("fetching" in err for _, err in ended) == 1


def test_without_a_network_the_program_says_what_to_do(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a proxy that is not there: one line, exit code 2, no traceback, no password."""
    monkeypatch.delenv("KAGGLE_API_ENVIRONMENT")
    argv = 'sys.argv = ["popsearch", "model=ridge", "data=tracks"]'
    code = f"import sys; from popsearch import __main__; {argv}; __main__.main()"
    dead = program(code, https_proxy="http://me:hunter2@127.0.0.1:9")
    out, err = dead.communicate(timeout=60)
    assert dead.returncode == 2
    assert out == ""
    assert err.splitlines() == [
        "fetching tracks.csv from Kaggle (about 100 MB)",
        "popsearch: data=tracks: tracks.csv cannot be fetched from Kaggle: "
        "the proxy: Connection refused" + ENDING,
    ]
    assert not server.asked


def test_without_kagglehub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with all three ways: the extra, the page to download from, the setting."""
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(DataError) as caught:
        kaggle.fetch()
    (line,) = caught.value.faults
    assert line.startswith("data.path is required for data=tracks, or kagglehub: pip install ")
    assert "'popsearch[kaggle]'" in line
    assert line.endswith(ENDING.removeprefix("; "))
    assert "data.path=tracks.csv" in kaggle.check(1)[0]
