"""When the pictures of a study are drawn, and where they are put."""

import contextlib
import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from popsearch.interrupt import Interrupts
from popsearch.plan import Plan
from popsearch.study import Study
from popsearch.tracking import Tracker

if TYPE_CHECKING:
    import numpy as np

    from popsearch.pictures.drawings import Drawing
    from popsearch.run import Result

FOLDER, REPORT = "plots", "report.html"
FORMAT = 1
"""Raised where pictures come out otherwise, so that those of older versions are drawn anew."""


@dataclass(frozen=True)
class Album:
    """The pictures of one study: drawn at the end of a search, where something has changed.

    An error in a picture costs that picture only.

    Parameters
    ----------
    run_dir
        The folder of this command, in which the report and the pictures are put.
    command
        What was typed.
    warn
        Hears what could not be drawn.
    """

    plan: Plan
    study: Study
    tracker: Tracker
    interrupts: Interrupts
    run_dir: Path
    command: str
    warn: Callable[[str], None]

    def opened(self, trial: int, winner: Any, X: Any, predicted: "NDArray[np.float64]") -> None:
        """Draw and keep what can be seen only while the test rows are open.

        Parameters
        ----------
        trial
            Number of the winner.
        winner
            Its features and model, fitted on training and validation rows.
        X, predicted
            What it sees of the test rows, (n_rows, n_columns), and its predictions, (n_rows,).

        Raises
        ------
        Interrupted
            If the user stops it.
        """
        if not self.plan.cfg.report:
            return
        from popsearch.pictures import drawings
        from popsearch.pictures.tested import Tested

        table = self.plan.table
        y = table.y[self.plan.split.test]
        tested = Tested(winner, X, y, predicted, table.target, self.plan.cfg.seed)
        folder = self.run_dir.absolute() / FOLDER
        drawn = self._drawn(drawings.of_test(self.plan, tested))
        with self._told("the pictures of the test rows are not written"):
            _write(folder, drawn)
            kept = {"trial": trial, "folder": str(folder), "names": [*drawn]}
            self.study.note("test_pictures", kept)

    def write(self, result: "Result") -> str | None:
        """Draw the search and write the report, unless nothing changed since the last time.

        Returns
        -------
        The report's file, the last one's where nothing changed; none where none is wanted.

        Raises
        ------
        Interrupted
            If the user stops it; the same command draws it then.
        """
        if not self.plan.cfg.report or not sum(result.n_trials.values()):
            return None
        known, digest = self.study.note("report") or {}, _digest(result)
        if known.get("digest") == digest and Path(known["file"]).is_file():
            return str(known["file"])
        self.interrupts.lift_time_limit()
        with self._told("the report is not written"):
            file = self.run_dir.absolute() / REPORT
            if self._put(result):
                self.study.note("report", {"digest": digest, "file": str(file)})
            return str(file)
        return None

    def _put(self, result: "Result") -> bool:
        """Draw and write; tell whether MLflow has taken it, should it be there."""
        from popsearch.pictures import curves, drawings, page

        learned = drawings.curves_of(self.plan, self.study, *self._curves_of_best())
        of_search = self._drawn(drawings.of_search(self.plan, self.study, learned))
        functions = self.study.interactive()
        if learned:
            functions["learning_curves"] = lambda: curves.interactive(learned)
        interactive = self._interactive({n: functions[n] for n in of_search if n in functions})
        of_test = self._kept(result)
        pictures = {
            name: page.picture(name, png, interactive.get(name))
            for name, png in {**of_test, **of_search}.items()
        }
        lacking = [page.LACKING] if result.test_mse is not None and not of_test else []
        of_model, of_trials = ([pictures[n] for n in part] for part in (of_test, of_search))
        text = page.full(self.plan, result, self.command, of_model, of_trials, lacking)
        _write(self.run_dir / FOLDER, {**of_test, **of_search})
        _write(self.run_dir, {"report": text.encode()}, "html")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write(folder / FOLDER, {**of_test, **of_search})
            pages = {name: page.single(pictures[name]).encode() for name in interactive}
            _write(folder / FOLDER, pages, "html")
            _write(folder, {"report": text.encode()}, "html")
            with self.interrupts.allowed():
                return self.tracker.log_files(folder, "the report is")

    def _curves_of_best(self) -> "tuple[Mapping[float, float], Mapping[float, float]]":
        best = self.study.best()
        if best is None or not best.run_id:
            return {}, {}
        found = self.tracker.curves(best.run_id)
        return found.get("train_mse", {}), found.get("val_mse", {})

    def _kept(self, result: "Result") -> dict[str, bytes]:
        """Give the pictures of the test rows as they were drawn when these were open."""
        known = self.study.note("test_pictures") or {}
        if result.test_mse is None or known.get("trial") != result.best_trial:
            return {}
        found = {}
        for name in known["names"]:
            file = Path(known["folder"]) / f"{name}.png"
            png = file.read_bytes() if file.is_file() else self.tracker.read(f"{FOLDER}/{name}.png")
            if png is not None:
                found[name] = png
        return found

    def _drawn(self, drawings: "Iterable[Drawing]") -> dict[str, bytes]:
        from popsearch.pictures import paper

        found = {}
        for name, draw in drawings:
            with self._drawing(name):
                if (drawn := draw()) is not None:
                    found[name] = paper.png(drawn)
        return found

    def _interactive(self, functions: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        found = {}
        for name, draw in functions.items():
            with self._drawing(name):
                found[name] = draw()
        return found

    @contextlib.contextmanager
    def _drawing(self, name: str) -> Iterator[None]:
        what = f"the picture {name} is not drawn"
        with self._told(what), self.interrupts.allowed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of letters that the font lacks, say
            yield

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn an error of a library or the disk into a line: nothing else hangs on a picture."""
        try:
            yield
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            self.warn(f"{what}: {type(error).__name__}: {reason}")


def _digest(result: "Result") -> str:
    """Hash what the report shows that may change."""
    told = [FORMAT, result.n_trials, result.best_trial, result.test_mse, result.test_openings]
    told += [result.ensemble_mse, result.advice, result.warnings]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _write(folder: Path, files: Mapping[str, bytes], ending: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.{ending}").write_bytes(content)
