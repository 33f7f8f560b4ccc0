"""Rows of measurements: their field names, as CSV, and as cells for the screen."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Value = str | int | float | bool | None
Row = Mapping[str, Value]

FIELDS: dict[str, str] = {
    "photo": "name of the photo the row speaks of; absent where it averages over photos",
    "method": "how the image was made: `natural pre-image`, `maximization` or `HOGgle`",
    "descriptor": "name of a hand-crafted code in the paper",
    "model": "as in a record's `representation`",
    "layer": "as in a record's `representation`; null where there are no layers",
    "options": "options of the representation, `name=value`, with commas between",
    "preset": "as in a record's `settings`; null where there is no search",
    "fidelity": "C of Eq. 1",
    "alpha": "exponent of the bounded range",
    "beta": "exponent of the total variation",
    "jitter": "T of Eq. 7",
    "iterations": "of each search",
    "seed": "of the search",
    "restart": "of the search",
    "count": "how many cases the row averages over",
    "relative_error": "‖Φ(x)−Φ₀‖/‖Φ₀‖, a fraction; the mean over the cases",
    "squared_error": "its square, Eq. 2; the mean over the cases",
    "interval": "half the 95 % confidence interval of the mean relative error",
    "squared_interval": "half the 95 % confidence interval of the mean squared error",
    "prior": "mean of the energy's prior terms",
    "spread": "standard deviation of the squared error over restarts; the mean over photos",
    "restarts": "how many restarts of each photo `spread` is taken over",
    "class_consistency": "fraction of cases whose first class is their photo's",
    "class_consistency_top5": "fraction of cases among whose first five classes is their photo's",
    "depth": "position of the layer in its model's table, as a fraction: 1 is the last one",
    "setting": "what was voted on: the name of a setting of the study",
    "won": "votes for the setting",
    "shown": "votes that had the setting to choose",
    "fraction": "won / shown; null if it was never shown",
    "lowest": "lower end of the 95 % interval of the fraction (Wilson)",
    "highest": "its upper end",
    "part": "which part of the code counted",
    "objective": "what was maximized: a channel or a class, by name",
    "activation": "of the objective on the result",
    "M": "the largest activation over photos, or an estimate of it, Eq. 9",
    "ratio": "activation / M",
    "probability": "of the class that was maximized",
    "rank": "of the class that was maximized among all, from 1",
    "component": "detector and number of its component",
    "score": "of the detector on the result, without its bias",
    "noise_score": "of the detector on white noise",
    "growth": "⟨Φ(x), Φ₀⟩/‖Φ₀‖², 1 for the photo itself",
    "statistic": "what is compared: `magnitude` or `orientation` of the gradients",
    "similarity": "mean histogram intersection with the photos' gradient statistics",
    "similarity_interval": "half the 95 % confidence interval of that mean",
    "seconds": "mean time of a case's search",
    "network": "as Table 1 calls it",
    "size": "receptive field, in pixels, as computed here",
    "stride": "stride, in pixels, as computed here",
    "paper_size": "receptive field as Table 1 prints it",
    "paper_stride": "stride as Table 1 prints it",
    "equal": "whether what is computed here is what the paper prints",
    "disputed": "whether they differ and the paper looks wrong",
    "paper": "the figure that the paper prints for this, in the row's own unit",
    "paper_interval": "what it prints behind ±",
    "case": "id of the case, the name of its folder",
}
"""Every name that a row may use, so that the same thing is called the same in all experiments."""


@dataclass(frozen=True)
class Column:
    """A column of the table on screen.

    Attributes:
        field: what it shows.
        heading: what stands over it.
        shown: from the row's value, which is not None, to words.
    """

    field: str
    heading: str
    shown: Callable[[Value], str] = str


def numeric(value: Value) -> float:
    """A row's value as a number, 0 where it is null: what a plot draws."""
    return float(value or 0)


def percent(value: Value) -> str:
    """A fraction as it is shown on screen.

    >>> percent(0.366)
    '36.6 %'
    """
    return f"{100 * float(value or 0):.1f} %"


def number(value: Value) -> str:
    """A number with three digits.

    >>> number(2.3456)
    '2.35'
    """
    return f"{float(value or 0):.3g}"


def cells(rows: Iterable[Row], columns: Sequence[Column]) -> list[tuple[str, ...]]:
    """Rows as words, empty where a row has nothing to say.

    >>> cells([{"count": 3, "interval": None}], [Column("count", "n"), Column("interval", "±")])
    [('3', '')]
    """
    return [
        tuple(
            "" if row.get(column.field) is None else column.shown(row[column.field])
            for column in columns
        )
        for row in rows
    ]


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV: a column for every field that one of them has, in order of first use.

    What is not there, or null, is an empty cell.

    >>> to_csv([{"count": 3}, {"count": 2, "interval": 0.5}])
    'count,interval\\n3,\\n2,0.5\\n'
    """
    fields = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({name: "" if row[name] is None else row[name] for name in row} for row in rows)
    return text.getvalue()
