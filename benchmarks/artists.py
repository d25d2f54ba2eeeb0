"""Compare ways to encode the artists of a track: validation MSE of histogram boosting.

Run: uv run python benchmarks/artists.py       (real tracks, three splits, about a minute)

Every way gives the smoothed mean popularity of the artists' training tracks, and their number,
cross-fitted inside the training rows. They differ in what is done with several artists to a track.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import real_tracks
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import KFold

from popsearch.encoders import LabelMeans
from popsearch.plan import Plan

SEEDS = (777, 778, 779)
SMOOTH, N_FOLDS = 5.0, 5
WAYS = ("none", "first", "mean", "max", "pooled")
ARTISTS = "artist_ids"


def encode(way: str, X: pd.DataFrame, y: NDArray[np.float64], new: pd.DataFrame) -> list[NDArray]:
    """Give the encodings of training rows, cross-fitted, and of new rows."""
    if way == "none":
        return [np.empty((len(X), 0)), np.empty((len(new), 0))]
    if way == "pooled":
        means = LabelMeans(smooth=SMOOTH, cv=N_FOLDS, random_state=0)
        return [means.fit_transform(X[[ARTISTS]], y), means.transform(new[[ARTISTS]])]
    labels = X[ARTISTS].reset_index(drop=True)
    found = np.empty((len(X), 2))
    for others, fold in KFold(N_FOLDS, shuffle=True, random_state=0).split(y):
        found[fold] = _from_others(way, labels.iloc[others], y[others], labels.iloc[fold])
    return [found, _from_others(way, labels, y, new[ARTISTS])]


def _from_others(
    way: str, labels: pd.Series, y: NDArray[np.float64], new: pd.Series
) -> NDArray[np.float64]:
    """Give mean and number of tracks of new rows' artists, (n_rows, 2)."""
    seen = _single(way, labels)
    target = pd.Series(y[seen.index], index=seen.index)
    by_artist = target.groupby(seen.to_numpy()).agg(["sum", "count"])
    means = (by_artist["sum"] + SMOOTH * y.mean()) / (by_artist["count"] + SMOOTH)
    asked = _single(way, new)
    every = pd.DataFrame(
        {
            "mean": asked.map(means).astype(float).fillna(y.mean()),
            "n": asked.map(by_artist["count"]).astype(float).fillna(0.0),
        }
    )
    of_row = every.groupby(level=0)
    return np.column_stack(
        [of_row["mean"].agg("max" if way == "max" else "mean"), of_row["n"].max()]
    )


def _single(way: str, labels: pd.Series) -> pd.Series:
    """Give one artist to a row: the first of each track, or all, with the track's position."""
    lists = labels.reset_index(drop=True).str.split(",")
    return lists.str[0] if way == "first" else lists.explode()


def score(way: str, plan: Plan) -> float:
    """Give the validation MSE."""
    fold, y = plan.split.folds[0], plan.table.y
    X, new = plan.seen.iloc[fold.train], plan.seen.iloc[fold.val]
    numbers = [name for name in X if name != ARTISTS]
    train, val = (
        np.column_stack([part[numbers].to_numpy(dtype=float), codes])
        for part, codes in zip((X, new), encode(way, X, y[fold.train], new), strict=True)
    )
    model = HistGradientBoostingRegressor(max_iter=300, early_stopping=False, random_state=0)
    return float(mean_squared_error(y[fold.val], model.fit(train, y[fold.train]).predict(val)))


def main() -> None:
    """Score every way on every split, and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=real_tracks.DEFAULT, help="tracks.csv")
    args = parser.parse_args()
    report = Table(title="validation MSE, real tracks, features=catalogue")
    report.add_column("artists")
    for seed in SEEDS:
        report.add_column(f"split seed {seed}", justify="right")
    data = ["data=tracks", f"data.path='{args.data}'", "features=catalogue", "model=hist_gbr"]
    plans = [real_tracks.plan(*data, f"split.seed={seed}") for seed in SEEDS]
    for way in WAYS:
        report.add_row(way, *(f"{score(way, plan):.2f}" for plan in plans))
    Console(width=100).print(report)


if __name__ == "__main__":
    main()
