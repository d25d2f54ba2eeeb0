"""Where tables come from: one module for each source."""

from typing import assert_never

from popsearch.data.split import Fold, Split, split, uneven
from popsearch.data.split import faults as split_faults
from popsearch.data.table import Column, Kind, Table
from popsearch.source import CsvData, Data, DemoData, TracksData

__all__ = ["Column", "Fold", "Kind", "Split", "Table", "load", "split", "split_faults", "uneven"]

_last: tuple[str, Table] | None = None  # the families of a sweep share one table


def load(cfg: Data) -> Table:
    """Give the table that a configuration names.

    Raises
    ------
    DataError
        If it cannot be read or used.
    """
    global _last
    key = cfg.model_dump_json()
    if _last is None or _last[0] != key:
        _last = key, _load(cfg)
    return _last[1]


def _load(cfg: Data) -> Table:
    match cfg:
        case DemoData():
            from popsearch.data import demo

            return demo.load(cfg)
        case TracksData():
            from popsearch.data import tracks

            return tracks.load(cfg)
        case CsvData():
            from popsearch.data import csv

            return csv.load(cfg)
        case _:
            assert_never(cfg)
