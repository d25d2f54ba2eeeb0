"""The bytes of a CSV that may be packed, handed out as they are read."""

import codecs
import contextlib
import errno
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from popsearch.errors import DataError

_CHUNK = 1 << 20
_PACKED = {b"\x1f\x8b": ".csv.gz", b"PK\x03\x04": ".zip", b"PAR1": ".parquet"}
_DAMAGED = (
    EOFError,
    OverflowError,  # an offset in a broken zip beyond all files
    RuntimeError,  # an encrypted zip, or one packed in a way that Python does not know
    ValueError,
    OSError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class Source(io.RawIOBase):
    """The bytes of a CSV, unpacked, from its header on; counts the quotation marks among them.

    Raises
    ------
    DataError
        If the file cannot be unpacked, when it is opened or while it is read.
    """

    def __init__(self, file: Path, where: str) -> None:
        self._file, self._where = file, where
        self._opened = contextlib.ExitStack()
        self._begun = False
        self.n_quotes = self.n_lines_before = 0
        with self._told():
            self._raw = self._open()

    def readable(self) -> bool:
        """Tell pyarrow that it may read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give at most so many bytes, and none at the end."""
        with self._told():
            data: bytes = self._raw.read(size)
            if not self._begun:
                data = self._begin(data.removeprefix(codecs.BOM_UTF8), size)
        self.n_quotes += data.count(b'"')
        return data

    def close(self) -> None:
        """Close the file."""
        self._opened.close()
        super().close()

    def _begin(self, data: bytes, size: int) -> bytes:
        """Skip the blank lines before the header, which Arrow would take for it."""
        while True:
            rest = data.lstrip(b"\r\n")
            self.n_lines_before += data[: len(data) - len(rest)].count(b"\n")
            if rest or not data:
                self._begun = True
                return rest
            data = self._raw.read(size)

    @property
    def share(self) -> float:
        """How much of the file was read, 0 to 1."""
        return self._disk.tell() / max(self._file.stat().st_size, 1)

    def _open(self) -> Any:
        self._disk = self._opened.enter_context(self._file.open("rb", buffering=0))
        match self._file.suffix.lower():
            case ".gz":
                return self._opened.enter_context(gzip.open(self._disk))
            case ".zip":
                packed = self._opened.enter_context(zipfile.ZipFile(self._disk))
                member = _only_csv(packed.namelist(), self._file.stem, self._where)
                return self._opened.enter_context(packed.open(member))
            case _:
                return self._disk

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise  # the disk, not the content
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise DataError(
                f"{self._where}: must be a whole {self._file.suffix} file, but it cannot be "
                f"unpacked ({reason[0]}); fetch or pack it again"
            ) from None


def check(file: Path, where: str) -> None:
    """Look at every byte of a CSV.

    Raises
    ------
    DataError
        If they are not UTF-8, with the line, or the quotation marks do not pair up.
    """
    rest = b""
    with Source(file, where) as source:
        chunk = source.read(_CHUNK)
        line = source.n_lines_before + 1
        while chunk or rest:
            raw = rest + chunk
            try:
                used = codecs.utf_8_decode(raw, "strict", not chunk)[1]
            except UnicodeDecodeError as error:
                if packing := next((p for p in _PACKED if raw.startswith(p)), None):
                    raise DataError(
                        f"{where}: must be text, but it is a {_PACKED[packing]} file; give it "
                        f"that ending"
                    ) from None
                line += raw.count(b"\n", 0, error.start)
                raise DataError(
                    f"{where}: must be UTF-8 text, but byte {raw[error.start]:#04x} in line {line} "
                    "is not; save the file as UTF-8"
                ) from None
            line += raw.count(b"\n", 0, used)
            rest = raw[used:]
            chunk = source.read(_CHUNK)
    check_quotes(source.n_quotes, where)


def check_quotes(n_quotes: int, where: str) -> None:
    """Refuse a CSV where Arrow would take all rows after a lone quotation mark as one cell.

    Raises
    ------
    DataError
        If the number of quotation marks is odd.
    """
    if n_quotes % 2:
        raise DataError(
            f"{where}: the quotation marks must pair up, but their number is odd; "
            "save the table as CSV again"
        )


def _only_csv(names: list[str], stem: str, where: str) -> str:
    # A zip made on a Mac holds a shadow of every file, which is not the user's.
    own = [n for n in names if not n.endswith("/") and not n.startswith("__MACOSX/")]
    tables = [n for n in own if n.lower().endswith(".csv")]
    if own == [stem]:  # pandas writes t.zip so
        return stem
    if len(tables) != 1:
        listed = ", ".join(own[:5]) + (", ..." if len(own) > 5 else "") or "nothing"
        raise DataError(
            f"{where}: the zip must hold one .csv file, but it holds {listed}; "
            "unpack it and give the path of the table"
        )
    return tables[0]
