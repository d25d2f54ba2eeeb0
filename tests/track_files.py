"""A small file of made-up tracks, of the form of the Kaggle table."""

from pathlib import Path

import numpy as np

from popsearch.data import demo


def written(folder: Path, n_rows: int) -> Path:
    """Write so many tracks and give the file; every artist has several."""
    X, y, _ = demo.generate(n_rows, seed=5)
    rng = np.random.default_rng(5)
    tracks = X.drop(columns=["year", "duration_sec"])
    artists = [f"['artist {i}']" for i in rng.integers(n_rows // 10, size=n_rows)]
    tracks["id"] = [f"id{i}" for i in range(n_rows)]
    tracks["name"] = [f"Song, the {i}th" for i in range(n_rows)]
    tracks["popularity"] = y.astype(int)
    tracks["duration_ms"] = X["duration_sec"].astype(int) * 1000
    tracks["explicit"] = rng.integers(2, size=n_rows)
    tracks["artists"] = tracks["id_artists"] = artists
    tracks["release_date"] = [f"{int(year)}-05-17" for year in X["year"]]
    tracks["time_signature"] = 4
    path = folder / "tracks.csv"
    tracks.to_csv(path, index=False)
    return path
