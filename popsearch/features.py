"""From a table's columns to the matrix a model sees."""

from typing import TYPE_CHECKING

from popsearch.config import FeaturesConfig
from popsearch.data import Table
from popsearch.errors import did_you_mean

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer


def build(cfg: FeaturesConfig, scaler: str) -> "ColumnTransformer":
    """Give an unfitted transformer from the table's columns to (n_rows, n_features).

    Parameters
    ----------
    scaler
        ``minmax`` brings every column to 0..1 over the rows it is fitted on; ``none`` leaves
        the values as they are.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import MinMaxScaler

    step = MinMaxScaler() if scaler == "minmax" else "passthrough"
    return ColumnTransformer([("columns", step, list(cfg.columns))])


def faults(cfg: FeaturesConfig, table: Table) -> list[str]:
    """Give what keeps these features from being taken from this table."""
    found = [
        f"features.columns: {column} is not a column of data={table.name}"
        f"{did_you_mean(column, table.X.columns)}"
        for column in cfg.columns
        if column not in table.X
    ]
    twice = sorted({c for c in cfg.columns if cfg.columns.count(c) > 1})
    return found + [f"features.columns: {column} is named more than once" for column in twice]
