"""How many threads the libraries below a model may use."""

import contextlib
import os
from collections.abc import Iterator

ROWS_FOR_MANY = 50_000
SPINS = "10000"


def configure() -> None:
    """Let threads that wait for each other give way soon; call it before scikit-learn is there.

    By default OpenMP's threads spin for milliseconds at each of the thousands of meeting points
    of a fit. On a machine that has other work too the fit then takes a hundred times as long.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


@contextlib.contextmanager
def limited(n_rows: int) -> Iterator[None]:
    """Give OpenMP one thread where the rows are few, and BLAS one thread always.

    Parameters
    ----------
    n_rows
        Training rows: below some ten thousand the threads wait longer than they work, and a
        matrix of some dozen columns is no work for several.
    """
    from threadpoolctl import threadpool_limits

    limits = {"blas": 1} if n_rows >= ROWS_FOR_MANY else {"blas": 1, "openmp": 1}
    with threadpool_limits(limits):
        yield
