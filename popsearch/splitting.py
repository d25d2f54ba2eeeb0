"""The typed schema of ``conf/split``: which rows are for training, validation and the test."""

from collections.abc import Sequence
from typing import Annotated, Literal, Union

from pydantic import Field

from popsearch.errors import setting
from popsearch.section import Name, Section, Seed, Share


class _Shares(Section):
    """Shares of the rows: test of all, validation of what is left."""

    test_size: Share
    val_size: Share
    seed: Seed


class HoldoutSplit(_Shares):
    """Rows drawn one by one."""

    name: Literal["holdout"]


class GroupedSplit(_Shares):
    """Rows that agree in all columns of ``group_by`` stay on one side."""

    name: Literal["grouped"]
    group_by: list[Name] | None


class TimeSplit(_Shares):
    """The newest rows by ``order_by`` are the test, the newest of the rest the validation."""

    name: Literal["time"]
    order_by: Name | None


class KFoldSplit(Section):
    """Every row outside the test is validated on once, in ``n_splits`` folds.

    Rows that agree in all columns of ``group_by``, where it is given, stay on one side.
    """

    name: Literal["kfold"]
    test_size: Share
    n_splits: Annotated[int, Field(ge=2, le=100)]
    seed: Seed
    group_by: list[Name] | None


SplitConfig = Annotated[
    Union[HoldoutSplit, GroupedSplit, TimeSplit, KFoldSplit], Field(discriminator="name")
]


def grouping(split: SplitConfig, key: Sequence[str] | None) -> str:
    """Give what to type so that rows of one thing stay together, in a split that parts them.

    Parameters
    ----------
    key
        The columns that the data themselves group by.
    """
    if key is None or isinstance(split, GroupedSplit):
        columns = " split.group_by=[COLUMN, ...]"
    else:
        columns = f" {setting('split.group_by', key)}" if isinstance(split, KFoldSplit) else ""
    choice = "" if isinstance(split, GroupedSplit | KFoldSplit) else "split=grouped"
    return f"{choice}{columns}".strip()
