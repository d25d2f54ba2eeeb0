"""What was typed: every job of a command, composed and checked before Hydra runs any."""

import contextlib
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from popsearch import refusals
from popsearch.config import read
from popsearch.errors import ConfigError
from popsearch.faults import hide_secrets
from popsearch.refusals import REFUSALS
from popsearch.usage import CONF, GROUPS

Load = Callable[[Sequence[str]], DictConfig]


@dataclass(frozen=True)
class Job:
    """One study that a command asks for.

    Parameters
    ----------
    sections
        The parts of its configuration that hold, by name: all of them where nothing is wrong.
    faults
        One line for everything that was refused so far.
    """

    sections: dict[str, Any]
    faults: list[str]


def jobs(argv: Sequence[str]) -> list[Job]:
    """Give every job that a command line asks for: one for each combination of a sweep.

    Raises
    ------
    ConfigError
        Where there is no configuration to begin with.
    """
    parser = _parser()
    unknown = [word for word in parser.parse_known_args(argv)[1] if word.startswith("-")]
    known = [word for word in argv if word not in unknown]
    args, _ = parser.parse_known_intermixed_args(known)
    faults = [f"{hide_secrets(word)} is not an option; see --help" for word in unknown]
    faults += [
        f"{hide_secrets(word)}: a password must not be typed, for shell and Hydra store what is "
        "typed; set the environment variable MLFLOW_TRACKING_URI or POPSEARCH_STORAGE_URL instead"
        for word in args.overrides
        if hide_secrets(word) != word
    ]
    # Hydra itself does not look for KEY=VALUE on both sides of an option.
    if apart := parser.parse_known_args(known)[1]:
        faults.append(
            f"{hide_secrets(' '.join(apart))}: options such as -m stand before or after all of "
            "KEY=VALUE, not in between"
        )
    # As Hydra does, from where the entry point is: an absolute path stays as it is.
    conf = Path(__file__).parent / (args.config_path or CONF)
    for option, folder in (("--config-dir", args.config_dir), ("--config-path", conf)):
        if folder and not Path(folder).is_dir():
            raise ConfigError(*faults, f"{option} {folder}: there is no such folder")
    own = _searchpath(args.config_dir)
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        load = partial(_load, args.config_name or "config", own)
        loader = GlobalHydra.instance().config_loader()
        combinations, found = _combinations(args.overrides, args.multirun, loader)
        return [_job(load, overrides, [*faults, *found]) for overrides in combinations]


def with_sweep(argv: Sequence[str]) -> list[str]:
    """Give the words, and with them what an experiment sweeps over where nothing else is typed.

    Hydra would sweep over both, what the experiment says and what is typed.

    Raises
    ------
    ConfigError
        If it sweeps and the option for that is not there.
    """
    args, rest = _parser().parse_known_intermixed_args(argv)
    chosen = [word for word in args.overrides if _key(word) == "experiment"]
    conf = Path(__file__).parent / (args.config_path or CONF)
    if rest or not chosen or not conf.is_dir():  # what is wrong is told where jobs are checked
        return list(argv)
    own = _searchpath(args.config_dir)
    with (
        contextlib.suppress(*REFUSALS),
        initialize_config_dir(str(conf.resolve()), version_base="1.3"),
    ):
        name, overrides = args.config_name or "config", [*own, *args.overrides]
        params = compose(name, overrides, return_hydra_config=True).hydra.sweeper.params or {}
        if not params:
            return list(argv)
        typed = {_key(word) for word in args.overrides}
        left = [f"{key}={value}" for key, value in params.items() if key not in typed]
        if left and not args.multirun:
            over = ", ".join(word.partition("=")[0] for word in left)
            raise ConfigError(f"{chosen[-1]} sweeps over {over}: it needs -m (--multirun)")
        last = max(place for place, word in enumerate(argv) if word in args.overrides) + 1
        return [*argv[:last], *left, "hydra.sweeper.params=null", *argv[last:]]
    return list(argv)


def _parser() -> ArgumentParser:
    parser: ArgumentParser = get_args_parser()
    parser.prog = "python -m popsearch"
    parser.usage = "python -m popsearch [OPTIONS] [KEY=VALUE ...]; see --help"
    return parser


def _searchpath(config_dir: str | None) -> list[str]:
    return [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []


def _combinations(
    overrides: Sequence[str], multirun: bool, loader: ConfigLoader
) -> tuple[list[list[str]], list[str]]:
    """Give the overrides of each job, and a line for each override that cannot be read."""
    parser, parsed, faults = OverridesParser.create(loader), [], []
    for text in overrides:
        try:
            (override,) = parser.parse_overrides([text])
            BasicSweeper.split_arguments([override], None)
            parsed.append(override)
        except HydraException as error:
            faults.append(refusals.unreadable(text, error))
    swept = [o for o in parsed if o.is_sweep_override()]
    if not swept and not multirun:
        return [[str(o.input_line) for o in parsed]], faults
    if not multirun:
        typed = hide_secrets(" ".join(str(o.input_line) for o in swept))
        faults.append(f"{typed}: several values need -m (--multirun)")
    return [job for batch in BasicSweeper.split_arguments(parsed, None) for job in batch], faults


def _job(load: Load, overrides: list[str], faults: list[str]) -> Job:
    """Compose and check one job; what is refused is left out, so that the rest is checked too."""
    values, good, refused, unknown = _compose(load, overrides)
    sections, wrong = read(values)
    kept = [o for o in good if _key(o) in GROUPS or not any(_meet(_key(o), w) for w in wrong)]
    if len(kept) < len(good):
        sections, _ = read(_compose(load, kept)[0])
    known = {name: section for name, section in sections.items() if name not in unknown}
    return Job(known, [*faults, *refused, *wrong.values()])


def _compose(
    load: Load, overrides: list[str]
) -> tuple[dict[str, Any], list[str], list[str], set[str]]:
    """Compose what can be composed.

    Returns
    -------
    The values, the overrides in them, a line for each other override, and the groups of which
    nothing is known because their choice was refused.
    """
    with contextlib.suppress(*REFUSALS):
        return _values(load(overrides)), overrides, [], set()
    try:
        cfg = load([])
        _values(cfg)
    except REFUSALS as error:
        raise ConfigError(f"--config-name: {refusals.why(error)}") from None
    good: list[str] = []
    faults: list[str] = []
    unknown: set[str] = set()
    # Choices of groups first: what can be set depends on them.
    for override in sorted(overrides, key=lambda o: _key(o) not in GROUPS):
        if _key(override).partition(".")[0] in unknown:
            continue
        try:
            changed = load([*good, override])
            _values(changed)
        except REFUSALS as error:
            faults.append(refusals.describe(override, error, cfg))
            if _key(override) in GROUPS:
                # An experiment may choose any group.
                unknown |= set(GROUPS) if _key(override) == "experiment" else {_key(override)}
        else:
            good.append(override)
            cfg = changed
    return _values(cfg), good, faults, unknown


def _load(name: str, own: list[str], overrides: Sequence[str]) -> DictConfig:
    return compose(name, [*own, *overrides])


def _values(cfg: DictConfig) -> dict[str, Any]:
    """Give plain values, with every reference resolved."""
    values = OmegaConf.to_container(cfg, resolve=True)
    return {str(key): value for key, value in dict(values).items()}  # type: ignore[arg-type]


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def _meet(key: str, where: str) -> bool:
    """Tell whether one of two keys lies inside the other, or both are the same."""
    return f"{key}.".startswith(f"{where}.") or f"{where}.".startswith(f"{key}.")
