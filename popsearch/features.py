"""From a table's columns to the matrix a model sees."""

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from popsearch.config import FeaturesConfig
from popsearch.data.table import Table
from popsearch.errors import did_you_mean, setting

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

N_QUANTILES = 1000
N_FOLDS = 5  # of what is encoded by the target
WHY_NOT = {
    "text": "a text of its own in most rows",
    "id": "row numbers",
    "empty": "no values",
}


def build(
    cfg: FeaturesConfig,
    table: Table,
    scaler: str,
    missing: str,
    seed: int,
    n_train: int | None = None,
) -> "ColumnTransformer":
    """Give an unfitted transformer from the table's columns to floats, (n_rows, n_features).

    What is learned from the target is cross-fitted: ``fit_transform`` encodes every training row
    from others only, ``transform`` encodes new rows from all of them.

    Parameters
    ----------
    scaler
        ``minmax`` brings numbers to 0..1, ``standard`` to mean 0 and variance 1, ``quantile`` to
        a normal distribution; ``none`` leaves them. Booleans and one-hot columns stay 0 and 1.
    missing
        ``impute`` fills numbers and dates with the median of the training rows, booleans with
        the more frequent value, and adds a column that marks them; ``pass`` leaves NaN. A
        missing category is one more category.
    seed
        Of the folds.
    n_train
        How many rows it will be fitted on; all of the table where it is None.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

    from popsearch.encoders import DateParts, EmptyAsZero, LabelMeans, categories

    groups = groups_of(cfg, table)
    numeric, boolean, dates = (groups[kind] for kind in ("numeric", "boolean", "datetime"))

    def gaps(names: list[str]) -> list[str]:
        return [c for c in names if missing == "impute" and table.columns[c].n_missing]

    def fill(names: list[str], strategy: str) -> Any:
        if missing == "impute":  # also without gaps: new rows may have some
            return SimpleImputer(strategy=strategy, keep_empty_features=True)
        return EmptyAsZero() if any(table.columns[c].n_missing for c in names) else None

    def scale() -> Any:
        return _scaler(scaler, seed, len(table.y) if n_train is None else n_train)

    def each(function: Any, **options: str) -> Any:
        return FunctionTransformer(function, kw_args=options, feature_names_out="one-to-one")

    plain = each(categories)
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    mark = MissingIndicator(error_on_new=False)  # after the scaler: marks stay 0 and 1
    steps: list[tuple[str, Any, list[str]]] = [
        ("numeric", _chain(fill(numeric, "median"), scale()), numeric),
        # New rows may have truth values, which an imputer refuses.
        (
            "boolean",
            _chain(each(np.asarray, dtype="float64"), fill(boolean, "most_frequent")),
            boolean,
        ),
        ("datetime", _chain(DateParts(), fill(dates, "median"), scale()), dates),
        ("one_hot", _chain(plain, one_hot), groups["one_hot"]),
        ("means", _chain(plain, _category_means(seed), scale()), groups["means"]),
    ]
    for i, column in enumerate(groups["labels"]):
        means = LabelMeans(cv=N_FOLDS, random_state=seed)
        steps.append((f"labels_{i}", _chain(means, scale()), [column]))
    steps += [
        ("missing", mark, gaps(numeric + boolean)),
        ("missing_datetime", _chain(DateParts(("days",)), mark), gaps(dates)),
    ]
    return ColumnTransformer([step for step in steps if step[2]])


def columns(cfg: FeaturesConfig, table: Table) -> list[str]:
    """Give the columns that the model sees, in order."""
    if cfg.columns is not None:
        return list(cfg.columns)
    return [name for name, column in table.columns.items() if column.is_feature]


def faults(cfg: FeaturesConfig, table: Table) -> list[str]:
    """Give what keeps these features from being taken from this table."""
    asked = columns(cfg, table)
    if not asked:
        left = [f"{', '.join(names)} ({why})" for why, names in left_out(table).items()]
        came = f"leaves out {', '.join(left)}" if left else f"has only the target {table.target}"
        return [
            f"data={table.name}: must have a column that can be a feature, but {came}; "
            "see data.columns and data.drop"
        ]
    found = _unknown(table, asked)
    found += [_fault(table, column) for column in dict.fromkeys(asked) if column in table.columns]
    twice = sorted({column for column in asked if asked.count(column) > 1})
    return [fault for fault in found if fault] + [
        f"features.columns: {column} is named more than once" for column in twice
    ]


def origins(transformer: "ColumnTransformer") -> list[str]:
    """Give, for each output of a fitted transformer, the column that it was made from."""
    found: list[str] = []
    for name, step, names in transformer.transformers_:
        found += [] if name == "remainder" else _made_from(step, list(names))
    return found


def groups_of(cfg: FeaturesConfig, table: Table) -> dict[str, list[str]]:
    """Give the columns by how they are encoded."""
    ways = ("numeric", "boolean", "datetime", "one_hot", "means", "labels")
    groups: dict[str, list[str]] = {way: [] for way in ways}
    for name in columns(cfg, table):
        column = table.columns[name]
        few = column.n_distinct <= cfg.one_hot_up_to
        way = ("one_hot" if few else "means") if column.kind == "categorical" else column.kind
        groups[way].append(name)
    return groups


def _chain(*steps: Any) -> Any:
    """Give the steps that there are as one."""
    from sklearn.pipeline import make_pipeline

    wanted = [step for step in steps if step is not None]
    if len(wanted) < 2:
        return wanted[0] if wanted else "passthrough"
    return make_pipeline(*wanted)


def _scaler(name: str, seed: int, n_train: int) -> Any:
    from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler

    match name:
        case "minmax":
            return MinMaxScaler()
        case "standard":
            return StandardScaler()
        case "quantile":
            return QuantileTransformer(
                n_quantiles=min(N_QUANTILES, n_train),  # it warns of more than rows
                output_distribution="normal",
                random_state=seed,
            )
        case _:
            return None


def _category_means(seed: int) -> Any:
    from sklearn.model_selection import KFold

    from popsearch.encoders import CategoryMeans

    seeded = inspect.signature(CategoryMeans).parameters["random_state"]
    if seeded.default is None:  # before scikit-learn 1.9
        return CategoryMeans(target_type="continuous", cv=N_FOLDS, random_state=seed)
    folds = KFold(N_FOLDS, shuffle=True, random_state=seed)
    return CategoryMeans(target_type="continuous", cv=folds)


def _unknown(table: Table, names: list[str]) -> list[str]:
    """Give the names that are no columns: those like one a line each, the others in one."""
    found, unlike = [], []
    for name in dict.fromkeys(names):
        if name == table.target:
            found.append(f"features.columns: {name} is the target; leave it out")
        elif name not in table.columns:
            hint = did_you_mean(name, table.columns)
            if hint.startswith("; did"):
                where = f"features.columns: {name} is not a column"
                found.append(f"{where} of data={table.name}{hint}")
            else:
                unlike.append(name)
    if unlike:
        hint = did_you_mean("", table.columns)
        what = "is not a column" if len(unlike) == 1 else "are not columns"
        found.append(f"features.columns: {', '.join(unlike)} {what} of data={table.name}{hint}")
    return found


def _fault(table: Table, name: str) -> str:
    """Give why this column can be no feature, or nothing."""
    column = table.columns[name]
    if column.is_feature:
        return ""
    if column.dropped:
        return f"features.columns: {name} is also in data.drop; remove it from one of them"
    kind = "numeric" if column.kind == "id" else "categorical"
    other = f"; for data=csv {setting(f'data.columns.{kind}', [name])} says otherwise"
    return (
        f"features.columns: {name} must hold numbers, dates or categories, but has "
        f"{WHY_NOT[column.kind]}; leave it out{other if column.kind != 'empty' else ''}"
    )


def left_out(table: Table) -> dict[str, list[str]]:
    """Give the columns that are no features, by the reason."""
    found: dict[str, list[str]] = {}
    for name, column in table.columns.items():
        if not column.is_feature:
            why = "dropped" if column.dropped else WHY_NOT[column.kind]
            found.setdefault(why, []).append(name)
    return found


def _made_from(step: Any, names: list[str]) -> list[str]:
    """Give the column that each output of a fitted step was made from."""
    from sklearn.impute import MissingIndicator
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    from popsearch.encoders import DateParts, LabelMeans

    match step:
        case Pipeline():
            for _, part in step.steps:
                names = _made_from(part, names)
            return names
        case OneHotEncoder():
            outputs = [len(values) for values in step.categories_]
        case DateParts():
            outputs = [len(parts) for parts in step.parts_]
        case MissingIndicator():
            return [names[i] for i in step.features_]
        case LabelMeans():
            outputs = [2]
        case _:
            return names
    return [name for name, n in zip(names, outputs, strict=True) for _ in range(n)]
