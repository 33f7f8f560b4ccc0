"""Whether rows bear out what the paper states: functions from rows to a finding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from preimage.errors import counted
from preimage.experiments.figure08_study import NO_PRIOR, STRONG, WEAK
from preimage.experiments.tables import Row, number, percent

AGREES, DIFFERS, BETTER, NOT_MEASURED = "agrees", "differs", "better", "not measured"
VERDICTS = (AGREES, BETTER, DIFFERS, NOT_MEASURED)

ENOUGH_VOTES = 20
"""Fewer votes on a setting say nothing: the 95 % interval of a half is then wider than ± 0.2."""


@dataclass(frozen=True)
class Finding:
    """What rows say about a claim.

    Attributes:
        verdict: one of `VERDICTS`.
        measured: in words.
    """

    verdict: str
    measured: str


Rows = Sequence[Row]
Check = Callable[[Rows], Finding | None]
"""From rows to a finding; None where the rows that it needs are missing."""


def _value(row: Row, field: str) -> float:
    """A number of a row; NaN where it has none, which no comparison accepts."""
    value = row.get(field)
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good else math.nan  # type: ignore[arg-type]


def _with(rows: Rows, *fields: str) -> list[Row]:
    """The rows that have a number in each of the fields."""
    return [row for row in rows if all(math.isfinite(_value(row, field)) for field in fields)]


def _layers(rows: Rows) -> list[str]:
    """In their order, from the first to the deepest."""
    return list(dict.fromkeys(str(row.get("layer")) for row in rows))


def _at(rows: Rows, layer: str) -> list[Row]:
    return [row for row in rows if str(row.get("layer")) == layer]


def _mean(rows: Rows, field: str) -> float:
    values = [_value(row, field) for row in rows]
    return sum(values) / len(values) if values else math.nan


def _agrees(holds: bool, measured: str) -> Finding:
    return Finding(AGREES if holds else DIFFERS, measured)


def printed(method: str, descriptor: str) -> Check:
    """Within both confidence intervals of the printed error, or beyond them."""

    def check(rows: Rows) -> Finding | None:
        for row in _with(rows, "relative_error", "paper", "paper_interval"):
            if (row.get("method"), row.get("descriptor")) == (method, descriptor):
                ours, half = _value(row, "relative_error"), _value(row, "interval")
                half = half if math.isfinite(half) else 0.0
                beyond = ours - _value(row, "paper")
                words = f"{percent(ours)} ± {percent(half)} on {counted(row.get('count'), 'photo')}"
                if abs(beyond) <= half + _value(row, "paper_interval"):
                    return Finding(AGREES, words)
                return Finding(BETTER if beyond < 0 else DIFFERS, words)
        return None

    return check


def _descriptor_error(rows: Rows, method: str, descriptor: str) -> float:
    chosen = [r for r in rows if (r.get("method"), r.get("descriptor")) == (method, descriptor)]
    return _mean(_with(chosen, "relative_error"), "relative_error")


def ratio(one: tuple[str, str], other: tuple[str, str], holds: Callable[[float], bool]) -> Check:
    """The mean error of one method and descriptor, divided by that of another."""

    def check(rows: Rows) -> Finding | None:
        first, second = _descriptor_error(rows, *one), _descriptor_error(rows, *other)
        if not (math.isfinite(first) and second > 0):
            return None
        return _agrees(holds(first / second), f"{percent(first)} against {percent(second)}")

    return check


def priors_grow(rows: Rows) -> Finding | None:
    rows = [row for row in _with(rows, "fidelity", "prior") if row.get("beta") in (None, 2.0)]
    by_fidelity = {_value(row, "fidelity"): _value(row, "prior") for row in rows}
    if len(by_fidelity) < 2:
        return None
    weakest, strongest = max(by_fidelity), min(by_fidelity)
    words = (
        f"prior terms {by_fidelity[strongest]:.3g} at C = {strongest:g}, "
        f"{by_fidelity[weakest]:.3g} at C = {weakest:g}"
    )
    return _agrees(by_fidelity[strongest] < by_fidelity[weakest], words)


def maintained(rows: Rows) -> Finding | None:
    rows = _with(rows, "squared_error", "fidelity")
    if not rows:
        return None
    least = {
        layer: min(_value(row, "squared_error") for row in _at(rows, layer))
        for layer in _layers(rows)
    }
    worst = max(least, key=lambda layer: least[layer])
    words = f"at the best C at most {percent(least[worst])} ({worst})"
    if least[worst] < 0.1:
        return Finding(BETTER, words)
    return _agrees(least[worst] <= 0.2, words)


def _ends(rows: Rows, layer: str, field: str) -> tuple[float, float] | None:
    """The values at a layer for the smallest and for the largest C there."""
    at = sorted(_with(_at(rows, layer), field, "fidelity"), key=lambda r: _value(r, "fidelity"))
    return (_value(at[0], field), _value(at[-1], field)) if len(at) > 1 else None


def early_layers_suffer(rows: Rows) -> Finding | None:
    layers = _layers(rows)
    early = layers[: len(layers) // 2]
    pairs = [ends for layer in early if (ends := _ends(rows, layer, "squared_error"))]
    factors = [small / large for small, large in pairs if large > 0]
    if not factors:
        return None
    words = f"{min(factors):.1f} to {max(factors):.1f} times the error ({', '.join(early)})"
    return _agrees(min(factors) >= 1.5, words)


def deepest_does_not(rows: Rows) -> Finding | None:
    layers = _layers(rows)
    ends = _ends(rows, layers[-1], "squared_error") if layers else None
    if ends is None:
        return None
    words = f"{layers[-1]}: {percent(ends[0])} at the smallest C, {percent(ends[1])} at the largest"
    return _agrees(abs(ends[0] - ends[1]) <= 0.1, words)


def spread(rows: Rows) -> Finding | None:
    rows = [row for row in _with(rows, "spread") if _value(row, "fidelity") != 1]
    if not rows:
        return None
    largest = max(rows, key=lambda row: _value(row, "spread"))
    spread = _value(largest, "spread")
    restarts = counted(largest.get("restarts"), "restart")
    words = f"at most {number(spread)} ({largest.get('layer')}), {restarts}"
    return _agrees(spread < 0.025, words)


def classes_kept(rows: Rows) -> Finding | None:
    rows = _with(rows, "class_consistency", "fidelity")
    if not rows:
        return Finding(NOT_MEASURED, "the weights hold no classifier")
    best = {
        layer: max(_value(row, "class_consistency") for row in _at(rows, layer))
        for layer in _layers(rows)
    }
    kept = sum(value >= 0.8 for value in best.values())
    layers = counted(len(best), "layer")
    words = f"at the best C in {kept} of {layers}, least {percent(min(best.values()))}"
    return _agrees(2 * kept > len(best), words)


def below_the_published(rows: Rows) -> Finding | None:
    errors = {
        (row.get("preset"), row.get("layer"), row.get("fidelity")): _value(row, "squared_error")
        for row in _with(rows, "squared_error", "fidelity")
    }
    pairs = [
        (error, errors["paper", layer, fidelity])
        for (preset, layer, fidelity), error in errors.items()
        if preset == "best" and ("paper", layer, fidelity) in errors
    ]
    if not pairs:
        return None
    # Where both have arrived, as at conv1, neither is better.
    same = sum(math.isclose(ours, theirs, rel_tol=ARRIVED) for ours, theirs in pairs)
    higher = sum(ours > theirs * (1 + ARRIVED) for ours, theirs in pairs)
    lower = len(pairs) - same - higher
    words = (
        f"lower for {lower} of {counted(len(pairs), 'pair')} of layer and C, the same for {same}"
    )
    return Finding(BETTER if lower and not higher else DIFFERS, words)


ARRIVED = 1e-3
"""Errors nearer to each other than this part are the same."""


def similar(statistic: str, third: int, holds: Callable[[float], bool]) -> Check:
    """The C with the most natural gradients, in one third of the layers."""

    def check(rows: Rows) -> Finding | None:
        rows = [r for r in _with(rows, "similarity", "fidelity") if r.get("statistic") == statistic]
        layers = _layers(rows)
        if len(layers) < 3:
            return None
        thirds = [layers[len(layers) * i // 3 : len(layers) * (i + 1) // 3] for i in range(3)]
        best = {
            layer: _value(max(_at(rows, layer), key=lambda r: _value(r, "similarity")), "fidelity")
            for layer in thirds[third]
        }
        words = ", ".join(f"{layer}: C = {fidelity:g}" for layer, fidelity in best.items())
        return _agrees(all(map(holds, best.values())), f"most similar at {words}")

    return check


def deepest_alike(statistic: str) -> Check:
    def check(rows: Rows) -> Finding | None:
        rows = [r for r in _with(rows, "similarity", "fidelity") if r.get("statistic") == statistic]
        layers = _layers(rows)
        values = [_value(row, "similarity") for row in _at(rows, layers[-1])] if layers else []
        if len(values) < 2:
            return None
        words = f"{layers[-1]}: {min(values):.2f} to {max(values):.2f}"
        return _agrees(max(values) - min(values) <= 0.1, words)

    return check


def first_layers(rows: Rows) -> Finding | None:
    """The first layer of every model."""
    rows = _with(rows, "relative_error")
    models = dict.fromkeys(str(row.get("model")) for row in rows)
    first = [next(row for row in rows if str(row.get("model")) == model) for model in models]
    if not first:
        return None
    words = ", ".join(
        f"{row.get('model')} {row.get('layer')} {percent(row['relative_error'])}" for row in first
    )
    return _agrees(all(_value(row, "relative_error") <= 0.1 for row in first), words)


def _votes(rows: Rows) -> dict[str, dict[str, float]]:
    """Fractions by layer and setting, of the layers where every setting has votes enough."""
    voted = _with(rows, "fraction", "shown")
    fractions = {
        layer: {
            str(row.get("setting")): _value(row, "fraction")
            for row in _at(voted, layer)
            if _value(row, "shown") >= ENOUGH_VOTES
        }
        for layer in _layers(voted)
    }
    return {layer: of for layer, of in fractions.items() if {NO_PRIOR, WEAK, STRONG} <= set(of)}


TOO_FEW = Finding(NOT_MEASURED, f"not {ENOUGH_VOTES} votes on each setting yet")


def some_prior_preferred(rows: Rows) -> Finding:
    votes = _votes(rows)
    wins = {layer: max(of[WEAK], of[STRONG]) > of[NO_PRIOR] for layer, of in votes.items()}
    words = f"a prior was preferred at {sum(wins.values())} of {counted(len(wins), 'layer')}"
    return _agrees(all(wins.values()), words) if wins else TOO_FEW


def strong_prior_when_deep(rows: Rows) -> Finding:
    votes = _votes(rows)
    if not votes:
        return TOO_FEW
    layer, of = list(votes.items())[-1]
    words = ", ".join(f"{name} {fraction:.2f}" for name, fraction in of.items())
    return _agrees(max(of, key=lambda name: of[name]) == STRONG, f"{layer}: {words}")


STATISTICS = {"magnitude": "magnitudes, the text's", "orientation": "orientations, the program's"}


def receptive_fields(rows: Rows) -> Finding | None:
    known = [row for row in rows if isinstance(row.get("equal"), bool)]
    if not known:
        return None
    equal = sum(row["equal"] is True for row in known)
    disputed = sum(row["equal"] is False and row.get("disputed") is True for row in known)
    layers = counted(len(known), "layer")
    words = f"{equal} of {layers} equal, {disputed} where the paper looks wrong"
    return _agrees(equal + disputed == len(known), words)
