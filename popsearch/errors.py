"""What can go wrong, by who can mend it."""

import difflib
import re
import shlex
from collections.abc import Iterable

_PLAIN = re.compile(r"(?!(true|false|null|nan|inf)$)[a-z_][\w-]*", re.ASCII | re.IGNORECASE)


class PopsearchError(Exception):
    """Anything that the person at the keyboard can mend; shown without a traceback.

    Parameters
    ----------
    *faults
        One line each: where, what must hold, what came, what to do. What stands in a file may
        hold line breaks and codes that a terminal obeys; they are shown escaped.
    """

    def __init__(self, *faults: str) -> None:
        faults = tuple(printable(fault) for fault in faults)
        super().__init__("\n".join(faults))
        self.faults = faults


class ConfigError(PopsearchError):
    """The configuration does not hold."""


class DataError(PopsearchError):
    """The table cannot be used as it is."""


class StorageError(PopsearchError):
    """The study's database, the tracking store or the disk did not answer."""


class WorkerError(PopsearchError):
    """The processes that run the trials cannot go on."""


class RefitError(PopsearchError):
    """The winner cannot be fitted again, or does not predict the test rows."""


def disk_error(error: OSError) -> StorageError:
    """Give what is told of a file that cannot be written, on a full disk say."""
    file = f" {error.filename}" if error.filename else ""
    return StorageError(
        f"cannot write{file}: {error.strerror or error}; finished trials are kept: give the same "
        "command again when it can be written"
    )


def printable(text: str) -> str:
    """Give a text as one line, with every character that has no picture escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def setting(key: str, names: Iterable[str]) -> str:
    """Give a setting that lists these names, as it is typed in a shell."""
    names = list(names)
    if all(map(_PLAIN.fullmatch, names)):
        return f"{key}=[{','.join(names)}]"
    return shlex.quote(f"{key}=[{','.join(map(quoted, names))}]")


def quoted(text: str) -> str:
    """Give a text in quotation marks, as Hydra's grammar takes any text."""
    escaped = re.sub(r'(\\*)("|$)', lambda m: m[1] * 2 + ("\\" + m[2] if m[2] else ""), text)
    return f'"{escaped}"'


def did_you_mean(name: str, known: Iterable[object]) -> str:
    """Give a hint with the nearest known name, or the list of them when none is near.

    Returns
    -------
    A clause that continues a sentence: ``"; did you mean max_depth?"``.
    """
    names = [str(k) for k in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    shown = ", ".join(names[:15]) + (", ..." if len(names) > 15 else "")
    return f"; choose from: {shown}" if names else ""
