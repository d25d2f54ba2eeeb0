"""The typed schema of ``conf/data``: where the table comes from, and what its columns are."""

from typing import Annotated, Literal, Union

from pydantic import Field

from popsearch.section import Name, Section


class Source(Section):
    """What all sources have.

    ``group_by`` names the columns that together tell which rows are one thing, ``order_by`` the
    column that tells which rows came first: for ``split=grouped`` and ``split=time``.
    """

    group_by: list[Name] | None = None
    order_by: Name | None = None


class DemoData(Source):
    """The embedded synthetic table."""

    source: Literal["demo"]
    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    rows: Annotated[int, Field(ge=100, le=10_000_000)]
    seed: Annotated[int, Field(ge=0)]


class TracksData(Source):
    """The Kaggle table of Spotify tracks, from a file or fetched."""

    source: Literal["tracks"]
    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    path: str | None


class Kinds(Section):
    """Columns whose kind is given, not recognised."""

    numeric: list[Name] = Field(default_factory=list)
    boolean: list[Name] = Field(default_factory=list)
    categorical: list[Name] = Field(default_factory=list)


class CsvData(Source):
    """Any table of the user's, from a file.

    ``separator`` and ``decimal`` are those of a CSV, as words, because a shell and Hydra have
    uses of their own for the characters; a separator of null is read off the header.
    """

    source: Literal["csv"]
    name: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None
    path: str | None
    target: Name | None
    drop: list[Name] = Field(default_factory=list)
    datetime: list[Name] = Field(default_factory=list)
    columns: Kinds = Field(default_factory=Kinds)
    separator: Literal["comma", "semicolon", "tab", "pipe"] | None
    decimal: Literal["point", "comma"]


Data = Annotated[Union[DemoData, TracksData, CsvData], Field(discriminator="source")]
