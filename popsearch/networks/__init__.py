"""Networks trained side by side: many at once, in one compiled program."""

from popsearch.networks.regressor import NetworkRegressor

__all__ = ["NetworkRegressor"]
