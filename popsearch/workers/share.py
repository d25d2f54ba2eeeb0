"""What of a computer belongs to each of several workers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Share:
    """The cores of one worker, and its GPU where there are some.

    Two processes that both start a thread for every core wait for each other far longer than they
    work: so none gets more threads than cores of its own.
    """

    cores: tuple[int, ...]
    gpu: str | None

    @classmethod
    def of(cls, worker: int, n_workers: int) -> "Share":
        """Give the share of a worker, counted from 0."""
        cores, gpus = _cores(), _gpus()
        gpu = gpus[worker % len(gpus)] if gpus else None
        if n_workers >= len(cores):
            return cls((cores[worker % len(cores)],), gpu)
        return cls(tuple(cores[worker::n_workers]), gpu)

    @property
    def environment(self) -> Mapping[str, str]:
        """What libraries read when they are loaded; what the user has set stays."""
        known = {"OMP_NUM_THREADS": str(len(self.cores))}
        if self.gpu is not None:
            known["CUDA_VISIBLE_DEVICES"] = self.gpu
        return {**known, **os.environ, **{k: v for k, v in known.items() if k.startswith("CUDA")}}

    def bind(self, pid: int) -> None:
        """Keep a process on its cores, where the system can."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(pid, self.cores)


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return [*range(os.cpu_count() or 1)]


def _gpus() -> list[str]:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu for gpu in chosen.split(",") if gpu]
    return [str(i) for i in range(len([*_GPUS.glob("*")]))]
