"""What was typed: the help page, and every job of a command composed and checked first."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from popsearch.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

_PACKAGED = Path(__file__).parent / "conf"
CONF = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "conf"
"""Our configuration: inside the package where it was installed, beside it in a checkout."""

HELP = """\
popsearch: hyperparameter search and experiment tracking for tabular regression

Usage
  python -m popsearch [model=FAMILY] [data=SOURCE] [KEY=VALUE ...]

Examples
  python -m popsearch model=gbr                                  tune one family on demo data
  python -m popsearch model=gbr data=tracks data.path=tracks.csv n_trials=50
  python -m popsearch -m model=ridge,gbr,hist_gbr                compare families

The same command again continues the study up to n_trials; `mlflow ui` shows every trial.
{groups}
Settings
  n_trials=20          trials wanted in total
  timeout=600          seconds for the search
  seed=777             of sampler and models
  split.test_size=0.3  split.val_size=0.3  split.seed=777
  model.space.max_depth.high=12   any value of the configuration; see it with --cfg job

Options
  -m, --multirun       one study for every combination of KEY=A,B,C
  --cfg job            print the configuration and stop
  --config-dir DIR     look in DIR/model, DIR/data, ... too, for configurations of your own
  --hydra-help         more options
"""


def wants_help(argv: Sequence[str]) -> bool:
    """Tell whether the help page was asked for."""
    return any(word in ("-h", "--help") for word in argv)


def help_page(argv: Sequence[str]) -> str:
    """Give the help page, with every family and choice there is, each with its first comment."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd")
    own = parser.parse_known_args(list(argv))[0].config_dir
    folders = [CONF, *([Path(own)] if own else [])]
    text = ""
    for group in (
        "model",
        "data",
        "features",
        "sampler",
        "pruner",
        "storage",
        "tracking",
        "experiment",
    ):
        files = sorted(file for folder in folders for file in (folder / group).glob("*.yaml"))
        text += f"\n{group}=\n"
        text += "".join(f"  {file.stem:<20} {_first_comment(file)}\n" for file in files)
    return HELP.format(groups=text)


def _first_comment(file: Path) -> str:
    for line in file.read_text().splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ")
    return ""


def jobs(argv: Sequence[str]) -> list[dict[str, Any]]:
    """Give the composed configuration of every job that a command line asks for.

    Returns
    -------
    Plain values; one dictionary for each combination of a sweep. None for a command that
    starts no job, such as ``--cfg job``.

    Raises
    ------
    ConfigError
        With every override that does not hold.
    """
    from hydra import initialize_config_dir
    from hydra._internal.utils import get_args_parser
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    args = get_args_parser().parse_args(list(argv))
    if args.cfg or args.info or args.hydra_help or args.shell_completion:
        return []
    if args.config_dir and not Path(args.config_dir).is_dir():
        raise ConfigError(f"--config-dir {args.config_dir}: there is no such folder")
    extra = (
        [f"hydra.searchpath=[file://{Path(args.config_dir).resolve()}]"] if args.config_dir else []
    )
    name = args.config_name or "config"
    with initialize_config_dir(str(args.config_path or CONF), version_base="1.3"):
        composed = [
            _compose(name, [*extra, *overrides])
            for overrides in _combinations(args.overrides, args.multirun)
        ]
    found = []
    for cfg in composed:
        try:
            values = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
        except OmegaConfBaseException as error:
            raise ConfigError(str(error).splitlines()[0]) from None
        found.append({str(key): value for key, value in dict(values).items()})  # type: ignore[arg-type]
    return found


def _combinations(overrides: Sequence[str], multirun: bool) -> list[list[str]]:
    """Give the overrides of each job: one, or all combinations of a sweep."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    parser, parsed, faults = OverridesParser.create(), [], []
    for text in overrides:
        try:
            parsed.append(parser.parse_override(text))
        except OverrideParseException:
            faults.append(f"{text!r} must have the form KEY=VALUE, as in n_trials=50")
    if faults:
        raise ConfigError(*faults)
    if multirun:
        return [list(job) for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]
    swept = [str(o.input_line) for o in parsed if o.is_sweep_override()]
    if swept:
        raise ConfigError(f"{' '.join(swept)}: several values need -m (--multirun)")
    return [list(overrides)]


def _compose(name: str, overrides: Sequence[str]) -> "DictConfig":
    """Compose one job; where that fails, find every override that is at fault."""
    from hydra import compose
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        return compose(name, list(overrides))
    except (HydraException, OmegaConfBaseException, YAMLError):
        pass
    faults: list[str] = []
    good: list[str] = []
    # Choices of groups first: what can be set depends on them.
    for override in sorted(overrides, key=lambda o: "." in o.split("=")[0]):
        try:
            compose(name, [*good, override])
            good.append(override)
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            faults.append(_fault(override, error, compose(name, good)))
    raise ConfigError(*faults)


def _fault(override: str, error: Exception, cfg: "DictConfig") -> str:
    """Give one line for an override that Hydra refused."""
    from hydra.errors import MissingConfigException
    from omegaconf import DictConfig

    key, _, value = override.partition("=")
    key = key.lstrip("+~")
    groups = sorted(folder.name for folder in CONF.iterdir() if folder.is_dir())
    if isinstance(error, MissingConfigException) and (error.options or key in groups):
        return f"{key}={value}: there is no such {key}{did_you_mean(value, error.options or [])}"
    here: Any = cfg
    parts = key.split(".")
    for i, part in enumerate(parts):
        if not isinstance(here, DictConfig):
            return f"{'.'.join(parts[:i])} is a single value and has no {part}"
        if part not in here:
            known = [str(k) for k in here] + (groups if i == 0 else [])
            return f"{'.'.join(parts[: i + 1])} is not a setting{did_you_mean(part, known)}"
        here = here[part]
    return f"{override}: {str(error).splitlines()[0]}"
