"""What is typed: python -m popsearch champion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from popsearch import champion, command, tracking
from popsearch.comparison import refuse
from popsearch.config import Config, NoTracking
from popsearch.errors import ConfigError, did_you_mean
from popsearch.study import storage_errors, stored
from popsearch.tracking import tracking_errors

if TYPE_CHECKING:
    from rich.console import Console


def typed(words: Sequence[str], console: "Console") -> None:
    """List the champions, or make a study's model the champion of its data, whatever the scores.

    Parameters
    ----------
    words
        Nothing or the name of a study, and settings of storage and tracking.

    Raises
    ------
    ConfigError
        With all that is wrong; nothing was changed.
    StorageError
        If a database does not answer.
    """
    names = [word for word in words if "=" not in word and not word.startswith("-")]
    jobs = command.jobs([word for word in words if word not in names])
    refuse(fault for job in jobs for fault in job.faults)
    cfg = Config(**jobs[0].sections)
    many = [f"champion {' '.join(names)}: name one study at most"] if len(names) > 1 else []
    refuse([*many, *(tracking.faults(cfg.tracking) or tracking.stored.faults(cfg.tracking))])
    if names:
        console.print(_choose(cfg, names[0]))
    else:
        _list(cfg, console)


def _choose(cfg: Config, name: str) -> str:
    url = cfg.storage.url
    with storage_errors(url):
        refuse(stored.faults(url))
        notes = stored.notes(url)
    if name not in notes:
        raise ConfigError(f"champion {name}: there is no such study{did_you_mean(name, notes)}")
    about, test = notes[name].get("about") or {}, notes[name].get("test") or {}
    if not test.get("model") or "test_digest" not in about:
        raise ConfigError(
            f"champion {name}: this study has stored no model that can be one; "
            "give its command once more"
        )
    candidate = champion.of_study(url, cfg.tracking, name, about, test)
    return champion.crown(url, cfg.tracking, about["data"], candidate, by_hand=True)


def _list(cfg: Config, console: "Console") -> None:
    from rich.table import Table

    assert not isinstance(cfg.tracking, NoTracking)
    with tracking_errors(cfg.tracking):
        found = tracking.champions(cfg.tracking.uri)
    if not found:
        console.print("no champion yet: the first search that beats the mean predictor makes one")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("data", "version", "family", "test MSE", "study", ""):
        right = name in ("version", "test MSE")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for data, version in found.items():
        tags = {key.removeprefix("popsearch."): value for key, value in version.tags.items()}
        score = f"{float(tags['test_mse']):.2f}" if "test_mse" in tags else ""
        by_hand = "chosen by hand" if "by_hand" in tags else ""
        told = (tags.get("family", ""), score, tags.get("study", ""), by_hand)
        table.add_row(data, str(version.number), *told)
    console.print(table)
