"""The scikit-learn estimator of a family, found by its name and checked before any trial."""

import importlib
from typing import Any

from popsearch.config import CategoricalParam, ModelConfig, Param, Scalar, StageSteps
from popsearch.errors import ConfigError, did_you_mean
from popsearch.space import Params


def find(path: str, where: str) -> type[Any]:
    """Give the class that a dotted path names.

    Raises
    ------
    ConfigError
        If there is no such module or class.
    """
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{where}={path}: cannot be imported: {error}") from None
    found = getattr(module, name, None)
    if not isinstance(found, type):
        names = [n for n, v in vars(module).items() if isinstance(v, type)]
        raise ConfigError(
            f"{where}={path}: {module_name} has no class {name}{did_you_mean(name, names)}"
        )
    return found


def build(model: ModelConfig, params: Params, **more: Scalar) -> Any:
    """Give the unfitted estimator with its fixed values and these parameters."""
    return find(model.estimator, "model.estimator")(**{**model.fixed, **params, **more})


def faults(model: ModelConfig) -> list[str]:
    """Give every parameter and value of the configuration that the estimator does not take."""
    try:
        estimator = find(model.estimator, "model.estimator")()
        find(model.training, "model.training")
    except ConfigError as error:
        return list(error.faults)
    known = estimator.get_params()
    named = {f"model.space.{name}": name for name in model.space}
    named |= {f"model.fixed.{name}": name for name in model.fixed}
    if isinstance(model.steps, StageSteps):
        named["model.steps.param"] = model.steps.param
    class_name = type(estimator).__name__
    found = [
        f"{where}: {name} is not a parameter of {class_name}{did_you_mean(name, known)}"
        for where, name in named.items()
        if name not in known
    ]
    twice = sorted(set(model.space) & set(model.fixed))
    found += [f"model.fixed.{name} is also in model.space; keep one of them" for name in twice]
    if found:
        return found
    fixed_faults = {name: _refusal(estimator, {name: v}) for name, v in model.fixed.items()}
    found += [f"model.fixed.{name}: {why}" for name, why in fixed_faults.items() if why]
    for name, param in model.space.items():
        for key, value in _ends(param).items():
            if why := _refusal(estimator, {name: value}):
                found.append(f"model.space.{name}.{key}: {why}")
    return found


def defaults(model: ModelConfig) -> dict[str, Scalar]:
    """Give the estimator's own values of all its parameters."""
    values: dict[str, Scalar] = find(model.estimator, "model.estimator")().get_params()
    return values


def _ends(param: Param) -> dict[str, Scalar]:
    if isinstance(param, CategoricalParam):
        return {f"choices[{i}]": value for i, value in enumerate(param.choices)}
    return {"low": param.low, "high": param.high}


def _refusal(estimator: Any, params: Params) -> str:
    """Give scikit-learn's own words on a value it would refuse in ``fit``, else nothing."""
    from sklearn.utils._param_validation import InvalidParameterError

    validate = getattr(type(estimator), "_validate_params", None)
    if validate is None:  # an estimator of another library
        return ""
    try:
        validate(type(estimator)(**params))
    except InvalidParameterError as error:
        return " ".join(str(error).split())
    return ""
