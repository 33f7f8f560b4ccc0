"""Reports of experiments read back from an output folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import preimage
from preimage.errors import PreimageError, one_line
from preimage.experiments.catalogue import COMPARE, EXPERIMENTS
from preimage.experiments.experiment import Experiment
from preimage.experiments.reproduce import REPORT
from preimage.experiments.tables import FIELDS, cells
from preimage.files import reason

REPORTED: tuple[Experiment, ...] = (*EXPERIMENTS, COMPARE)
"""Every experiment that leaves a report, in the order they are shown."""

PARTS: Mapping[str, type] = {
    "name": str,
    "question": str,
    "rows": list,
    "paper": dict,
    "settings": dict,
    "notes": list,
}
"""What a report holds."""


@dataclass(frozen=True)
class Reported:
    """The report of one experiment.

    Attributes:
        experiment: what was asked.
        folder: where the report lies, with its figures.
        record: what `report.json` holds.
    """

    experiment: Experiment
    folder: Path
    record: Mapping[str, Any]

    @property
    def table(self) -> list[tuple[str, ...]]:
        """Its rows as words, in the experiment's columns."""
        return cells(self.record["rows"], self.experiment.columns)

    @property
    def figures(self) -> list[Path]:
        """A PNG each, the one of its own name first; beside a drawing lies an SVG."""
        name = self.experiment.name
        return sorted(self.folder.glob("*.png"), key=lambda path: (path.stem != name, path.stem))


@dataclass(frozen=True)
class Reports:
    """What an output folder holds.

    Attributes:
        found: reports that can be read, in the order of `REPORTED`.
        skipped: folders whose report can't be used, each with the reason.
    """

    found: tuple[Reported, ...]
    skipped: tuple[tuple[str, str], ...]


def reports_in(folder: Path) -> Reports:
    """The reports of an output folder of `preimage reproduce` and `preimage compare`.

    A report that is damaged or of another version is named in `skipped`.

    Raises:
        PreimageError: if there is no such folder, or no report in it can be used.

    Example:
        >>> [each.experiment.name for each in reports_in("out").found]        # doctest: +SKIP
        ['table2', 'figure6']
    """
    if not folder.is_dir():
        raise PreimageError(f"{folder}: no such folder; the --out of `preimage reproduce` is one.")
    found, skipped = [], []
    for experiment in REPORTED:
        if not (folder / experiment.name / REPORT).exists():
            continue
        try:
            found.append(_read(experiment, folder / experiment.name))
        except PreimageError as error:
            skipped.append((experiment.name, str(error)))
    if not found:
        raise PreimageError(f"{folder} holds no report that can be shown{_why(skipped)}")
    return Reports(tuple(found), tuple(skipped))


def _why(skipped: Sequence[tuple[str, str]]) -> str:
    if not skipped:
        return ": make some with `preimage reproduce NAME --out` that folder."
    return "; left out:\n" + "; ".join(f"{name}: {why}" for name, why in skipped)


def _read(experiment: Experiment, folder: Path) -> Reported:
    try:
        record = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except OSError as error:
        raise PreimageError(f"its {REPORT} can't be read: {reason(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise PreimageError(f"its {REPORT} is damaged: {one_line(error)}") from error
    _check(record, experiment)
    return Reported(experiment, folder, record)


def _check(record: Any, experiment: Experiment) -> None:
    """Refuse what is no report of this experiment and version, down to the fields of its rows."""
    damaged = PreimageError(f"its {REPORT} is no report of {experiment.name}: run it again.")
    if not isinstance(record, dict) or record.get("name") != experiment.name:
        raise damaged
    if not all(isinstance(record.get(name), kind) for name, kind in PARTS.items()):
        raise damaged
    versions = record["settings"].get("versions")
    version = versions.get("preimage") if isinstance(versions, dict) else None
    if version != preimage.__version__:
        got = one_line(version or "an unknown version")
        raise PreimageError(
            f"made by preimage {got}, and this is {preimage.__version__}: run it again."
        )
    if not all(_is_row(row) for row in record["rows"]):
        raise damaged
    if not all(isinstance(note, str) for note in record["notes"]):
        raise damaged
    try:
        cells(record["rows"], experiment.columns)
    except (TypeError, ValueError):
        raise damaged from None


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and set(row) <= set(FIELDS)
        and all(value is None or isinstance(value, str | int | float) for value in row.values())
        and all(math.isfinite(value) for value in row.values() if isinstance(value, float))
    )
