"""Parsed tables, kept in the user's cache folder and mapped into memory by every process."""

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import pyarrow as pa
import pyarrow.ipc

FORMAT = 2  # raised when the parser changes, so that every file is parsed anew
UNUSED_S = 30 * 24 * 3600.0
LEFTOVER_S = 3600.0
MOST_BYTES = 20 << 30
_ABOUT = b"popsearch.cache"
# Only such files are ours: the folder may be one of the user's own. The last part is a checksum.
_TABLE = re.compile(r"[0-9a-f]{64}-[0-9a-f]{8}\.arrow")
_LEFTOVER = re.compile(r"[0-9a-f]{64}\w+\.tmp")
_BLOCK = 1 << 20
_log = logging.getLogger("popsearch")


@dataclass(frozen=True)
class Entry:
    """One kept table; ``last_used`` in seconds since 1970, ``source`` the file it came from."""

    path: Path
    source: str
    n_rows: int
    n_bytes: int
    last_used: float


def folder() -> Path:
    """Give the folder of everything that is kept: ``POPSEARCH_CACHE_DIR``, or the user's cache."""
    own = os.environ.get("POPSEARCH_CACHE_DIR")
    return Path(own).absolute() if own else platformdirs.user_cache_path("popsearch")


def cached(file: Path, settings: Mapping[str, Any], build: Callable[[], pa.Table]) -> pa.Table:
    """Give the table of a file, mapped into memory; built only where it is not kept yet.

    Where it cannot be kept (a full disk, a folder that is not ours) the built one is given.

    Parameters
    ----------
    file
        What the table is read from. Its bytes tell whether it changed, not its time.
    settings
        All else that the table depends on, as JSON can hold it.
    build
        Reads the file.

    Returns
    -------
    Each column in one chunk, with the metadata of the built table.
    """
    try:
        key = _key(file, settings)
    except OSError:  # build tells what is wrong with the file
        return build()
    for path in sorted(_tables().glob(f"{key}-*.arrow")):
        kept = _whole(path)
        if kept is not None:
            with contextlib.suppress(OSError):
                os.utime(path)
            return kept
    table = _one_chunk(build())
    try:
        if _key(file, settings) == key:  # else it was written to while it was read
            return _keep(table, key, file.name.encode(errors="replace").decode())
    except OSError as error:
        _log.debug("the table of %s is not kept: %s", file, error)
    return table


def entries() -> list[Entry]:
    """Give the kept tables, the last used first."""
    found = []
    for path in _ours(_TABLE):
        with contextlib.suppress(FileNotFoundError):  # removed by another process
            status = path.stat()
            about = _about(path)
            found.append(
                Entry(path, about["source"], about["rows"], status.st_size, status.st_mtime)
            )
    return sorted(found, key=lambda entry: entry.last_used, reverse=True)


def clear() -> tuple[int, int]:
    """Remove all tables, also those that other processes use: they keep what they have mapped.

    Returns
    -------
    Number of tables and of bytes that were removed.

    Raises
    ------
    OSError
        If one cannot be removed.
    """
    n_tables = n_bytes = 0
    for path in [*_ours(_TABLE), *_ours(_LEFTOVER)]:
        with contextlib.suppress(FileNotFoundError):  # removed by another process
            size = path.stat().st_size
            path.unlink()
            n_tables += path.suffix == ".arrow"
            n_bytes += size
    return n_tables, n_bytes


def _tables() -> Path:
    return folder() / "tables"


def _ours(name: re.Pattern[str]) -> list[Path]:
    return [path for path in sorted(_tables().glob("*")) if name.fullmatch(path.name)]


def _key(file: Path, settings: Mapping[str, Any]) -> str:
    with file.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    text = json.dumps([FORMAT, content, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _one_chunk(table: pa.Table) -> pa.Table:
    """Give the table with one chunk to a column; columns that have one are not copied."""
    columns = [c.chunk(0) if c.num_chunks == 1 else c.combine_chunks() for c in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _keep(table: pa.Table, key: str, source: str) -> pa.Table:
    """Write a table under its final name only when it is whole, and give it mapped."""
    tables = _tables()
    tables.mkdir(parents=True, exist_ok=True)
    _tidy()
    descriptor, name = tempfile.mkstemp(".tmp", key, tables)
    os.close(descriptor)
    temporary = Path(name)
    try:
        _write(table, temporary, source)
        kept = _map(temporary)  # by the name it will have, it could be cleared before
        temporary.replace(tables / f"{key}-{_checksum(temporary):08x}.arrow")
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return kept


def _write(table: pa.Table, file: Path, source: str) -> None:
    about = json.dumps({"source": source, "rows": table.num_rows}).encode()
    schema = table.schema.with_metadata({**(table.schema.metadata or {}), _ABOUT: about})
    columns = [column.chunk(0) for column in table.columns]
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        # As a table, one without rows would have no chunks when it is read.
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    with file.open("rb+") as stream:  # whole on the disk before it has its name
        os.fsync(stream.fileno())


def _whole(path: Path) -> pa.Table | None:
    """Give the table of a file that is as it was written; remove any other."""
    try:
        if path.stem.endswith(f"-{_checksum(path):08x}"):
            return _map(path)
        _log.debug("%s is damaged", path)
        path.unlink()
    except (OSError, pa.ArrowException) as error:
        _log.debug("%s cannot be used: %s", path, error)
    return None


def _map(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as mapped:  # its columns keep the map after it is closed
        table = pa.ipc.open_file(mapped).read_all()
    metadata = dict(table.schema.metadata)
    del metadata[_ABOUT]
    return table.replace_schema_metadata(metadata or None)


def _about(path: Path) -> dict[str, Any]:
    try:
        with pa.memory_map(str(path)) as mapped:
            schema = pa.ipc.open_file(mapped).schema
        about: dict[str, Any] = json.loads(schema.metadata[_ABOUT])
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return {"source": "(damaged)", "rows": 0}
    return about


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _tidy() -> None:
    """Remove what a killed process left, what was not used for long, and the oldest of too much."""
    for name, age in ((_LEFTOVER, LEFTOVER_S), (_TABLE, UNUSED_S)):
        for path in _ours(name):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > age:
                    path.unlink()
    n_bytes = 0
    for entry in entries():
        n_bytes += entry.n_bytes
        if n_bytes > MOST_BYTES:
            with contextlib.suppress(OSError):
                entry.path.unlink()
