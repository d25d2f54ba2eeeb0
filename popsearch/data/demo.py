"""A made-up table shaped like the full Kaggle Spotify table: offline, quick, its floor known.

Every distribution here is invented. The features follow the published summary of the real table.
The law of popularity is calibrated so that models come out in the order, and near the errors, of
the deck this project began with: linear 212, boosting 185, network 176. Below them lies a floor
that no model can pass, about 169; what it is on the real table nobody knows.
`benchmarks/demo_calibration.py` measures all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from popsearch.data.table import Kind, Table
    from popsearch.source import DemoData

FULL_ROWS = 586_672

# The marginals: the value of each feature at these shares of the rows, and straight lines between.
# Where the feature is a whole number the line is rounded: .21 makes 66 % of the tracks major.
_SHARES = (0.0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
_QUANTILES: dict[str, tuple[float, ...]] = {
    "year": (1922, 1922, 1927, 1944, 1955, 1974, 1992, 2007, 2017, 2020, 2021, 2021, 2021),
    "danceability": (0.05, 0.1, 0.17, 0.27, 0.34, 0.45, 0.58, 0.69, 0.77, 0.81, 0.89, 0.95, 0.99),
    "energy": (0, 0.003, 0.03, 0.11, 0.19, 0.343, 0.549, 0.748, 0.88, 0.925, 0.975, 0.995, 1),
    "key": (0, 0, 0, 0, 0, 2, 5, 8, 10, 11, 11, 11, 11),
    "loudness": (-60, -35, -24.5, -19.5, -16.8, -12.9, -9.24, -6.48, -4.8, -4, -2.6, -0.8, 5),
    "mode": (0, 0, 0, 0, 0, 0.21, 1, 1, 1, 1, 1, 1, 1),
    "speechiness": (0.02, 0.02, 0.025, 0.028, 0.03, 0.034, 0.044, 0.076, 0.19, 0.5, 0.95, 0.96, 1),
    "acousticness": (0, 0, 0, 0.004, 0.016, 0.097, 0.422, 0.785, 0.945, 0.98, 0.993, 0.995, 0.996),
    "instrumentalness": (0, 0, 0, 0, 0, 0, 0, 0.0096, 0.55, 0.85, 0.93, 0.97, 1),
    "liveness": (0.01, 0.02, 0.04, 0.06, 0.073, 0.098, 0.139, 0.278, 0.41, 0.62, 0.95, 0.985, 1),
    "valence": (0, 0.025, 0.04, 0.12, 0.18, 0.346, 0.564, 0.769, 0.9, 0.95, 0.97, 0.98, 1),
    "tempo": (35, 47, 65, 75, 81, 95.6, 117.4, 136.3, 159, 172, 192, 208, 246),
    "duration_sec": (4, 18, 50, 95, 128, 175, 215, 264, 330, 385, 560, 1200, 5600),
}
_DECIMALS = (0, 4, 4, 0, 3, 0, 4, 4, 4, 4, 4, 3, 0)  # about as many as the real file prints

FEATURES: tuple[str, ...] = tuple(_QUANTILES)

# Correlations of the normal scores behind the marginals, in hundredths, below the diagonal: as
# measured on real tracks, those with the year raised to what a whole century shows.
_CORRELATIONS: tuple[tuple[int, ...], ...] = (
    (),
    (20,),
    (45, 20),
    (2, 3, 4),
    (48, 20, 76),
    (-10, -8, -6, -15, -5),
    (0, 22, 12, 4, 2, -11),
    (-50, -22, -71, -3, -55, 5, -3),
    (-22, -24, -18, 0, -36, -3, -16, 10),
    (-2, -15, 11, -1, 4, 1, 10, -2, -7),
    (3, 52, 36, 3, 26, 1, 10, -18, -21, -5),
    (10, -6, 22, 0, 18, 1, 2, -19, -4, -1, 12),
    (12, -14, 10, 1, 6, -5, -21, -14, 15, -3, -17, 1),
)

# Centre and unit of every feature in the law of popularity: about its mean and standard deviation.
_CENTRES = (1988, 0.56, 0.54, 5.2, -10.2, 0.66, 0.1, 0.45, 0.11, 0.21, 0.55, 118.5, 225)
_UNITS = (23, 0.17, 0.25, 3.5, 5.1, 0.47, 0.18, 0.35, 0.27, 0.18, 0.26, 29.8, 100)


def load(cfg: DemoData) -> Table:
    """Give the table of made-up tracks."""
    from popsearch.data.table import assemble, view

    X, y, true_mean = generate(cfg.rows, cfg.seed)
    numeric: Kind = "numeric"
    columns = {name: (numeric, X[name].to_numpy(dtype=np.float64)) for name in FEATURES}
    cells = assemble(columns, "popularity", y, f"data={cfg.name}")
    return view(cells, cfg.name, f"{cfg.rows:,} synthetic tracks, seed {cfg.seed}", true_mean)


def generate(
    n_rows: int, seed: int
) -> tuple[pd.DataFrame, NDArray[np.float64], NDArray[np.float64]]:
    """Return made-up tracks, their popularity, and the popularity to be expected of each.

    The distribution is invented: calibrated so that, at `FULL_ROWS` rows, models come out in the
    order of the deck. Rows are independent draws, and the first rows of a longer table with the
    same seed are the rows of a shorter one.

    Parameters
    ----------
    n_rows
        Number of tracks.
    seed
        Seed of the generator. The same seed gives the same table.

    Returns
    -------
    X
        Features, of shape (n_rows, 13), in the order of `FEATURES`.
    y
        Popularity, of shape (n_rows,): whole numbers from 0 to 100.
    conditional_mean
        E[y | x], of shape (n_rows,). The mean of (y - conditional_mean)**2 is the irreducible
        error: what the best of all possible models scores on these rows.
    """
    import pandas as pd
    from scipy.special import ndtr

    # One row takes 15 numbers from the stream, whatever the length of the table.
    draws = np.random.Generator(np.random.PCG64(seed)).standard_normal((n_rows, 15))
    tracks = _tracks(draws[:, :13])
    m, s, p0 = _law(tracks)
    y = np.rint(np.clip(m + s * draws[:, 13], 0.0, 100.0))
    y[ndtr(draws[:, 14]) < p0] = 0.0
    return pd.DataFrame(tracks, columns=list(FEATURES)), y, _conditional_mean(m, p0)


def _tracks(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features from independent normal draws, both of shape (n_rows, 13)."""
    from scipy.special import ndtr

    latent = np.eye(13)
    for i, row in enumerate(_CORRELATIONS):
        latent[i, : len(row)] = latent[: len(row), i] = np.array(row) / 100
    ranks = ndtr(draws @ np.linalg.cholesky(latent).T)
    columns = [
        np.interp(rank, _SHARES, values).round(decimals)
        for rank, values, decimals in zip(ranks.T, _QUANTILES.values(), _DECIMALS, strict=True)
    ]
    tracks = np.column_stack(columns)
    # Where the service hears no beat it reports zero for all four, as in the real table.
    no_beat = ranks[:, FEATURES.index("tempo")] < 0.0008
    for name in ("tempo", "danceability", "speechiness", "valence"):
        tracks[no_beat, FEATURES.index(name)] = 0.0
    return tracks


