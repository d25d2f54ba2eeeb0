"""When a search ends before it has all its trials."""

import math
from collections import Counter
from collections.abc import Iterable

from popsearch.outcome import State


class Stopping:
    """Hears how trials end, and tells whether to go on.

    Parameters
    ----------
    patience, min_improvement
        After so many trials in which the best score did not become smaller by this share of it, a
        search ends. Failed trials do not count; pruned ones do, and repetitions of earlier ones.
    max_failures
        After so many failures in a row a search ends.
    """

    def __init__(
        self,
        patience: int | None = None,
        min_improvement: float = 0.0,
        max_failures: int | None = None,
    ) -> None:
        self._patience, self._share = patience, min_improvement
        self._max_failures = max_failures
        self._reference = math.inf  # the score that the next must be better than
        self._since, self._failures = 0, list[str]()

    def replay(self, earlier: Iterable[tuple[State, float | None, str]]) -> None:
        """Hear of the trials that ended before; what failed then may have been mended since."""
        for end in earlier:
            self.hear(*end)
        self._failures.clear()

    def hear(self, state: State, val_mse: float | None, reason: str) -> None:
        """Hear how a trial ended.

        Parameters
        ----------
        val_mse
            Its score, where it is complete.
        reason
            Why it failed.
        """
        if state == "failed":
            self._failures.append(reason.strip().partition("\n")[0])
            return
        self._failures.clear()
        self._since += 1
        if val_mse is not None and val_mse < self._reference * (1 - self._share):
            self._reference, self._since = val_mse, 0

    @property
    def reason(self) -> str | None:
        """Why to stop now: ``max_failures`` or ``patience``; none where there is no reason."""
        if self._max_failures is not None and len(self._failures) >= self._max_failures:
            return "max_failures"
        if self._patience is not None and self._since >= self._patience:
            return "patience"
        return None

    @property
    def causes(self) -> list[str]:
        """Why the last trials in a row failed, the most frequent cause first."""
        by = Counter(self._failures).most_common()
        return [f"{n} times {cause}" if n > 1 else cause for cause, n in by]
