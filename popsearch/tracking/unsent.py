"""All that waits for servers in this folder, sent by hand: python -m popsearch sync."""

import os
import socket
from typing import TYPE_CHECKING

from popsearch.tracking import sending, server
from popsearch.tracking.client import connect
from popsearch.tracking.spool import FOLDER, Spool

if TYPE_CHECKING:
    from mlflow import MlflowClient


def send_all(everyones: bool) -> tuple[list[str], int]:
    """Send the files of processes that will not do it themselves.

    Parameters
    ----------
    everyones
        Those of other hosts too.

    Returns
    -------
    A line for each file, and how many still wait.
    """
    mine = {spool.path for spool in sending.left_behind(everyones)}
    lines, silent = [], dict[str, str]()
    for spool in sending.waiting():
        address = spool.address
        if spool.path not in mine:
            lines.append(_not_ours(spool))
            continue
        if address not in silent:  # asked once for all files
            silent[address] = server.silence(address, server.FIRST_S)
        lines.append(_send(spool, silent[address]))
    return lines or [f"nothing waits in {FOLDER}"], len(sending.waiting())


def _send(spool: Spool, why: str) -> str:
    n_sent = 0
    if not why:
        n_sent, why = sending.send_left_behind(_client(spool.address), spool)
    refused = f"; it refused some of it: see {spool.refused}" if spool.refused.exists() else ""
    if not why:
        return f"sent to {spool.address}: {sending.n_runs_of(n_sent)}{refused}"
    kept = sending.n_runs_of(spool.n_runs())
    where = f"{FOLDER / spool.path.name} waits with {kept}"
    return f"{where}: {spool.address} does not take them ({why}){refused}"


def _not_ours(spool: Spool) -> str:
    host, pid, _ = spool.worker.rsplit("/", 2)
    where = f"{FOLDER / spool.path.name} waits: process {pid}"
    if host == socket.gethostname():
        return f"{where} still runs, and sends it itself"
    return (
        f"{where} on {host} sends it itself, if it still runs; if not, type it there, or, if that "
        "machine is gone, type here: python -m popsearch sync all"
    )


def _client(address: str) -> "MlflowClient":
    # A file holds no password; one in the environment is for the server that stands there.
    own = os.environ.get("MLFLOW_TRACKING_URI", "")
    known = server.is_server(own) and server.address(own) == address
    return connect(own if known else address)
