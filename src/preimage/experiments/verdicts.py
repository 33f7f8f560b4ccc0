"""What the paper states and rows can check: one claim an entry, one verdict a preset."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from preimage.errors import counted
from preimage.experiments.dictionary import HOGGLE
from preimage.experiments.figure08_study import NO_PRIOR, STRONG, WEAK
from preimage.experiments.table2 import ENTRIES, NATURAL
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


@dataclass(frozen=True)
class Claim:
    """One statement of the paper.

    Attributes:
        experiments: whose rows can check it.
        says: the statement.
        where: its place in the paper.
        rule: how the verdict is reached, in words.
        check: the same as a function.
        by_preset: whether every preset is judged for itself; else all rows together.
    """

    experiments: tuple[str, ...]
    says: str
    where: str
    rule: str
    check: Check
    by_preset: bool = True


@dataclass(frozen=True)
class Verdict:
    """A claim judged.

    Attributes:
        claim: the statement.
        preset: whose rows; None where all were taken, or there were none.
        finding: what they say.
    """

    claim: Claim
    preset: str | None
    finding: Finding


def verdicts(experiment: str, rows: Rows) -> tuple[Verdict, ...]:
    """Every claim about an experiment, judged by its rows, preset by preset.

    Args:
        experiment: name of the experiment that has measured them.
        rows: as its report holds them.

    Returns:
        One or more for each claim; `not measured` where the rows that it needs are missing.

    Example:
        >>> row = {"model": "alexnet", "layer": "conv1", "preset": "best", "relative_error": 0.02}
        >>> [(v.preset, v.finding.verdict) for v in verdicts("figure9", [row])]
        [('best', 'agrees')]
    """
    presets = list(dict.fromkeys(str(row["preset"]) for row in rows if row.get("preset")))
    found = []
    for claim in CLAIMS:
        if experiment in claim.experiments:
            for preset in presets if claim.by_preset and presets else [None]:
                chosen = [row for row in rows if preset in (None, row.get("preset"))]
                # Rows that no search has made belong to every preset.
                chosen += [row for row in rows if preset and not row.get("preset")]
                found.append(Verdict(claim, preset, claim.check(chosen) or MISSING))
    return tuple(found)


MISSING = Finding(NOT_MEASURED, "no rows for it")


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


def _printed(method: str, descriptor: str) -> Check:
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


def _ratio(one: tuple[str, str], other: tuple[str, str], holds: Callable[[float], bool]) -> Check:
    """The mean error of one method and descriptor, divided by that of another."""

    def check(rows: Rows) -> Finding | None:
        first, second = _descriptor_error(rows, *one), _descriptor_error(rows, *other)
        if not (math.isfinite(first) and second > 0):
            return None
        return _agrees(holds(first / second), f"{percent(first)} against {percent(second)}")

    return check


def _priors_grow(rows: Rows) -> Finding | None:
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


def _maintained(rows: Rows) -> Finding | None:
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


def _early_layers_suffer(rows: Rows) -> Finding | None:
    layers = _layers(rows)
    early = layers[: len(layers) // 2]
    pairs = [ends for layer in early if (ends := _ends(rows, layer, "squared_error"))]
    factors = [small / large for small, large in pairs if large > 0]
    if not factors:
        return None
    words = f"{min(factors):.1f} to {max(factors):.1f} times the error ({', '.join(early)})"
    return _agrees(min(factors) >= 1.5, words)


def _deepest_does_not(rows: Rows) -> Finding | None:
    layers = _layers(rows)
    ends = _ends(rows, layers[-1], "squared_error") if layers else None
    if ends is None:
        return None
    words = f"{layers[-1]}: {percent(ends[0])} at the smallest C, {percent(ends[1])} at the largest"
    return _agrees(abs(ends[0] - ends[1]) <= 0.1, words)


def _spread(rows: Rows) -> Finding | None:
    rows = [row for row in _with(rows, "spread") if _value(row, "fidelity") != 1]
    if not rows:
        return None
    largest = max(rows, key=lambda row: _value(row, "spread"))
    spread = _value(largest, "spread")
    restarts = counted(largest.get("restarts"), "restart")
    words = f"at most {number(spread)} ({largest.get('layer')}), {restarts}"
    return _agrees(spread < 0.025, words)


def _classes_kept(rows: Rows) -> Finding | None:
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


def _below_the_published(rows: Rows) -> Finding | None:
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


def _similar(statistic: str, third: int, holds: Callable[[float], bool]) -> Check:
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


def _deepest_alike(statistic: str) -> Check:
    def check(rows: Rows) -> Finding | None:
        rows = [r for r in _with(rows, "similarity", "fidelity") if r.get("statistic") == statistic]
        layers = _layers(rows)
        values = [_value(row, "similarity") for row in _at(rows, layers[-1])] if layers else []
        if len(values) < 2:
            return None
        words = f"{layers[-1]}: {min(values):.2f} to {max(values):.2f}"
        return _agrees(max(values) - min(values) <= 0.1, words)

    return check


def _first_layers(rows: Rows) -> Finding | None:
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


def _some_prior_preferred(rows: Rows) -> Finding:
    votes = _votes(rows)
    wins = {layer: max(of[WEAK], of[STRONG]) > of[NO_PRIOR] for layer, of in votes.items()}
    words = f"a prior was preferred at {sum(wins.values())} of {counted(len(wins), 'layer')}"
    return _agrees(all(wins.values()), words) if wins else TOO_FEW


def _strong_prior_when_deep(rows: Rows) -> Finding:
    votes = _votes(rows)
    if not votes:
        return TOO_FEW
    layer, of = list(votes.items())[-1]
    words = ", ".join(f"{name} {fraction:.2f}" for name, fraction in of.items())
    return _agrees(max(of, key=lambda name: of[name]) == STRONG, f"{layer}: {words}")


STATISTICS = {"magnitude": "magnitudes, the text's", "orientation": "orientations, the program's"}


def _receptive_fields(rows: Rows) -> Finding | None:
    known = [row for row in rows if isinstance(row.get("equal"), bool)]
    if not known:
        return None
    equal = sum(row["equal"] is True for row in known)
    disputed = sum(row["equal"] is False and row.get("disputed") is True for row in known)
    layers = counted(len(known), "layer")
    words = f"{equal} of {layers} equal, {disputed} where the paper looks wrong"
    return _agrees(equal + disputed == len(known), words)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        experiments=("table1",),
        says="receptive field and stride of every layer",
        where="Table 1",
        rule="equal, or the paper itself looks wrong",
        check=_receptive_fields,
        by_preset=False,
    ),
    *(
        Claim(
            experiments=("table2",),
            says=f"{entry.method}, {entry.descriptor}: {percent(entry.printed)} ± "
            f"{percent(entry.interval)}",
            where="Table 2",
            rule="within both 95 % intervals; better or differs beyond them",
            check=_printed(entry.method, entry.descriptor),
            by_preset=entry.method == NATURAL,
        )
        for entry in ENTRIES
    ),
    Claim(
        experiments=("table2", "figure5"),
        says="HOGgle is faster but not as accurate (60.1% vs. 36.6% reconstruction error)",
        where="Sect. 5.1.2",
        rule="natural pre-images of HOG have the lower mean error",
        check=_ratio((NATURAL, "HOG"), (HOGGLE, "HOG"), lambda ratio: ratio < 1),
    ),
    Claim(
        experiments=("table2", "figure5"),
        says="bilinear gradient orientation assignments significantly reduce the reconstruction "
        "error (from 36.6% down to 11.5%)",
        where="Sect. 5.1.3",
        rule="the mean error of HOGb is at most half of HOG's (the paper's: a third)",
        check=_ratio((NATURAL, "HOGb"), (NATURAL, "HOG"), lambda ratio: ratio <= 0.5),
    ),
    Claim(
        experiments=("table2", "figure5"),
        says="reconstructions obtained by inverting DSIFT are quantitatively similar to HOG with "
        "bilinear orientation assignment",
        where="Sect. 5.1.3",
        rule="the mean errors of DSIFT and HOGb are within a factor of 1.5 (the paper's: 0.8)",
        check=_ratio((NATURAL, "DSIFT"), (NATURAL, "HOGb"), lambda ratio: 2 / 3 <= ratio <= 1.5),
    ),
    Claim(
        experiments=("figure3",),
        says="Selecting a small value of C results in more regularized reconstructions",
        where="Fig. 3",
        rule="the prior terms are lower at the smallest C than at the largest",
        check=_priors_grow,
    ),
    Claim(
        experiments=("figure6",),
        says="for a sufficiently large value of C, the reconstruction error can be maintained in "
        "the range 10-20%, including for the deepest layers",
        where="Sect. 5.2.2, Fig. 6 left",
        rule="squared error at the best C of every layer at most 20 %; better below 10 %",
        check=_maintained,
    ),
    Claim(
        experiments=("figure6",),
        says="Using a stronger regularization (small C) significantly deteriorates the quality of "
        "the reconstructions from earlier layers",
        where="Sect. 5.2.2, Fig. 6 left",
        rule="in the first half of the layers, 1.5 times the squared error or more at the "
        "smallest C",
        check=_early_layers_suffer,
    ),
    Claim(
        experiments=("figure6",),
        says="it has little to no effect on the reconstruction quality of deeper layers",
        where="Sect. 5.2.2, Fig. 6 left",
        rule="squared errors of the deepest layer within 10 percentage points over C",
        check=_deepest_does_not,
    ),
    Claim(
        experiments=("figure6",),
        says="for the values of C except C = 1, all pre-images have very similar reconstruction "
        "errors, with standard deviation of around 0.02 or less",
        where="Sect. 5.2.2, Fig. 6 middle",
        rule="below 0.025 everywhere",
        check=_spread,
    ),
    Claim(
        experiments=("figure6",),
        says="by choosing the correct amount of regularization, the classification consistency of "
        "the reconstructions can be kept above 0.8 in most cases",
        where="Sect. 5.2.2, Fig. 6 right",
        rule="at least 0.8 at the best C in more than half of the layers",
        check=_classes_kept,
    ),
    Claim(
        experiments=("figure6",),
        says="(not in the paper) its algorithm, the preset paper, on the same photos",
        where="preset best against preset paper",
        rule="better if no squared error is higher, of those that differ by more than 0.1 %",
        check=_below_the_published,
        by_preset=False,
    ),
    *(
        claim
        for statistic, reading in STATISTICS.items()
        for claim in (
            Claim(
                experiments=("figure7",),
                says="a small amount of regularization is clearly preferable for shallow layers",
                where=f"Sect. 5.2.3, Fig. 7; gradient {reading}",
                rule="in the first third of the layers, C = 100 or more is most similar",
                check=_similar(statistic, 0, lambda fidelity: fidelity >= 100),
            ),
            Claim(
                experiments=("figure7",),
                says="a stronger amount is clearly better for intermediate ones",
                where=f"Sect. 5.2.3, Fig. 7; gradient {reading}",
                rule="in the second third of the layers, C = 20 or less is most similar",
                check=_similar(statistic, 1, lambda fidelity: fidelity <= 20),
            ),
            Claim(
                experiments=("figure7",),
                says="the difference is not all that significant for the deepest layers",
                where=f"Sect. 5.2.3, Fig. 7; gradient {reading}",
                rule="similarities of the deepest layer within 0.1 over C",
                check=_deepest_alike(statistic),
            ),
        )
    ),
    Claim(
        experiments=("figure8",),
        says="at least a small amount of regularization is always preferable for interpretability",
        where="Sect. 5.2.3, Fig. 8",
        rule="at every layer C = 100 or C = 1 has a larger share of its votes than no prior",
        check=_some_prior_preferred,
        by_preset=False,
    ),
    Claim(
        experiments=("figure8",),
        says="strong regularization is highly desirable for very deep layers",
        where="Sect. 5.2.3, Fig. 8",
        rule="at the deepest layer C = 1 has the largest share of its votes",
        check=_strong_prior_when_deep,
        by_preset=False,
    ),
    Claim(
        experiments=("figure9", "figure10", "figure11", "compare"),
        says="The first few layers of all the networks compute a code of the image that is nearly "
        "exactly invertible",
        where="Sect. 5.2.4",
        rule="relative error of the first layer at most 10 %, so squared at most 1 %",
        check=_first_layers,
    ),
)
"""Only what rows can check; what pictures show is for the reader to see."""
