"""Who a process is, so that a later one can tell whether it still runs."""

import socket

import psutil


def identity() -> str:
    """Give the host, number and start of this process, as one word."""
    process = psutil.Process()
    return f"{socket.gethostname()}/{process.pid}/{process.create_time():.2f}"


def is_here(identity: str) -> bool:
    """Tell whether a process is of this host, where its life can be looked up."""
    return identity.rsplit("/", 2)[0] == socket.gethostname()


def lives(identity: str) -> bool:
    """Tell whether a process still runs; one on another host is believed to."""
    _, pid, created = identity.rsplit("/", 2)
    if not is_here(identity):
        return True
    try:
        process = psutil.Process(int(pid))
        # A killed process stays in the table until its parent has asked for it.
        return process.status() != psutil.STATUS_ZOMBIE and (
            abs(process.create_time() - float(created)) < 1
        )
    except psutil.NoSuchProcess:
        return False
