"""A table as a user has one: every kind of column, written in several ways, with gaps."""

import numpy as np
import pandas as pd

SHOPS = ("data=csv", "data.path=shops.csv", "data.target=sales", "data.datetime=[opened]",
         "data.columns.categorical=[zip]", "features.one_hot_up_to=5")  # fmt: skip


def shops(n_rows: int) -> pd.DataFrame:
    """Give rows as a user has them: every kind of column, written in several ways, with gaps."""
    rng = np.random.default_rng(5)
    town = rng.integers(0, 30, n_rows)
    opened = pd.Timestamp("2001-01-01") + pd.to_timedelta(rng.integers(0, 7000, n_rows), "D")
    frame = pd.DataFrame(
        {
            "size": rng.integers(10, 500, n_rows).astype(object),
            "rent": rng.normal(20, 4, n_rows).round(2).astype(object),
            "open": rng.choice(["yes", "no"], n_rows).astype(object),
            "kind": rng.choice(["food", "shoes", "books"], n_rows).astype(object),
            "town": np.array([f"town {i}" for i in town], dtype=object),
            "zip": np.array([f"{i:05d}" for i in town % 7], dtype=object),
            "opened": opened.strftime("%d/%m/%Y").astype(object),
            "code": [f"code {i}" for i in range(n_rows)],
        }
    )
    frame["sales"] = town + frame["size"].astype(float) / 50 + rng.normal(0, 1, n_rows)
    for name in ("size", "rent", "open", "kind", "town", "opened"):
        frame.loc[rng.random(n_rows) < 0.1, name] = None
    return frame
