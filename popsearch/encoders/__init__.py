"""Columns that scikit-learn has no encoder for: several labels to a cell, dates, few quantiles.

A stored model needs this package and nothing else of popsearch. What is fitted is held in plain
arrays, lists and numbers, which skops stores without pickle.
"""

from popsearch.encoders.dates import DATE_PARTS, DateParts
from popsearch.encoders.labels import LabelMeans
from popsearch.encoders.plain import CategoryMeans, EmptyAsZero, categories

__all__ = [
    "DATE_PARTS",
    "CategoryMeans",
    "DateParts",
    "EmptyAsZero",
    "LabelMeans",
    "categories",
]
