"""Predictions for a table of any size: python -m popsearch predict."""
