"""The Optuna side of a search: the only package that imports Optuna."""

from popsearch.study import stored, warm_start
from popsearch.study.asked import Asked
from popsearch.study.connection import storage_errors
from popsearch.study.patience import Patience
from popsearch.study.samplers import faults
from popsearch.study.stored import StoredTrial
from popsearch.study.study import Study

__all__ = [
    "Asked",
    "Patience",
    "StoredTrial",
    "Study",
    "faults",
    "storage_errors",
    "stored",
    "warm_start",
]