def _law(
    tracks: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation before clipping, and the chance of an unheard track, per row."""
    from scipy.special import expit

    # Clipped, so that one recording of 90 minutes does not rule the fit of a linear model. The key
    # says nothing about popularity, and a good search may find that it does not.
    scaled = np.clip((tracks - np.array(_CENTRES)) / np.array(_UNITS), -3.0, 3.0)
    year, dance, energy, _, loud, mode, speech = scaled.T[:7]
    acoustic, instrumental, live, mood, tempo, length = scaled.T[7:]
    # What a linear model finds.
    m = 35.1 + 7.6 * year + loud + 0.7 * dance - 0.3 * mode
    m -= 0.8 * mood + 0.8 * live + 0.6 * acoustic
    # What shallow trees find too: bends in one feature, and a product of two.
    m += 4.0 * np.tanh(2.0 * (year - 0.9)) - 10.4 * np.tanh(length) ** 2 - 2.6 * mood**2
    m += 6.0 * np.tanh(year) * np.tanh(dance) - 2.0 * np.tanh(1.5 * speech)
    m -= 2.0 * np.tanh(instrumental)
    # What networks find more of: waves and a saddle that run across several features at once. Trees
    # must build these from steps along one feature at a time.
    m += 3.5 * np.sin(1.4 * energy - 1.3 * mood + year)
    m += 3.3 * np.sin(1.4 * dance + 1.2 * acoustic - loud)
    m += 3.0 * np.sin(2.5 * (energy + year + dance - tempo))
    m += 4.0 * np.tanh(1.5 * (mood + tempo) * (acoustic - year))
    # Old recordings and spoken ones are the most likely never to be played.
    return m, _deviation(m), expit(-4.4 - 1.1 * year + 0.8 * speech)


def _deviation(m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deviation of the noise about `m`, of the same shape: unplayed tracks vary less."""
    return 10.75 + 3.8 * np.tanh((m - 15.0) / 10.0)


def _conditional_mean(m: NDArray[np.float64], p0: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return E[y | x] from `m` and `p0` as `_law` gives them, all of shape (n_rows,)."""
    from scipy.special import ndtr

    # A whole number from 0 to 100 is the count of the k = 1..100 it reaches, and rounding reaches k
    # from k - 1/2 on: the mean of the rounded score is the sum of P(m + s * noise > k - 1/2). As s
    # depends on m alone, so does the sum, and a grid with steps of .01 gives it to within 1e-6.
    grid = np.arange(-60.0, 160.0, 0.01)
    deviation = _deviation(grid)
    scores = np.zeros_like(grid)
    for k in range(1, 101):
        scores += ndtr((grid - (k - 0.5)) / deviation)
    return (1.0 - p0) * np.interp(m, grid, scores)
