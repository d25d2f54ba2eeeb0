"""A real MLflow server, and a gateway before it that can be away or lose what it was answered."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

WITHOUT_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""For a server: its workers for jobs, of pages for chatbots, are seven more processes."""


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Server:
    """An MLflow server that can be started again on what it has stored.

    Parameters
    ----------
    database
        Its address; a file in the folder without one.
    """

    def __init__(self, folder: Path, database: str = "") -> None:
        self._folder, self.port = folder, free_port()
        self._database = database or f"sqlite:///{folder}/server.db"
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port)]
        store = ["--backend-store-uri", self._database, "--workers", "1"]
        store += ["--artifacts-destination", str(self._folder / "artifacts")]
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [*command, *store],
                cwd=self._folder,
                env=os.environ | WITHOUT_JOBS,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=1).read()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"did not start: {(self._folder / 'log').read_text()}")

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it, and all that it has started."""
        os.killpg(self._process.pid, how)
        self._process.wait(timeout=30)


class Gateway:
    """Passes requests on to a server, as long as a test lets it.

    Parameters
    ----------
    folder
        For a file that says how it is, so that another process can set it too.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self._said = folder / "gateway"
        self.heard: list[str] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                gateway._answer(self, server.port)

            do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def set(self, how: str = "") -> None:
        """Set how requests fare.

        Parameters
        ----------
        how
            ``down``: none is answered; a number: all but those of health get this status;
            ``lose PATH``: one request to such a path is passed on, but its answer is lost.
            Empty is as usual.
        """
        self._said.write_text(how)

    def close(self) -> None:
        """Listen no more."""
        self._http.shutdown()
        self._http.server_close()

    def _answer(self, request: BaseHTTPRequestHandler, port: int) -> None:
        how = self._said.read_text() if self._said.exists() else ""
        body = _body(request)
        self.heard.append(request.path)
        if how == "down":
            request.close_connection = True
            return
        if how.isdigit() and not request.path.endswith("/health"):
            status, headers, answer = int(how), [("Content-Type", "text/plain")], b"no"
        else:
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            headers_sent = {k: v for k, v in request.headers.items() if k not in _OF_THE_BODY}
            upstream.request(request.command, request.path, body, headers_sent)
            response = upstream.getresponse()
            status, headers, answer = response.status, response.getheaders(), response.read()
            upstream.close()
        if how.startswith("lose ") and how.removeprefix("lose ") in request.path:
            self.set()
            request.close_connection = True
            return
        request.send_response(status)
        left_out = ("transfer-encoding", "content-length", "connection", "server", "date")
        for name, value in headers:
            if name.lower() not in left_out:
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)


_OF_THE_BODY = ("Content-Length", "Transfer-Encoding")


def _body(request: BaseHTTPRequestHandler) -> bytes:
    """Read what a request holds: an empty file comes in chunks, of which there are none."""
    if request.headers.get("Transfer-Encoding", "") != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length", 0)))
    body = b""
    while size := int(request.rfile.readline().partition(b";")[0], 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    while request.rfile.readline().strip():
        pass  # trailing headers
    return body
