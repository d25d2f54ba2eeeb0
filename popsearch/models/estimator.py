"""The scikit-learn estimator of a family, found by its name and checked before any trial."""

import importlib
import inspect
import pkgutil
from typing import Any, get_args

from popsearch.errors import ConfigError, did_you_mean
from popsearch.family import CategoricalParam, ModelConfig, Param, Scaler, StageSteps
from popsearch.section import Scalar
from popsearch.space import SCALER, Params

EXTRAS = dict.fromkeys(("lightgbm", "xgboost", "catboost"), "popsearch[boosters]")
"""Libraries of families, by what installs them with popsearch."""


def find(path: str, where: str) -> type[Any]:
    """Give the class that a dotted path names.

    Raises
    ------
    ConfigError
        If there is no such module or class.
    """
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise ConfigError(f"{where}={path}: must be MODULE.CLASS, as in sklearn.linear_model.Ridge")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module of the user's own may fail in any way
        raise ConfigError(f"{where}={path}: {_why_not(module_name, error)}") from None
    found = getattr(module, name, None)
    if not isinstance(found, type):
        names = [n for n, v in vars(module).items() if isinstance(v, type)]
        raise ConfigError(
            f"{where}={path}: {module_name} has no class {name}{did_you_mean(name, names)}"
        )
    return found


def build(model: ModelConfig, params: Params, **more: Scalar) -> Any:
    """Give the unfitted estimator with its fixed values and these parameters but the scaler."""
    own = {name: value for name, value in params.items() if name != SCALER}
    return find(model.estimator, "model.estimator")(**{**_own(model), **own, **more})


def _own(model: ModelConfig) -> dict[str, Any]:
    """Give what the configuration sets of the estimator in every trial."""
    return {**model.fixed, **({"backend": model.backend} if model.backend else {})}


def defaults(model: ModelConfig) -> dict[str, Scalar]:
    """Give the estimator's own values of all its parameters, and the family's scaler.

    Raises
    ------
    ConfigError
        If there is no such estimator.
    """
    return {**_parameters(_unfitted(model)), SCALER: model.scaler}


