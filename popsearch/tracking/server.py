"""An MLflow server: whether it answers, and what its errors mean."""

import contextlib
import os
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

PROBE_S = 3.0  # for a question that costs a server nothing
FIRST_S = 5.0  # the same before the search, when it may have to wake up
REQUEST_S = 10  # for what a search writes
MODEL_S = 120  # for a file of a model, MLflow's own limit
_ASKS_TO_WAIT = (408, 429)
_MENDABLE = (401, 403)


def is_server(uri: str) -> bool:
    """Tell whether an address is that of a server."""
    return uri.startswith(("http://", "https://"))


def is_whole(uri: str) -> bool:
    """Tell whether an address has a host, and a number for its port where it has one."""
    try:
        parts = urlsplit(uri)
        return parts.port != 0 and bool(parts.hostname)
    except ValueError:
        return False


def address(uri: str) -> str:
    """Give the address of a server without name and password."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


@contextlib.contextmanager
def time_for_a_model() -> Iterator[None]:
    """Let a request take as long as MLflow lets it, unless the user has set another limit."""
    name = "MLFLOW_HTTP_REQUEST_TIMEOUT"
    was = os.environ.get(name)
    if was == str(REQUEST_S):
        os.environ[name] = str(MODEL_S)
    try:
        yield
    finally:
        if was is not None:
            os.environ[name] = was


def silence(uri: str, limit_s: float) -> str:
    """Tell why a server does not answer; nothing where it does, whatever its answer is."""
    import requests

    try:
        answer = requests.get(f"{address(uri)}/health", timeout=limit_s)
    except requests.exceptions.SSLError:
        return ""  # who shows a certificate is there
    except requests.exceptions.RequestException as error:
        return _why(error)
    return f"HTTP {answer.status_code}" if answer.status_code in (502, 503, 504) else ""


def away(error: Exception) -> str:
    """Tell why a server could not take what it was sent, where it is not to blame on that.

    No answer, a gateway without one (502, 503, 504) and a request to wait (429) will pass. So may
    an error inside the server (500), which mostly is its database: to send again does no harm.
    """
    status = _status(error)
    return _why(error) if status in (0, *_ASKS_TO_WAIT) or status >= 500 else ""


def timed_out(error: Exception) -> bool:
    """Tell whether a server may have heard what it was sent, and was only too slow."""
    import requests

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, requests.exceptions.Timeout):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def refused(error: Exception) -> str:
    """Tell why a server will never take what it was sent; nothing where it may, later."""
    passing = away(error) or _status(error) in _MENDABLE
    return "" if passing else reason(error)


def reason(error: Exception) -> str:
    """Give an error in a line."""
    if (status := _status(error)) in _MENDABLE:
        return f"HTTP {status}; it wants a name and password, as in MLFLOW_TRACKING_URI"
    return away(error) or str(error).partition("\n")[0]


def _status(error: Exception) -> int:
    """Give the HTTP status of an answer, 0 where there was none."""
    import requests
    from mlflow.exceptions import MlflowException

    cause: BaseException | None = error
    while cause is not None:  # MLflow keeps what it wraps as context
        if isinstance(cause, requests.exceptions.RetryError):  # a status in MLflow's list of them
            found = re.search(r"too many (\d+) error", str(cause))
            return int(found[1]) if found else 0
        if isinstance(cause, requests.exceptions.HTTPError) and cause.response is not None:
            status: int = cause.response.status_code
            return status
        if isinstance(cause, requests.exceptions.RequestException):
            return 0
        cause = cause.__cause__ or cause.__context__
    if not isinstance(error, MlflowException):
        return 500
    answered: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
    return answered


def _why(error: Exception) -> str:
    import requests

    if timed_out(error):
        return "no answer in time"
    if isinstance(error, requests.exceptions.RequestException) or not (status := _status(error)):
        told = re.search(r"\[Errno -?\d+\] ([\w ]+)", str(error))
        return told[1].lower() if told else "the connection was lost"
    return f"HTTP {status}"
