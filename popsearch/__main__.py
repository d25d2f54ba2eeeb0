"""The command line: python -m popsearch."""

import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from popsearch import commands, usage
from popsearch.errors import ConfigError, DataError, PopsearchError, disk_error
from popsearch.interrupt import EXIT_CODES

if TYPE_CHECKING:
    from hydra.conf import HydraConf
    from omegaconf import DictConfig
    from rich.console import Console

    from popsearch.config import Config
    from popsearch.run import Result


def main() -> None:
    """Run what was typed; a mistake ends in clear lines on stderr and exit code 2."""
    try:
        _main()
    except KeyboardInterrupt:  # before the search began, or a second time while it was closing
        print("popsearch: stopped; the same command goes on", file=sys.stderr)
        sys.exit(EXIT_CODES["Ctrl-C"])


def _main() -> None:
    for stream in (sys.stdout, sys.stderr):  # a terminal may know fewer characters than a table
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.argv[1:] = argv = usage.with_paths_quoted(sys.argv[1:])
    if usage.wants_help(argv):
        print(usage.page(argv), end="")
        return
    try:
        if argv and argv[0] in commands.COMMANDS:
            commands.COMMANDS[argv[0]](argv[1:])
            return
        if not usage.wants_a_look(argv):
            from popsearch import command

            sys.argv[1:] = argv = command.with_sweep(argv)
            check(argv)
    except PopsearchError as error:
        _refuse(error)
    import hydra

    done: list[tuple[Config, Result]] = []

    def job(cfg: "DictConfig") -> None:
        done.append(_job(cfg))

    hydra.main(version_base="1.3", config_path=str(usage.CONF), config_name="config")(job)()
    if len(done) > 1:
        _compare(done, argv)
    if any(cfg.deck for cfg, _ in done):
        _beside_the_deck(done, argv)
    if any(result.failures for _, result in done):
        sys.exit(1)


def check(argv: list[str]) -> None:
    """Check every job, so that all faults are told before anything is created.

    Raises
    ------
    ConfigError
        With all faults of all jobs, each once.
    """
    from popsearch import command

    jobs = command.jobs(argv)

    from popsearch.check import faults

    found: dict[str, None] = {}  # a dictionary keeps the order and drops what jobs share
    for job in jobs:
        found |= dict.fromkeys([*job.faults, *faults(job.sections)])
    if found:
        raise ConfigError(*found)


def _job(cfg: "DictConfig") -> "tuple[Config, Result]":
    """Run one study inside Hydra's job, and give its checked configuration too."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from popsearch.config import parse
    from popsearch.faults import hide_secrets
    from popsearch.run import run

    hydra_cfg = HydraConfig.get()
    try:
        values = OmegaConf.to_container(cfg, resolve=True)
        checked = parse(values)  # type: ignore[arg-type]
        result = run(
            checked,
            Path(hydra_cfg.runtime.output_dir),
            hide_secrets(_again(hydra_cfg)),
        )
    except PopsearchError as error:
        _refuse(error)
    except OSError as error:
        _refuse(disk_error(error))
    if result.stopped_by in EXIT_CODES:
        sys.exit(EXIT_CODES[result.stopped_by])
    return checked, result


def _compare(done: "Sequence[tuple[Config, Result]]", argv: Sequence[str]) -> None:
    """Make an ensemble of the studies of a sweep, and show where all of them stand."""
    from popsearch.ensemble.typed import after_sweep
    from popsearch.leaderboard import typed

    console, configs = _console(), [cfg for cfg, _ in done]
    studies = {result.study for _, result in done}
    try:
        mixes, stopped_by = after_sweep(console, configs, studies, _typed(argv))
        typed.after_sweep(console, configs, studies | mixes)
    except PopsearchError as error:
        _refuse(error)
    if stopped_by:
        sys.exit(EXIT_CODES[stopped_by])


def _beside_the_deck(done: "Sequence[tuple[Config, Result]]", argv: Sequence[str]) -> None:
    """Do the deck's notebook again, and show its figures beside those of the studies."""
    from popsearch.deck import typed

    configs, studies = [cfg for cfg, _ in done], {result.study for _, result in done}
    try:
        stopped_by = typed.after_sweep(_console(), configs, studies, _typed(argv))
    except PopsearchError as error:
        _refuse(error)
    if stopped_by:
        sys.exit(EXIT_CODES[stopped_by])


def _console() -> "Console":
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:  # a file has no width
        console.width = 200
    return console


def _typed(argv: Sequence[str]) -> str:
    """Give what was typed, to be stored."""
    from popsearch.faults import hide_secrets

    return hide_secrets(shlex.join(["python", "-m", "popsearch", *argv]))


def _again(hydra_cfg: "HydraConf") -> str:
    """Give the command that starts this one job again, as a shell takes it."""
    folders = [
        source.path.removeprefix("file://")
        for source in hydra_cfg.runtime.config_sources
        if source.provider == "command-line"
    ]
    paths = [word for word in hydra_cfg.overrides.hydra if "searchpath" in word]
    options = [f"--config-dir={folder}" for folder in folders]
    words = [*options, *paths, *hydra_cfg.overrides.task]
    return " ".join(["python -m popsearch", *map(shlex.quote, words)])


def _refuse(error: PopsearchError) -> NoReturn:
    """Say what is wrong and end: 2 for what the user can mend, 1 for a store that failed."""
    for fault in error.faults:
        print(f"popsearch: {fault}", file=sys.stderr)
    sys.exit(2 if isinstance(error, ConfigError | DataError) else 1)


if __name__ == "__main__":
    main()
