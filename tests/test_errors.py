"""What a message tells to type can be typed."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from popsearch.errors import printable, quoted, setting
from popsearch.section import Name
from popsearch.usage import with_paths_quoted

# A line break cannot be typed, and $ begins a reference of Hydra's.
names = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="$"), min_size=1
)


def typed(words: str) -> list[object]:
    """Give what Hydra makes of the values of what is typed in a shell."""
    parsed = OverridesParser.create().parse_overrides(shlex.split(words))
    return [override.value() for override in parsed]


@given(
    st.lists(names | st.sampled_from(["0", "12", "true", "NULL", "inf", "a\\", 'a\\"']), min_size=1)
)
def test_a_list_of_any_names_can_be_typed(columns: list[str]) -> None:
    """Shell and Hydra give back each name, whatever characters are in it."""
    (value,) = typed(setting("data.drop", columns))
    assert TypeAdapter(list[Name]).validate_python(value) == columns


@given(names)
def test_any_text_can_be_quoted(text: str) -> None:
    """In quotation marks Hydra takes all characters as they are."""
    assert typed(shlex.quote(f"data.target={quoted(text)}")) == [text]


def test_plain_names_are_typed_as_they_are() -> None:
    """Nobody wants to see quotation marks that are not needed."""
    assert setting("data.drop", ["price", "Zip_2"]) == "data.drop=[price,Zip_2]"


@pytest.mark.parametrize(
    "path",
    ["a.csv", "~/a.csv", "my table (1).csv", "größe.csv", "a=b.csv", "/x/y-z_1.csv.gz", "a#!.csv"],
)
def test_a_path_needs_no_quotes_within_quotes(path: str) -> None:
    """Hydra gives it back as it was typed, and other words are left alone."""
    others = ["model=ridge", "-m", "data.target=a"]
    *_, word = with_paths_quoted([*others, f"data.path={path}"])
    assert typed(shlex.quote(word)) == [path]
    assert with_paths_quoted(others) == others


@pytest.mark.parametrize("word", ["data.path='a b'", 'data.path="a"', "data.path=a.csv,b (1).csv"])
def test_what_is_quoted_or_a_sweep_stays(word: str) -> None:
    """With commas it may be several paths."""
    assert with_paths_quoted([word]) == [word]


def test_a_fault_is_one_printable_line() -> None:
    """Line breaks and codes that a terminal obeys are shown escaped."""
    assert printable("a\nb\x1b[2J") == "a\\nb\\x1b[2J"
