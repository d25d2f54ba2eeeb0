"""Trials in this process: asked for, trained and told until the study has all that are wanted."""

import gc
import math
from collections.abc import Callable

from popsearch.interrupt import Interrupted, Interrupts
from popsearch.residuals import Residuals
from popsearch.stopping import Stopping
from popsearch.study import Study
from popsearch.tracking import Given, Tracker
from popsearch.workers.batch import Batch, Watcher
from popsearch.workers.trainer import Trainer

DIED = "its process died"
POLL_S = 0.5  # between two looks at what other processes do


def recover(study: Study, tracker: Tracker) -> None:
    """Settle the trials that a process left running when it died.

    A trial whose run was closed with its scores had ended: it only had not been told. Any other
    is tried again.
    """
    if not study.left_behind():
        return
    with study.alone():  # two that find the same trial would try it again twice
        for asked in study.left_behind():
            known = tracker.finished(asked.run_id) if asked.run_id else None
            if known:
                study.tell(asked, *known)
                continue
            is_tried_again = study.give_back(asked, DIED, died=True)
            if asked.run_id:
                state: Given = "given back" if is_tried_again else "failed"
                tracker.close(asked.run_id, DIED, state, asked.params)


def search(
    trainer: Trainer,
    study: Study,
    tracker: Tracker,
    interrupts: Interrupts,
    watcher: Watcher,
    n_trials: float,
    stopping: Stopping | None = None,
    residuals: Residuals | None = None,
    is_worn: Callable[[int], bool] = lambda n_trials: False,
) -> str:
    """Run trials until the study has ``n_trials`` of them, and say why it stopped.

    Other processes may run trials of the same study: then all of theirs count, and where those
    that run are the last ones, this waits for their end.

    Parameters
    ----------
    stopping
        What may end it earlier.
    is_worn
        Tells whether, after so many trials, another process is to go on in the place of this one.

    Returns
    -------
    ``n_trials``, ``patience``, ``max_failures``, ``timeout``, ``Ctrl-C``, ``SIGTERM`` or ``worn``.
    """
    gc.freeze()  # the libraries stay; walking through all they hold costs milliseconds a trial
    stopping = stopping or Stopping()
    stopping.replay(ended.ending for ended in study.news())

    def hear() -> None:
        for ended in study.news():
            stopping.hear(*ended.ending)
        if stopping.reason and study.n_done() < n_trials:
            raise Interrupted(stopping.reason)

    n_own = 0
    try:
        while (left := n_trials - study.n_done()) > 0:
            interrupts.check()
            hear()
            if is_worn(n_own):
                return "worn"
            batch = Batch(trainer, study, tracker, interrupts, watcher, hear, residuals)
            n_asked = batch.run(int(min(_n_at_once(trainer, study), left)), n_trials)
            n_own += n_asked
            if not n_asked:
                interrupts.pause(POLL_S)
                study.refresh()
                recover(study, tracker)
        hear()
    except Interrupted as stop:
        return stop.reason
    return "n_trials"


def _n_at_once(trainer: Trainer, study: Study) -> int:
    """Give how many trials to ask for: those trained side by side, or begun together."""
    begun = min(trainer.most_begun, study.n_unguided(trainer.n_workers))
    return max(trainer.population, math.ceil(begun))
