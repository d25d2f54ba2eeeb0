"""What a curve of errors, drawn on to its end, will come to."""

import math
from collections.abc import Sequence

MOST_SHARE = 0.98  # a curve that falls evenly is taken to become flatter all the same


def end(values: Sequence[float], budget: int, factor: float = 1.0) -> float:
    """Give what a curve of the best scores so far will come to.

    Of its last two equal parts, each a third of the curve, the second fell by some share of what
    the first did; all that follow are taken to fall by that share of the one before.

    Parameters
    ----------
    values
        After each step from the first.
    budget
        Number of steps at the end.
    factor
        The fall to come is so many times larger.
    """
    part = max(1, len(values) // 3)
    if len(values) < 2 * part + 1:
        return -math.inf  # nothing can be told
    earlier, later, last = (values[-1 - i * part] for i in (2, 1, 0))
    before, fall = earlier - later, later - last
    if fall <= 0:
        return last
    share = min(fall / before, MOST_SHARE) if before > 0 else MOST_SHARE
    n_parts = (budget - len(values)) / part
    to_come: float = fall * share * (1 - share**n_parts) / (1 - share)
    return last - factor * to_come
