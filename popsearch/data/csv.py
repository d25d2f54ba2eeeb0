"""Any table of the user's: its columns recognised, or of the kind that the user says."""

import re
from collections import Counter

import pyarrow as pa

from popsearch.data import cache, files, kinds
from popsearch.data.table import Columns, Kind, Table, assemble, first_rows, release_freed, view
from popsearch.errors import DataError, did_you_mean
from popsearch.source import CsvData

_CHARACTERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "point": "."}


def load(cfg: CsvData) -> Table:
    """Give the table of a file.

    Raises
    ------
    DataError
        If path or target are not given, or the file cannot be used, with the column and row.
    """
    lacking = [
        f"data.{key} is required for data=csv; give data.{key}={example}"
        for key, example in (("path", "FILE"), ("target", "COLUMN"))
        if getattr(cfg, key) is None
    ]
    if cfg.path is None or lacking:
        raise DataError(*lacking)
    file = files.find(cfg.path)
    settings = cfg.model_dump(exclude={"name", "path", "group_by", "order_by"})
    settings["ending"] = file.suffix.lower()  # the same bytes under another are no such file
    cells = cache.cached(file, settings, lambda: _parse(cfg))
    name = cfg.name or re.sub(r"[^\w.-]+", "_", file.name.partition(".")[0]) or "csv"
    return view(cells, name, f"{cells.num_rows:,} rows of {file.name}")


def _parse(cfg: CsvData) -> pa.Table:
    """Give the columns of a table, recognised and checked."""
    assert cfg.path is not None
    assert cfg.target is not None
    where = f"data.path={cfg.path}"
    table = files.read(
        cfg.path,
        text=cfg.columns.categorical,
        separator=_CHARACTERS[cfg.separator] if cfg.separator else None,
        decimal=_CHARACTERS[cfg.decimal],
        dropped=cfg.drop,
    )
    if faults := _naming_faults(cfg, table.column_names, where):
        raise DataError(*faults)
    given: dict[str, Kind] = dict.fromkeys(cfg.datetime, "datetime")
    given |= dict.fromkeys(cfg.columns.numeric, "numeric")
    given |= dict.fromkeys(cfg.columns.boolean, "boolean")
    given |= dict.fromkeys(cfg.columns.categorical, "categorical")
    columns: Columns = {}
    forms: dict[str, str] = {}
    first = first_rows(table.drop_columns([cfg.target]))
    for name in table.column_names:
        if name == cfg.target:
            continue
        try:
            if name in given:
                columns[name] = given[name], kinds.read_as(given[name], table, name, where)
            else:
                columns[name] = kinds.recognise(table, name, where, strict=name not in cfg.drop)
            if columns[name][0] == "datetime":
                forms[name] = files.form_of(table, name)
        except DataError as error:
            faults.extend(error.faults)
        table = table.drop_columns([name])  # or cells that change their type are held twice
        release_freed()
    try:
        y = files.numbers(table, cfg.target, where)
    except DataError as error:
        faults.extend(error.faults)
    del table
    if faults:
        raise DataError(*map(_hint, faults))
    return assemble(columns, cfg.target, y, where, frozenset(cfg.drop), forms, first)


def _hint(fault: str) -> str:
    """Give a fault with what to do where a number is written with a comma."""
    comma = re.search(r"has '[+-]?\d+,\d+'", fault)
    return f"{fault}; if its commas are decimal points, give data.decimal=comma" if comma else fault


def _naming_faults(cfg: CsvData, names: list[str], where: str) -> list[str]:
    """Give every setting that names a column which the table lacks, or names one twice."""
    kinds_given = {f"data.columns.{kind}": list(value) for kind, value in cfg.columns}
    asked = {"data.drop": cfg.drop, "data.datetime": cfg.datetime, **kinds_given}
    found = []
    if cfg.target not in names:
        found.append(
            f"{where}: data.target={cfg.target} is not a column"
            f"{did_you_mean(str(cfg.target), names)}"
        )
    for key, columns in asked.items():
        found += [
            f"{where}: {key}: {name} is not a column{did_you_mean(name, names)}"
            for name in columns
            if name not in names
        ]
        found += [
            f"{key}: {name} is data.target, which is no feature; leave it out here"
            for name in columns
            if name == cfg.target
        ]
    read_as = Counter([*cfg.datetime, *(name for value in kinds_given.values() for name in value)])
    return found + [
        f"data.columns and data.datetime must give each column one kind, but {name} has {n}"
        for name, n in read_as.items()
        if n > 1
    ]
