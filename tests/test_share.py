"""What of a computer belongs to each of several workers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsearch.workers import share
from popsearch.workers.share import Share


@given(
    cores=st.lists(st.integers(0, 63), min_size=1, max_size=16, unique=True),
    n_workers=st.integers(1, 20),
)
def test_cores_are_shared_out(cores: list[int], n_workers: int) -> None:
    """Each worker has one at least, none has another's while there are enough, none is idle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share, "_cores", lambda: sorted(cores))
        shares = [Share.of(i, n_workers).cores for i in range(n_workers)]
    given_out = [core for own in shares for core in own]
    assert all(shares)
    if n_workers <= len(cores):
        assert sorted(given_out) == sorted(cores)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    else:
        assert set(given_out) == set(cores)


def test_gpus_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker sees one, in turn; without any the variable is left alone."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    seen = [Share.of(i, 3).environment["CUDA_VISIBLE_DEVICES"] for i in range(3)]
    assert seen == ["4", "7", "4"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(share, "_GPUS", Path("/nowhere"))
    assert "CUDA_VISIBLE_DEVICES" not in Share.of(0, 2).environment
