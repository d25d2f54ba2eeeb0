"""The table of tracks from Kaggle, fetched once through kagglehub, without an account."""

import contextlib
import fcntl
import io
import logging
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from popsearch.data import cache
from popsearch.errors import DataError
from popsearch.faults import hide_secrets

DATASET = "yamaerenay/spotify-dataset-19212020-600k-tracks"
FILE = "tracks.csv"
N_ROWS = 586_672
PAGE = f"https://www.kaggle.com/datasets/{DATASET}"
# The version makes a study repeatable, and what is there is found without asking the server.
HANDLE = f"{DATASET}/versions/1"
TIMEOUTS = (5.0, 30.0)  # seconds to connect, and between two pieces of an answer
_UNAUTHORIZED = 401
_LONGEST_HEADER = 1000


def fetch() -> Path:
    """Give the path of tracks.csv in kagglehub's cache, where it is put by the first call.

    Raises
    ------
    DataError
        If kagglehub is not installed, or the file cannot be fetched.
    """
    try:
        import kagglehub
    except ImportError:
        raise DataError(
            "data.path is required for data=tracks, or kagglehub: pip install "
            f"'popsearch[kaggle]' fetches {FILE} by itself; or download it from {PAGE} "
            f"and give data.path=path/to/{FILE}"
        ) from None
    try:
        with _one_at_a_time():
            return _fetched() or _download(kagglehub)
    except Exception as error:  # whatever a server, a proxy, a disk or kagglehub may do
        raise DataError(
            f"data=tracks: {FILE} cannot be fetched from Kaggle: {_why(error)}; "
            f"download it from {PAGE} and give data.path=path/to/{FILE}"
        ) from None


def check(n_rows: int) -> list[str]:
    """Give the fault of a fetched table that is not the whole one."""
    if n_rows == N_ROWS:
        return []
    path = _fetched() or FILE
    return [
        f"data=tracks: {FILE} from Kaggle must have {N_ROWS:,} rows, but has {n_rows:,}: Kaggle's "
        f"copy changed or the download is broken; remove {path} and fetch it again, or use it as "
        f"it is with data.path={path}"
    ]


def _fetched() -> Path | None:
    """Give the file if it is there, fetched alone or with all of its data set."""
    with contextlib.suppress(ImportError):
        from kagglehub.cache import Cache
        from kagglehub.handle import parse_dataset_handle

        handle = parse_dataset_handle(HANDLE)
        whole = Cache().load_from_cache(handle)
        for path in (Cache().load_from_cache(handle, FILE), whole and Path(whole, FILE)):
            if path and Path(path).is_file() and not zipfile.is_zipfile(path):
                return Path(path)
    return None


def _download(kagglehub: Any) -> Path:
    sys.stderr.write(f"fetching {FILE} from Kaggle (about 100 MB)\n")
    logging.getLogger("kagglehub").setLevel(logging.ERROR)
    # That kagglehub is not the newest it prints to stdout; its progress goes to stderr.
    with contextlib.redirect_stdout(io.StringIO()), _patience():
        path = Path(kagglehub.dataset_download(HANDLE, FILE))
    try:
        if zipfile.is_zipfile(path):  # as Kaggle sends it at times
            _unpack(path)
        with path.open("rb") as table:
            if b"popularity" not in table.readline(_LONGEST_HEADER):
                raise ValueError("what came is not the table of tracks")
    except Exception:
        with contextlib.suppress(OSError):  # or the next call would take it for fetched
            path.unlink()
        raise
    return path


def _unpack(path: Path) -> None:
    """Put the file that is packed in a zip in the place of the zip."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, zipfile.ZipFile(path) as packed:
        Path(packed.extract(FILE, folder)).replace(path)


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Let no request wait for ever: kagglehub sets no limit."""
    import requests

    send = requests.Session.send

    def limited(self: Any, request: Any, **kwargs: Any) -> Any:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = TIMEOUTS
        return send(self, request, **kwargs)

    requests.Session.send = limited  # type: ignore[method-assign]
    try:
        yield
    finally:
        requests.Session.send = send  # type: ignore[method-assign]


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let other processes wait: kagglehub writes into the very file, and goes on with half ones."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # nowhere to put a lock
            cache.folder().mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((cache.folder() / "kaggle.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)  # released by the system, however this process ends
        yield


def _why(error: Exception) -> str:
    """Give the reason in a few words, without what an address may hold."""
    response = getattr(error, "response", None)
    if response is not None:
        answer = f"the server answered {response.status_code} {response.reason or ''}".rstrip()
        account = "; no account is needed, but the one that is set up here was refused"
        return answer + (account if response.status_code == _UNAUTHORIZED else "")
    if type(error).__name__ == "DataCorruptionError":
        return "it arrived damaged; the same command tries again"
    # A cause that requests tells names the whole address; what lies below it says what happened.
    cause = _first_cause(error) if isinstance(error, OSError) else error
    text = getattr(cause, "strerror", None) or str(cause).strip() or type(cause).__name__
    file = getattr(cause, "filename", None)
    who = "the proxy: " if type(error).__name__ == "ProxyError" else ""
    return who + hide_secrets(text.splitlines()[0]) + (f": {file}" if file else "")


def _first_cause(error: BaseException) -> BaseException:
    """Give the error that all others were raised for: a refused connection, an unknown host."""
    while inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = inner
    return error
