"""A blend of models."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from popsearch.blend import Blend


def test_a_blend_predicts_the_weighted_mean_of_its_members() -> None:
    """Two lines, three quarters of one and a quarter of the other, give the line between them."""
    X = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [5.0, 1.0, 3.0]})
    rising = make_pipeline(LinearRegression()).fit(X, X["a"])
    falling = make_pipeline(LinearRegression()).fit(X, -X["a"])
    blend = Blend([rising, falling], [0.75, 0.25])
    np.testing.assert_allclose(blend.predict(X), 0.5 * X["a"], atol=1e-12)