def _parameters(estimator: Any) -> dict[str, Any]:
    """Give an estimator's parameters and their values; CatBoost itself gives only what was set."""
    named = inspect.signature(type(estimator)).parameters.values()
    values = {p.name: p.default for p in named if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    return {**values, **estimator.get_params()}


def faults(model: ModelConfig) -> list[str]:
    """Give all of a family's configuration that its training or its estimator does not take."""
    found = _training_faults(model)
    try:
        estimator = _unfitted(model)
    except ConfigError as error:
        return [*error.faults, *found]
    known = [*_parameters(estimator), *_taken_beside(model)]
    given: dict[str, tuple[str, dict[str, Any]]] = {  # where -> parameter, values by key
        f"model.fixed.{name}": (name, {"": value}) for name, value in model.fixed.items()
    }
    if model.backend:
        given["model.backend"] = ("backend", {})
    given |= {
        f"model.space.{name}": (name, _ends(param))
        for name, param in model.space.items()
        if name != SCALER
    }
    if isinstance(model.steps, StageSteps):
        given["model.steps.param"] = (model.steps.param, {})
    for where, (name, values) in given.items():
        if name not in known:
            named = where if where.endswith(f".{name}") else f"{where}={name}"
            class_name = type(estimator).__name__
            found.append(f"{named} is not a parameter of {class_name}{did_you_mean(name, known)}")
            continue
        refusals = {key: _refusal(estimator, {name: value}) for key, value in values.items()}
        found += [f"{where}{key}: {why}" for key, why in refusals.items() if why]
    if model.missing == "pass" and not _takes_missing(estimator):
        found.append(
            f"model.missing=pass: {type(estimator).__name__} takes no missing numbers; "
            "give model.missing=impute"
        )
    return found + _scaler_faults(model) + _named_twice(model)


def _scaler_faults(model: ModelConfig) -> list[str]:
    """Give what is wrong with the scalers, where they are searched."""
    param, known = model.space.get(SCALER), get_args(Scaler)
    if param is None:
        return []
    if not isinstance(param, CategoricalParam):
        return [f"model.space.scaler.type must be categorical, but got {param.type}"]
    return [
        f"model.space.scaler.choices[{i}] must be one of {', '.join(known)}, but got {choice!r}"
        for i, choice in enumerate(param.choices)
        if choice not in known
    ]


def _unfitted(model: ModelConfig) -> Any:
    """Give the estimator with its own values."""
    from sklearn.base import ClassifierMixin

    where = f"model.estimator={model.estimator}"
    found = find(model.estimator, "model.estimator")
    lacking = [m for m in ("fit", "predict", "get_params") if not hasattr(found, m)]
    if lacking:
        raise ConfigError(f"{where}: must be an estimator, but has no {', '.join(lacking)}")
    if issubclass(found, ClassifierMixin):
        raise ConfigError(f"{where}: must be a regressor, but it is a classifier")
    try:
        return found()
    except TypeError as error:
        raise ConfigError(f"{where}: cannot be made without arguments: {error}") from None


def _takes_missing(estimator: Any) -> bool:
    """Tell whether an estimator takes NaN; one of another library may not say so."""
    tags = getattr(estimator, "__sklearn_tags__", None)
    return tags is None or bool(tags().input_tags.allow_nan)


def _training_faults(model: ModelConfig) -> list[str]:
    """Give what keeps the way of training from training this family."""
    where = f"model.training={model.training}"
    try:
        way = find(model.training, "model.training")
    except ConfigError as error:
        return list(error.faults)
    if inspect.isabstract(way) or getattr(way, "_is_protocol", False):
        return [f"{where}: is only what ways of training have in common; name one of them"]
    needed = ["advance", "drop", "model", "refit", "steps_kind", "keeps_best"]
    needed += ["machine", "faults", "structure", "n_side_by_side"]
    lacking = [name for name in needed if not hasattr(way, name)]
    if lacking:
        return [f"{where}: must be a way of training, but has no {', '.join(lacking)}"]
    kind, came = way.steps_kind, model.steps.kind
    found = [f"model.steps.kind must be {kind} for {way.__name__}, but got {came}"]
    found *= kind != came
    return found + [str(fault) for fault in way.faults(model)]


def _taken_beside(model: ModelConfig) -> frozenset[str]:
    """Give what an estimator takes beside the parameters that it names."""
    try:
        way = find(model.training, "model.training")
    except ConfigError:  # told elsewhere
        return frozenset()
    more: frozenset[str] = getattr(way, "more", frozenset())
    return more


def _named_twice(model: ModelConfig) -> list[str]:
    """Give every parameter that two parts of the configuration would set."""
    twice = [name for name in model.space if model.fixed.get(name) is not None]
    found = [
        f"model.fixed.{name} is also in model.space; remove one of them (~model.fixed.{name})"
        for name in twice
    ]
    if isinstance(model.steps, StageSteps):
        name = model.steps.param
        found += [
            f"model.{part}.{name} is also model.steps.param, which the training counts up to "
            f"model.steps.budget; remove it (~model.{part}.{name})"
            for part, names in (("fixed", model.fixed), ("space", model.space))
            if name in names
        ]
    return found


def _why_not(module_name: str, error: Exception) -> str:
    """Give the reason why a module cannot be imported."""
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    if missing is None:
        return f"cannot be imported: {type(error).__name__}: {error}"
    if missing in EXTRAS or not f"{module_name}.".startswith(f"{missing}."):
        extra = EXTRAS.get(missing)
        install = f"; install it (pip install '{extra}')" if extra else ""
        return f"needs {missing}, which is not installed{install}"
    parent, _, last = missing.rpartition(".")
    folders = getattr(importlib.import_module(parent), "__path__", []) if parent else []
    near = did_you_mean(last, [module.name for module in pkgutil.iter_modules(folders)])
    return f"there is no module {missing}{near}"


def takes(model: ModelConfig, name: str, value: Scalar) -> bool | None:
    """Tell whether a family's estimator takes a value of a parameter; None where it cannot say."""
    estimator = _unfitted(model)
    if name not in getattr(estimator, "_parameter_constraints", {}):
        return None
    return not _refusal(estimator, {name: value})


def _ends(param: Param) -> dict[str, Scalar]:
    """Give the outermost values of a parameter, or all its choices, by their keys."""
    if isinstance(param, CategoricalParam):
        return {f".choices[{i}]": value for i, value in enumerate(param.choices)}
    return {".low": param.low, ".high": param.high}


def _refusal(estimator: Any, params: Params) -> str:
    """Give scikit-learn's own words on a value it would refuse in ``fit``, else nothing."""
    from sklearn.utils._param_validation import InvalidParameterError

    validate = getattr(type(estimator), "_validate_params", None)
    if validate is None or not hasattr(estimator, "_parameter_constraints"):
        return ""  # an estimator of another library
    try:
        validate(type(estimator)(**params))
    except InvalidParameterError as error:
        return " ".join(str(error).split())
    return ""
