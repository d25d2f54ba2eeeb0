"""Parsed tables that are kept: mapped, whole or not there, and never of another file."""

import itertools
import json
import os
import resource
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsearch import __main__
from popsearch.data import cache
from popsearch.errors import DataError

HOUR, DAY = 3600, 24 * 3600
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
CELLS = {
    pa.float64(): st.floats(allow_nan=False) | st.none(),
    pa.large_string(): TEXT | st.none(),
    pa.timestamp("us"): st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)) | st.none(),
    pa.dictionary(pa.int32(), pa.string()): st.sampled_from("abc"),
}


@pytest.fixture(autouse=True)
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep tables in an empty folder, which is given."""
    monkeypatch.setenv("POPSEARCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tables"


def write(folder: Path, raw: bytes = b"a\n1\n", name: str = "t.csv") -> Path:
    """Write a file to read tables from."""
    path = folder / name
    path.write_bytes(raw)
    return path


def table(*values: float) -> pa.Table:
    """Give a table of one column."""
    return pa.table({"a": values or (1.0, 2.0)})


def big() -> pa.Table:
    """Give a table of 800 kB."""
    return pa.table({"a": pa.array(range(100_000), pa.float64())})


def refuse() -> pa.Table:
    """Stand for a build that must not happen."""
    raise AssertionError("the table was built again")


def fork(work: Callable[[], object]) -> int:
    """Start a process that does this work and ends with 0 if it raised nothing; give its number."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    """Wait for a process: its exit code, or minus the number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@st.composite
def any_table(draw: st.DrawFn) -> pa.Table:
    """Give a table of any types, in several chunks, with or without rows and metadata."""
    kinds = draw(st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=4))
    sizes = draw(st.lists(st.integers(0, 5), max_size=3))
    columns = [
        pa.chunked_array([draw(st.lists(CELLS[kind], min_size=n, max_size=n)) for n in sizes], kind)
        for kind in kinds
    ]
    about = draw(st.none() | st.dictionaries(TEXT.map(str.encode), TEXT.map(str.encode)))
    return pa.table(columns, [f"c{i}" for i in range(len(kinds))], metadata=about or None)


@given(any_table())
def test_any_table_comes_back_as_it_was_built(
    tmp_path_factory: pytest.TempPathFactory, built: pa.Table
) -> None:
    """Built or kept, values, types and metadata are the same, each column in one chunk."""
    file = write(tmp_path_factory.mktemp("any"), os.urandom(16))
    for build in (lambda: built, refuse):
        found = cache.cached(file, {}, build)
        assert found.schema.equals(built.schema, check_metadata=True)
        assert found.to_pydict() == built.to_pydict()
        assert [column.num_chunks for column in found.columns] == [1] * found.num_columns
        found.validate(full=True)


def test_numbers_lie_in_the_mapped_file(tmp_path: Path, tables: Path) -> None:
    """What numpy sees is the page of the file, not a copy, from the first call on."""
    file, source = write(tmp_path), big()
    for build in (lambda: source, refuse):
        values = cache.cached(file, {}, build)["a"].chunk(0).to_numpy(zero_copy_only=True)
        address = values.__array_interface__["data"][0]
        maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
        bounds = [(m[0].split("-"), m[-1]) for m in maps]
        (name,) = [n for (low, high), n in bounds if int(low, 16) <= address < int(high, 16)]
        assert name.startswith(str(tables))


def test_the_built_table_is_freed(tmp_path: Path) -> None:
    """After the first call Arrow holds no more memory than before."""
    file, before = write(tmp_path), pa.total_allocated_bytes()
    found = cache.cached(file, {}, big)
    assert found.nbytes == 800_000
    assert pa.total_allocated_bytes() - before < 10_000


