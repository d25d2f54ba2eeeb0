"""Where tables come from: one module for each source."""

from functools import lru_cache
from typing import assert_never

import numpy as np

from popsearch.config import Data, DemoData, TracksData
from popsearch.data.table import Split, Table, freeze, split

__all__ = ["Split", "Table", "load", "split"]


@lru_cache(maxsize=1)  # the families of a sweep share one table
def load(cfg: Data) -> Table:
    """Give the table that a configuration names.

    Raises
    ------
    DataError
        If it cannot be read or used.
    """
    match cfg:
        case DemoData():
            from popsearch.data import demo

            X, y, true_mean = demo.generate(cfg.rows, cfg.seed)
            about = f"{cfg.rows:,} synthetic tracks, seed {cfg.seed}"
            columns = {str(name): X[name].to_numpy(dtype=np.float64) for name in X}
            return freeze(cfg.name, about, columns, y, true_mean)
        case TracksData():
            from popsearch.data import tracks

            return tracks.load(cfg.name, cfg.path)
        case _:
            assert_never(cfg)
