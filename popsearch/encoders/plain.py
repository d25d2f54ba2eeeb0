"""What scikit-learn's own encoders need around them."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.preprocessing import QuantileTransformer


class Quantiles(QuantileTransformer):  # type: ignore[misc]
    """scikit-learn's transformer, with no more quantiles than there are rows."""

    n_quantiles: int

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the quantiles."""
        asked = self.n_quantiles
        self.n_quantiles = min(asked, len(X))  # else it warns
        try:
            super().fit(X, y)
        finally:
            self.n_quantiles = asked
        return self


def missing_as_nan(X: Any) -> pd.DataFrame:
    """Give categories with NaN where they are missing, which may also come as None or NA."""
    frame = pd.DataFrame(X)
    return frame.astype(object).where(frame.notna(), np.nan)
