"""Names of columns, as scikit-learn's transformers keep and give them."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted


def remember(encoder: Any, X: Any) -> None:
    """Keep number and names of the columns that an encoder is fitted on."""
    encoder.n_features_in_ = np.shape(X)[1]
    if isinstance(X, pd.DataFrame):
        encoder.feature_names_in_ = np.array([str(name) for name in X], dtype=object)
    elif hasattr(encoder, "feature_names_in_"):
        del encoder.feature_names_in_


def given(encoder: Any, input_features: Any) -> list[str]:
    """Give the names of a fitted encoder's columns, or those given in their place."""
    check_is_fitted(encoder)
    if input_features is None:
        numbered = [f"x{i}" for i in range(encoder.n_features_in_)]
        input_features = getattr(encoder, "feature_names_in_", numbered)
    return [str(name) for name in input_features]
