"""Columns that scikit-learn has no encoder for: several labels to a cell, dates, few quantiles.

A stored model carries this package: it needs nothing else of popsearch. What is fitted is held in
plain arrays, lists and numbers, which skops stores without pickle.
"""

from popsearch.encoders.dates import DATE_PARTS, DateParts
from popsearch.encoders.labels import LabelMeans
from popsearch.encoders.plain import Quantiles, missing_as_nan

__all__ = ["DATE_PARTS", "DateParts", "LabelMeans", "Quantiles", "missing_as_nan"]
