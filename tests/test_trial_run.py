"""What a trial's run is called and says."""

import shlex
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from popsearch.tracking import trial_run

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["relu", "squared_error", "two words", "a,b", "it's", 'a "b"', "x: y", "[z]"]),
)
NAMES = st.from_regex(r"[a-z][a-z_]{0,8}[a-z]", fullmatch=True)


@given(params=st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
def test_the_words_of_a_trial_mean_its_parameters(params: dict[str, Any]) -> None:
    """What a shell makes of them, and Hydra of that, are the values to the last bit."""
    text = trial_run.description(3, "demo-ridge-1a2b", params)
    (line,) = (each for each in text.splitlines() if each.startswith("    "))
    (word,) = shlex.split(line)
    override = OverridesParser.create().parse_override(word)
    assert override.key_or_group == "model.known_good"
    assert override.value() == [params]


def test_a_name_sorts_and_tells_the_family() -> None:
    """Names of one family sort as the numbers do; a data set may have dashes."""
    assert trial_run.name(7, "my-own-data-random_forest-1a2b") == "random_forest 0007"
    names = [trial_run.name(number, "demo-gbr-1") for number in (2, 10, 999)]
    assert sorted(names) == names
    assert trial_run.description(0, "demo-linear-1", {}).count("\n") == 0
