"""The header of a table: which columns are wanted, and what they are called."""

from collections import Counter
from collections.abc import Collection, Sequence

from popsearch.errors import DataError, did_you_mean

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}


def choose(
    found: list[str], wanted: Sequence[str] | None, where: str, separator: str | None = None
) -> dict[str, int]:
    """Give name and position of the wanted columns, or of all.

    Names have no blanks at their ends and single ones inside, whatever stands in the file: they are
    typed on a command line and printed in one line. A column without a name is called after its
    position.

    Raises
    ------
    DataError
        If a column is missing, or is there twice.
    """
    names = _names(found)
    if wanted is not None and not set(names) & set(wanted):
        header = (separator or ",").join(found)
        shown = repr(header if len(header) <= 80 else header[:80] + "...")
        between = SEPARATORS.get(separator, repr(separator)) if separator else ""
        raise DataError(
            f"{where}: must have the columns {', '.join(wanted)}"
            f"{between and f', separated by {between}'}, but the header is {shown}"
        )
    columns = list(dict.fromkeys(names)) if wanted is None else wanted
    counts = Counter(names)
    faults = []
    for column in columns:
        if counts[column] == 0:
            near = did_you_mean(column, [name for name in names if name not in columns])
            hint = near if near.startswith("; did you mean") else "; the table must have it"
            faults.append(f"{where}: column {column} is missing{hint}")
        elif counts[column] > 1:
            faults.append(
                f"{where}: column {column} must be there once, but it is {counts[column]} times"
            )
    if faults:
        raise DataError(*faults)
    positions = {name: i for i, name in enumerate(names)}
    return {column: positions[column] for column in columns}


def without_absent(wanted: Sequence[str], optional: Collection[str], found: list[str]) -> list[str]:
    """Give the wanted columns but those that need not be there and are not."""
    names = {*_names(found)}
    return [name for name in wanted if name in names or name not in optional]


def _names(found: list[str]) -> list[str]:
    return [" ".join(name.split()) or f"unnamed_{i}" for i, name in enumerate(found, start=1)]


def tidy(error: Exception) -> str:
    """Give the first line of what an error says."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].removeprefix("CSV parse error: ")
