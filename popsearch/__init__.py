"""Hyperparameter search and experiment tracking for tabular regression."""

__version__ = "0.1.0"
