"""The help page: what can be typed, with every family and choice there is."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from popsearch.errors import quoted

_PACKAGED = Path(__file__).parent / "conf"
CONF = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "conf"
"""Our configuration: inside the package where it was installed, beside it in a checkout."""

GROUPS = (
    "model",
    "data",
    "features",
    "split",
    "sampler",
    "pruner",
    "executor",
    "storage",
    "tracking",
    "experiment",
)

_PATH = re.compile(r"(data\.path=)([^'\"\[{$,][^,]*)")  # with commas it may be a sweep
_BARE = re.compile(r"[\w/\\.+-]*", re.ASCII)
HELP = """\
popsearch: hyperparameter search and experiment tracking for tabular regression

Usage
  python -m popsearch [model=FAMILY] [data=SOURCE] [KEY=VALUE ...]

Examples
  python -m popsearch model=gbr                                  tune one family on demo data
  python -m popsearch data=csv data.path=homes.csv data.target=price
  python -m popsearch model=gbr data=tracks features=catalogue split=grouped n_trials=50
  python -m popsearch -m model=ridge,gbr,hist_gbr                compare families

The same command again continues the study up to n_trials; `mlflow ui` shows every trial.
{groups}
Settings
  n_trials=20          trials wanted in total
  timeout=600          seconds for the search; trial_timeout=60 for each trial
  patience=30          stop when so many trials brought nothing better
  warm_start=STUDY     try the best trials of an earlier study first
  seed=777             of sampler and models
  split.test_size=0.3  split.val_size=0.3  split.seed=777
  leak_r2=0.9          a feature that alone explains so much of the target is warned about
  report=false         without pictures and report.html at the end
  model.scaler=minmax  or standard, quantile, none
  model.space.max_depth.high=12   any value of the configuration; see it with --cfg job

Options
  -m, --multirun       one study for every combination of KEY=A,B,C
  --cfg job            print the configuration and stop
  --config-dir DIR     look in DIR/model, DIR/data, ... too, for configurations of your own
  --hydra-help         more options

Commands
  eda                  a first look at a table: eda data=csv data.path=FILE data.target=COLUMN
  export STUDY output=FILE              its trials as CSV or Parquet
  fetch                fetch the tracks from Kaggle and say where they are
  cache                list the tables that were parsed and are kept
  cache clear          remove them
  sync                 send the runs that a tracking server was away for
  sync all             also those of other machines, if they are gone
  check                compare every trial with its MLflow run; check STUDY that study only
  check repair         make the runs agree with their studies
  ensemble             mix the best models of all studies on the same rows, if that is better
  leaderboard          all studies on the same rows, best first; leaderboard DATA those only
  leaderboard format=csv output=FILE    or json, markdown
  champion             the best model of each data set; champion STUDY to choose one
  predict input=ROWS.csv output=FILE.parquet    with the champion; or model=STUDY
"""

COMMANDS = {
    "eda": """\
popsearch eda: a first look at a table, before any search

Usage
  python -m popsearch eda [data=SOURCE] [KEY=VALUE ...] [output=FOLDER]

Examples
  python -m popsearch eda data=csv data.path=homes.csv data.target=price
  python -m popsearch eda data=tracks data.path=tracks.csv output=look tracking=mlflow

Writes pictures and one page that needs nothing else, eda.html: what every column holds, missing
values, what each feature says about the target, features among themselves, and all through time.

Settings
  data...              as for a search: data.path, data.target, data.drop, data.order_by, ...
  split...             as for a search: the target is never read on the test rows of this split
  output=FOLDER        where to write; eda/DATA without it
  tracking=mlflow      log the look too, or tracking=server tracking.uri=URL; one run for each table
""",
    "export": """\
popsearch export: the trials of a study as CSV or Parquet

Usage
  python -m popsearch export STUDY [output=FILE] [curves=FILE] [storage.url=URL]
  python -m popsearch export KEY=VALUE ... [output=FILE]   the study of that search

Examples
  python -m popsearch export demo-gbr-30bcebd8 output=trials.parquet curves=curves.csv
  python -m popsearch export model=gbr > trials.csv

One row for each trial: number, state, began, ended, duration_s, scores, params_*, worker, reason,
run_id. Curves have a row for each step: number, resource, best_val_mse.
""",
    "fetch": """\
popsearch fetch: the table of tracks from Kaggle

Usage
  python -m popsearch fetch [output=FILE]

Needs the extra kaggle, and no account. What is there is not fetched again: data=tracks finds it.
output=FILE copies it too. Prints where the file lies.
""",
    "cache": """\
popsearch cache: parsed tables and residuals that are kept on this computer

Usage
  python -m popsearch cache          list the tables
  python -m popsearch cache clear    remove all; a search parses its table anew then
""",
}
"""The pages of those commands that have one, by their name."""


def wants_help(argv: Sequence[str]) -> bool:
    """Tell whether the help page was asked for."""
    return any(word in ("-h", "--help") for word in argv)


def with_paths_quoted(argv: Sequence[str]) -> list[str]:
    """Give the words with a path in quotation marks where Hydra would not read it: ~/my (1).csv."""
    found = (_PATH.fullmatch(word) for word in argv)
    return [
        f"{path[1]}{quoted(path[2])}" if path and not _BARE.fullmatch(path[2]) else word
        for word, path in zip(argv, found, strict=True)
    ]


def wants_a_look(argv: Sequence[str]) -> bool:
    """Tell whether Hydra is only asked to show something, such as the configuration."""
    looks = (
        "--cfg",
        "-c",
        "--info",
        "-i",
        "--hydra-help",
        "--version",
        "--shell-completion",
        "-sc",
    )
    return any(word.partition("=")[0] in looks for word in argv)


def page(argv: Sequence[str]) -> str:
    """Give the help page, each choice with its first comment; also those of ``--config-dir``."""
    if argv and argv[0] in COMMANDS:
        return COMMANDS[argv[0]]
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config-dir", "-cd", nargs="?")
    own = parser.parse_known_args(list(argv))[0].config_dir
    folders = [CONF, *([Path(own)] if own else [])]
    text = ""
    for group in GROUPS:
        files = sorted(file for folder in folders for file in (folder / group).glob("*.yaml"))
        text += f"\n{group}=\n"
        text += "".join(f"  {file.stem:<20} {_first_comment(file)}\n" for file in files)
    return HELP.format(groups=text)


def _first_comment(file: Path) -> str:
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ")
    return ""
