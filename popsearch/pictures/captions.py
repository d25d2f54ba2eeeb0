"""Titles of the pictures, and a sentence on how to read each, in the order of the report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caption:
    """Title of a picture and how it is read.

    Parameters
    ----------
    marks
        What stands only in the PNG.
    """

    title: str
    text: str
    marks: str = ""


CAPTIONS = {
    "predicted_vs_true": Caption(
        "Predicted against true",
        "Each dot is a test row. On the dashed line a prediction is right; the mean of the true "
        "values (orange, quartiles thin) follows it where predictions can be taken at their word.",
    ),
    "residuals_by_target": Caption(
        "Errors by true value",
        "Above zero the model predicted too little, below too much. Where noise is large, high "
        "values are predicted too low and low ones too high, by any model.",
    ),
    "residuals_by_column": Caption(
        "Errors over time, or along the most important column",
        "The mean error (orange) should stay at zero from left to right; where it does not, the "
        "model misses something that changes along this axis.",
    ),
    "permutation_importance": Caption(
        "What the model relies on",
        "How much worse the predictions become when the values of one column are shuffled "
        "(a tick for each shuffle). Columns that tell the same share their importance.",
    ),
    "partial_dependence": Caption(
        "How predictions change with a column",
        "The mean prediction (orange) if a column had the same value in every row, and some single "
        "rows (blue): where these are not parallel, other columns matter for the effect. It is "
        "what the model does, not what causes what. Ticks part the "
        "rows into tenths.",
    ),
    "learning_curves": Caption(
        "Learning curves",
        "Error after each step of training; the best trial is bold. A wide gap means learning by "
        "heart; curves that still fall at their end, that more steps or more rows would help.",
    ),
    "optimization_history": Caption(
        "The search, trial by trial",
        "Every dot is a trial. Where the orange line has long been flat, more trials will hardly "
        "help; hollow dots were stopped early, at the error they had then.",
        "Triangles lie above.",
    ),
    "pareto_front": Caption(
        "Error against time to predict",
        "Of the trials of the front none is worse than another in both: choose among them by how "
        "quick the predictions have to be.",
        "They are blue, with their numbers.",
    ),
    "param_importances": Caption(
        "Which parameters mattered",
        "The share of each parameter in what makes a trial one of the best (PED-ANOVA). Pruned "
        "trials count with their last error. Of few trials it is a rough guide.",
    ),
    "slice": Caption(
        "Error over each parameter",
        "Low dots are good. Where the best ones crowd at an edge, a wider range may be better.",
        "The star is the best trial, hollow dots were stopped early, triangles lie above.",
    ),
    "parallel_coordinate": Caption(
        "All parameters at once",
        "A line is a trial, with its error and its parameters; dark lines are the good ones. Where "
        "these meet, the parameter has to be so.",
        "Orange is the best trial.",
    ),
}
