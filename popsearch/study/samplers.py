"""Optuna's samplers, pruners and distributions, made from the configuration."""

import contextlib
import importlib.util
import math
import warnings
from collections.abc import Iterator
from typing import assert_never

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from popsearch import config, family, section
from popsearch.errors import ConfigError
from popsearch.space import Params, Space
from popsearch.study.curves import CurvePruner
from popsearch.study.median import MedianPruner
from popsearch.study.tpe import BoundedTPESampler


def distribution(param: family.Param) -> BaseDistribution:
    """Give Optuna's distribution for one parameter of a space."""
    match param:
        case family.FloatParam():
            return FloatDistribution(param.low, param.high, log=param.log, step=param.step)
        case family.IntParam():
            return IntDistribution(param.low, param.high, log=param.log, step=param.step)
        case family.CategoricalParam():
            return CategoricalDistribution(param.choices)
        case _:
            assert_never(param)


def faults(cfg: config.Sampler, space: Space, n_objectives: int = 1) -> list[str]:
    """Give what keeps this sampler from searching this space for so many objectives."""
    if isinstance(cfg, config.CmaesSampler) and n_objectives > 1:
        return [
            "sampler=cmaes can make only one score small, but objectives has "
            f"{n_objectives}; choose another sampler, say sampler=tpe"
        ]
    if isinstance(cfg, config.GpSampler) and importlib.util.find_spec("torch") is None:
        return [
            "sampler=gp needs PyTorch, which is not installed; "
            "install it (pip install torch) or choose another sampler, say sampler=tpe"
        ]
    conditional = [name for name, param in space.params.items() if param.when]
    if isinstance(cfg, config.GridSampler) and conditional:
        return [
            f"sampler=grid cannot search conditional parameters, but the space has "
            f"{', '.join(conditional)}; remove them (~model.space.{conditional[0]}) "
            "or choose another sampler, say sampler=tpe"
        ]
    return []


def sampler(
    cfg: config.Sampler, space: Space, seed: int, n_objectives: int = 1
) -> optuna.samplers.BaseSampler:
    """Give the sampler that proposes the points.

    Raises
    ------
    ConfigError
        If it cannot search this space.
    """
    if found := faults(cfg, space, n_objectives):
        raise ConfigError(*found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match cfg:
            case config.TpeSampler() if n_objectives > 1:
                # Optuna's own choice for several scores: each parameter by itself.
                return optuna.samplers.TPESampler(n_startup_trials=cfg.n_startup_trials, seed=seed)
            case config.TpeSampler():
                return BoundedTPESampler(
                    n_startup_trials=cfg.n_startup_trials,
                    multivariate=cfg.multivariate,
                    group=cfg.multivariate,
                    seed=seed,
                )
            case config.CmaesSampler():
                return optuna.samplers.CmaEsSampler(
                    n_startup_trials=cfg.n_startup_trials,
                    warn_independent_sampling=False,
                    seed=seed,
                )
            case config.GpSampler():
                return optuna.samplers.GPSampler(n_startup_trials=cfg.n_startup_trials, seed=seed)
            case config.QmcSampler():
                return optuna.samplers.QMCSampler(
                    qmc_type=cfg.qmc_type,
                    scramble=True,
                    warn_independent_sampling=False,
                    seed=seed,
                )
            case config.RandomSampler() | config.GridSampler():
                # The points of a grid are queued by the study, one by one: Optuna's own grid
                # sampler ends a study with study.stop(), which ask-and-tell does not allow.
                return optuna.samplers.RandomSampler(seed=seed)
            case _:
                assert_never(cfg)


def n_random(cfg: config.Sampler) -> float:
    """Give how many trials a sampler proposes before it looks at how the earlier ones went."""
    match cfg:
        case config.TpeSampler() | config.CmaesSampler() | config.GpSampler():
            return cfg.n_startup_trials
        case config.QmcSampler() | config.RandomSampler() | config.GridSampler():
            return math.inf
        case _:
            assert_never(cfg)


@contextlib.contextmanager
def fixed(study: optuna.Study, params: Params) -> Iterator[None]:
    """Let the study's sampler propose only what is not among these parameters."""
    base = study.sampler
    if params:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.sampler = optuna.samplers.PartialFixedSampler(params, base)
    try:
        yield
    finally:
        study.sampler = base


class Grid:
    """The points of a grid search, in an order shuffled by the seed.

    Parameters
    ----------
    space
        Known-good sets count as visited points where they lie on the grid.
    """

    def __init__(self, cfg: config.GridSampler, space: Space, seed: int) -> None:
        self._values = {name: _cut(p, cfg.n_points) for name, p in space.params.items()}
        self._shape = [len(values) for values in self._values.values()]
        on_grid = [p for p in space.known_good if all(p[n] in v for n, v in self._values.items())]
        self.n_points = math.prod(self._shape) + len(space.known_good) - len(on_grid)
        self._order = iter(np.random.default_rng(seed).permutation(math.prod(self._shape)))

    def next(self, visited: list[Params]) -> Params | None:
        """Give a point that is not among the visited ones, none when all are."""
        for i in self._order:
            place = np.unravel_index(i, self._shape) if self._shape else ()
            point = {n: v[j] for (n, v), j in zip(self._values.items(), place, strict=True)}
            if point not in visited:
                return point
        return None


def _cut(param: family.Param, n_points: int) -> list[section.Scalar]:
    """Give the values of one parameter on a grid."""
    if isinstance(param, family.CategoricalParam):
        return list(param.choices)
    if param.step is not None and (isinstance(param, family.FloatParam) or param.step > 1):
        n = int((param.high - param.low) / param.step + 1e-9) + 1
        points = param.low + param.step * np.arange(n)
    elif param.log:
        points = np.geomspace(param.low, param.high, n_points)
    else:
        points = np.linspace(param.low, param.high, n_points)
    if isinstance(param, family.IntParam):
        return [int(v) for v in np.unique(np.rint(points))]
    return [float(v) for v in np.clip(points, param.low, param.high)]


def pruner(cfg: config.Pruner, budget: int, kind: str = "stages") -> optuna.pruners.BasePruner:
    """Give the pruner that stops weak trials, which end when they have used ``budget``.

    Parameters
    ----------
    kind
        What steps are: ``stages``, ``epochs``, ``rows`` or ``folds``.
    """
    match cfg:
        case config.CurvePruner():
            if kind == "stages":
                return CurvePruner(budget, cfg.first, cfg.factor)
            n_warmup = int(cfg.warmup * budget) if kind == "epochs" else 0
            return MedianPruner(cfg.n_startup_trials, n_warmup)
        case config.NoPruner():
            return optuna.pruners.NopPruner()
        case config.MedianPruner():
            return MedianPruner(cfg.n_startup_trials, int(cfg.warmup * budget))
        case config.HalvingPruner():
            return optuna.pruners.SuccessiveHalvingPruner(
                min_resource=cfg.min_resource, reduction_factor=cfg.reduction_factor
            )
        case config.HyperbandPruner():
            return optuna.pruners.HyperbandPruner(
                min_resource=cfg.min_resource,
                max_resource=budget,
                reduction_factor=cfg.reduction_factor,
            )
        case _:
            assert_never(cfg)
