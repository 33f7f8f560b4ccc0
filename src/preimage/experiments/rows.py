"""From finished cases to a row of the answer."""

from __future__ import annotations

from collections.abc import Sequence

from preimage import metrics
from preimage.experiments.cases import Finished
from preimage.experiments.statistics import estimate
from preimage.experiments.tables import Value
from preimage.metrics import ClassScore


def has_classes(done: Finished) -> bool:
    """Whether the photo's class was found: the weights hold a classifier."""
    classes = done.record["classes"]
    return bool(classes and classes["reference"])


def class_consistency(found: Sequence[Finished], top: int = 1) -> float | None:
    """Fraction of cases among whose first `top` classes is the first one of their photo.

    Returns:
        None where the weights hold no classifier.
    """
    if not all(has_classes(done) for done in found):
        return None
    results, references = (
        [[ClassScore(**score) for score in done.record["classes"][whose]] for done in found]
        for whose in ("result", "reference")
    )
    # A network may tell fewer classes apart.
    return metrics.class_consistency(results, references, min(top, *map(len, results)))


def mean_row(found: Sequence[Finished]) -> dict[str, Value]:
    """What cases of one representation and settings have in common, and their means.

    An experiment puts its own fields before or behind these.

    Args:
        found: one or more.

    Returns:
        `model`, `layer`, `options`, `preset`, `fidelity`, `jitter`, `iterations`, `count`,
        `relative_error` with its `interval`, `squared_error` with its `squared_interval`, `prior`
        and `seconds`; see `tables.FIELDS`.

    Raises:
        PreimageError: if there are none.
    """
    error = estimate([done.relative_error for done in found])
    squared = estimate([done.squared_error for done in found])
    return {
        **_searched(found[0]),
        "count": error.count,
        "relative_error": error.mean,
        "interval": error.interval,
        "squared_error": squared.mean,
        "squared_interval": squared.interval,
        "prior": estimate([done.prior for done in found]).mean,
        "seconds": estimate([done.seconds for done in found]).mean,
    }


def case_row(done: Finished, **measured: Value) -> dict[str, Value]:
    """One case of any task, with what that task measures.

    Returns:
        `model`, `layer`, `options`, `preset`, `fidelity`, `jitter`, `iterations`, `count`, what was
        measured, `prior`, `seconds`, `seed` and `case`.
    """
    return {
        **_searched(done),
        "count": 1,
        **measured,
        "prior": done.prior,
        "seconds": done.seconds,
        "seed": done.record["seed"],
        "case": done.case.id,
    }


def _searched(done: Finished) -> dict[str, Value]:
    """What was searched, and how."""
    representation, settings = (done.record[part] for part in ("representation", "settings"))
    options = representation.get("options", {})
    return {
        "model": representation["model"],
        "layer": representation["layer"],
        "options": ",".join(f"{name}={value}" for name, value in options.items()) or None,
        **{name: settings[name] for name in ("preset", "fidelity", "jitter", "iterations")},
    }
