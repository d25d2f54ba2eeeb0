"""How many threads the libraries below a model may use."""

import contextlib
from collections.abc import Iterator

ROWS_FOR_MANY = 50_000


@contextlib.contextmanager
def limited(n_rows: int) -> Iterator[None]:
    """Give OpenMP one thread where the rows are few, and BLAS one thread always.

    Parameters
    ----------
    n_rows
        Training rows: where they are few, threads wait for each other longer than they work,
        and beside other work on the machine several times longer. A matrix of some dozen
        columns is no work for several threads of BLAS.
    """
    from threadpoolctl import threadpool_limits

    limits = {"blas": 1} if n_rows >= ROWS_FOR_MANY else {"blas": 1, "openmp": 1}
    with threadpool_limits(limits):
        yield
