"""The program as a person starts it, and what it prints."""

import subprocess
import sys

import pytest

from popsearch import __main__


def popsearch(*argv: str) -> "subprocess.Popen[str]":
    """Start the program as a person would, as the first of a group of processes."""
    return subprocess.Popen(
        [sys.executable, "-m", "popsearch", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(process: "subprocess.Popen[str]", words: str) -> str:
    """Read what a process prints until a line with these words."""
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if words in line:
            return read
    raise AssertionError(f"ended without {words!r}: {read}")


def typed(*argv: str) -> int:
    """Run what was typed in this process, and give its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["popsearch", *argv])
        try:
            __main__.main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0
