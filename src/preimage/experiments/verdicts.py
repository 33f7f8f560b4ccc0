"""The paper's claims judged by rows: one verdict a claim and preset."""

from __future__ import annotations

from dataclasses import dataclass

from preimage.experiments.checks import NOT_MEASURED, Finding, Rows
from preimage.experiments.claims import CLAIMS, Claim


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