def test_a_file_changed_in_place_is_read_anew(tmp_path: Path) -> None:
    """One other byte is another table, though size and time are as they were."""
    file = write(tmp_path, b"a\n1\n")
    status = file.stat()
    cache.cached(file, {}, lambda: table(1))
    write(tmp_path, b"a\n2\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert cache.cached(file, {}, lambda: table(2)).equals(table(2))


def test_settings_and_the_parser_are_part_of_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other settings or a newer parser build anew; the order of settings, or a copy, do not."""
    file, n_built = write(tmp_path), itertools.count()
    given = {"drop": ["x"], "separator": None}

    def builds(file: Path, settings: dict[str, Any]) -> bool:
        before = next(n_built)
        cache.cached(file, settings, lambda: table(next(n_built), 0))
        return next(n_built) > before + 1

    assert builds(file, given)
    assert not builds(file, {"separator": None, "drop": ["x"]})
    assert not builds(write(tmp_path, name="copy.csv"), given)
    assert builds(file, given | {"drop": ["y"]})
    assert builds(file, given | {"separator": ""})
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    assert builds(file, given)


def test_what_is_wrong_with_a_file_is_told_by_build(tmp_path: Path, tables: Path) -> None:
    """A file that is not there, or cannot be parsed, ends as build ends it and leaves nothing."""

    def build() -> pa.Table:
        raise DataError("data.path=t.csv: there is no such file")

    for file in (tmp_path / "t.csv", write(tmp_path, name="bad.csv")):
        with pytest.raises(DataError, match="there is no such file"):
            cache.cached(file, {}, build)
    assert not tables.exists()


def test_a_file_that_is_written_to_while_it_is_read_is_not_kept(
    tmp_path: Path, tables: Path
) -> None:
    """The rows that were read may be those of neither content."""
    file = write(tmp_path, b"a\n1\n")

    def build() -> pa.Table:
        write(tmp_path, b"a\n2\n")
        return table(1.5)

    assert cache.cached(file, {}, build).equals(table(1.5))
    assert not tables.exists()


@given(share=st.floats(0, 1, exclude_max=True), how=st.sampled_from(["cut", "zeros", "flip"]))
def test_a_damaged_table_is_built_again(
    tmp_path_factory: pytest.TempPathFactory, share: float, how: str
) -> None:
    """Cut, overwritten with zeros or with one byte changed: the right table, and kept anew."""
    file = write(tmp_path_factory.mktemp("damaged"), os.urandom(16))
    right = table(*range(1, 1000))
    cache.cached(file, {}, lambda: right)
    path = max((e.path for e in cache.entries()), key=lambda p: p.stat().st_mtime_ns)
    raw = path.read_bytes()
    at = int(share * len(raw))
    rest = {
        "cut": b"",
        "zeros": bytes(len(raw) - at),
        "flip": bytes([raw[at] ^ 1]) + raw[at + 1 :],
    }
    path.write_bytes(raw[:at] + rest[how])
    n_built = itertools.count()

    def build() -> pa.Table:
        next(n_built)
        return right

    assert cache.cached(file, {}, build).equals(right)
    assert next(n_built) == (path.read_bytes() == raw and raw[:at] + rest[how] != raw)
    assert path.read_bytes() == raw
    assert cache.cached(file, {}, refuse).equals(right)


def test_sixteen_processes_start_on_an_empty_folder(tmp_path: Path, tables: Path) -> None:
    """Each gets the table, and one file is left."""
    file = write(tmp_path)
    ready, go = os.pipe()

    def work() -> None:
        os.close(go)
        os.read(ready, 1)  # until all have begun
        assert cache.cached(file, {}, big).equals(big())

    pids = [fork(work) for _ in range(16)]
    os.close(go)
    assert [ended(pid) for pid in pids] == [0] * 16
    os.close(ready)
    assert [path.suffix for path in tables.iterdir()] == [".arrow"]
    assert cache.cached(file, {}, refuse).equals(big())


@pytest.mark.parametrize("moment", ["in the middle of a write", "before fsync", "before replace"])
def test_killed_while_it_writes(tmp_path: Path, tables: Path, moment: str) -> None:
    """Whenever a process dies, no half table has a final name, and the rest is tidied up."""
    file = write(tmp_path)

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        if moment == "in the middle of a write":
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        else:
            setattr(os, moment.removeprefix("before "), die)
        cache.cached(file, {}, big)

    assert ended(fork(work)) in (-signal.SIGKILL, -signal.SIGXFSZ)
    (left,) = tables.iterdir()
    assert left.suffix == ".tmp"
    assert left.stat().st_size > 100_000
    assert cache.cached(file, {}, big).equals(big())
    assert left.exists()  # it may be another process's that is still writing
    os.utime(left, (0, time.time() - HOUR - 60))
    cache.cached(file, {"other": 1}, big)
    assert sorted(path.suffix for path in tables.iterdir()) == [".arrow", ".arrow"]


def test_a_full_disk_costs_only_the_time_to_build(tmp_path: Path, tables: Path) -> None:
    """Where the table does not fit, the built one is given and nothing stays behind."""
    file = write(tmp_path)

    def work() -> None:  # Python turns this limit into an error of the write
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        assert cache.cached(file, {}, big).equals(big())

    assert ended(fork(work)) == 0
    assert not list(tables.iterdir())


@pytest.mark.parametrize("blocked", ["cache", "cache/tables"])
def test_a_folder_that_cannot_be_made_costs_only_the_time_to_build(
    tmp_path: Path, blocked: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The built table is given, in one chunk, without a word."""
    path = tmp_path / blocked
    path.parent.mkdir(exist_ok=True)
    path.touch()
    halves = pa.concat_tables([table(1), table(2)])
    found = cache.cached(write(tmp_path), {}, lambda: halves)
    assert found.equals(halves)
    assert found["a"].num_chunks == 1
    assert capfd.readouterr() == ("", "")
    assert cache.entries() == []
    assert cache.clear() == (0, 0)


def test_clearing_leaves_other_processes_what_they_have_mapped(
    tmp_path: Path, tables: Path
) -> None:
    """A process reads all values after its table was removed."""
    file = write(tmp_path)
    mapped, tell = os.pipe()
    cleared, go = os.pipe()

    def work() -> None:
        found = cache.cached(file, {}, big)
        os.write(tell, b"x")
        os.close(go)
        os.read(cleared, 1)
        assert found.equals(big())

    pid = fork(work)
    os.read(mapped, 1)
    size = sum(path.stat().st_size for path in tables.iterdir())
    assert size > 800_000
    assert cache.clear() == (1, size)
    os.close(go)
    assert ended(pid) == 0
    for end in (mapped, tell, cleared):
        os.close(end)


def test_tables_unused_for_a_month_are_removed_when_another_is_written(
    tmp_path: Path, tables: Path
) -> None:
    """Using a table makes it young again; 29 days are no month, 31 are."""
    file, now = write(tmp_path), time.time()
    for days in (29, 31, 32):
        cache.cached(file, {"days": days}, table)
        (path,) = [p for p in tables.iterdir() if p.stat().st_mtime > now - DAY]
        os.utime(path, (0, now - days * DAY))
    cache.cached(file, {"days": 32}, refuse)
    cache.cached(file, {}, table)
    ages = [round((now - entry.last_used) / DAY) for entry in cache.entries()]
    assert ages == [0, 0, 29]


def test_only_tables_are_listed_and_removed(tmp_path: Path, tables: Path) -> None:
    """What else lies in the folder is not ours; a damaged table and what a death left are."""
    cache.cached(write(tmp_path, b"1", "first.csv"), {}, lambda: table(1, 2, 3))
    os.utime(cache.entries()[0].path, (0, time.time() - DAY))
    cache.cached(write(tmp_path, b"2", "second.csv"), {}, table)
    damaged = write(tables, b"x" * 7, f"{'0' * 64}-01234567.arrow")
    left = write(tables, b"x" * 5, f"{'0' * 64}abc_1234.tmp")
    os.utime(damaged, (0, 1000))
    foreign = {write(tables, b"x", name) for name in ("mine.arrow", "mine.tmp")}
    found = cache.entries()
    assert [(e.source, e.n_rows) for e in found] == [
        ("second.csv", 2),
        ("first.csv", 3),
        ("(damaged)", 0),
    ]
    assert (found[2].path, found[2].n_bytes, found[2].last_used) == (damaged, 7, 1000)
    n_bytes = sum(entry.n_bytes for entry in found) + left.stat().st_size
    assert cache.clear() == (3, n_bytes)
    assert set(tables.iterdir()) == foreign


def test_the_folder_is_the_users_cache_or_the_one_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """POPSEARCH_CACHE_DIR says where; without it the system's rules do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POPSEARCH_CACHE_DIR", "here")
    assert cache.folder() == tmp_path / "here"
    monkeypatch.delenv("POPSEARCH_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "popsearch"


def typed(*argv: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line; give its exit code."""
    monkeypatch.setattr("sys.argv", ["popsearch", *argv])
    try:
        __main__.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_command_lists_and_removes(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cache` shows file, rows, size and time of every table, `cache clear` what was freed."""
    name = (
        "a [bold] :car: and quite long name of a table, longer than lines of eighty characters.csv"
    )
    cache.cached(write(workdir, name=name), {}, big)
    cache.cached(write(workdir, b"2", "small.csv"), {}, table)
    for entry in cache.entries():
        os.utime(entry.path, (0, datetime(2021, 3, 4, 5, 6).timestamp() + entry.n_rows))
    assert typed("cache", monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "rows", "MiB", "last", "used"]
    assert lines[1].startswith("a [bold] :car: and quite")  # and the rest of it below
    assert lines[-3].strip().endswith("characters.csv")
    assert "100,000  0.8  2021-03-05 08:52" in lines[1]
    assert lines[-2].split() == ["small.csv", "2", "0.0", "2021-03-04", "05:06"]
    folder = workdir / "cache"
    assert lines[-1] == f"2 tables, 0.8 MiB in {folder}"
    assert typed("cache", "clear", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == f"removed 2 tables, freed 0.8 MiB in {folder}\n"
    assert typed("cache", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == f"0 tables, 0.0 MiB in {folder}\n"


@pytest.mark.parametrize("words", [["foo"], ["clear", "all"], ["clear=1"]])
def test_another_word_after_cache_is_refused(
    words: list[str],
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, exit code 2, and nothing is removed."""
    cache.cached(write(workdir), {}, table)
    assert typed("cache", *words, monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == (
        "popsearch: cache must stand alone or be followed by clear, "
        f"but got {' '.join(words)!r}; choose from: cache, cache clear\n"
    )
    assert len(cache.entries()) == 1


def test_a_table_that_cannot_be_removed_is_named(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is not ours ends with code 1 and the name of the file."""
    cache.cached(write(workdir), {}, table)
    path = cache.entries()[0].path
    path.unlink()
    path.mkdir()  # as unlink refuses it for every user
    assert typed("cache", "clear", monkeypatch=monkeypatch) == 1
    assert f"popsearch: cache clear: cannot remove {path}: " in capsys.readouterr().err


def test_only_the_first_word_is_a_command(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a setting, or with an equals sign, the word is read as a setting."""
    assert typed("cache=clear", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err.startswith("popsearch: cache is not a setting")
    assert typed("model=ridge", "cache", monkeypatch=monkeypatch) == 2
    assert "must have the form KEY=VALUE" in capsys.readouterr().err


def test_what_is_kept_says_where_it_came_from(tmp_path: Path, tables: Path) -> None:
    """The file is a plain Arrow file that names its source, whatever bytes that name has."""
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv"))
    file.write_bytes(b"x")
    cache.cached(file, {}, table)
    (path,) = tables.iterdir()
    with pa.OSFile(str(path)) as stored:
        read = pa.ipc.open_file(stored).read_all()
    assert read.equals(table())
    about = json.loads(read.schema.metadata[b"popsearch.cache"])
    assert about == {"source": "caf?.csv", "rows": 2}
    assert path.stat().st_mode & 0o077 == 0  # a table may be private


def test_the_oldest_of_too_many_bytes_are_removed(
    tmp_path: Path, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table for every try does not fill the disk: those not used for longest go first."""
    monkeypatch.setattr(cache, "MOST_BYTES", 2_000_000)
    for i in range(5):
        cache.cached(write(tmp_path, f"{i}".encode(), f"{i}.csv"), {}, big)
        newest = max(tables.glob("*.arrow"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (time.time() - HOUR + i, time.time() - HOUR + i))
    assert [entry.source for entry in cache.entries()] == ["4.csv", "3.csv", "2.csv"]
