"""Run an experiment and write its report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from preimage.errors import UsageError, counted, nearest
from preimage.experiments import plots
from preimage.experiments.cases import Finished
from preimage.experiments.catalogue import EXPERIMENTS
from preimage.experiments.experiment import QUICK, SCALES, Experiment, Report, Request
from preimage.experiments.machine import machine
from preimage.experiments.tables import Row, to_csv
from preimage.recipes.records import versions
from preimage.search.result import check_new_folder, new_folder

OPTIONS = (
    "photos",
    "count",
    "model",
    "layers",
    "preset",
    "iterations",
    "dictionary",
    "study",
    "detectors",
    "models",
    "layers_per_model",
)
"""Fields of a request that not every experiment understands."""

FOR_ALL = ("photos", "count", "detectors")
"""Those that one may give to every name alike; an experiment that has no use for one says so."""

FOLDERS = ("photos", "detectors")
"""Those that an experiment which takes them can't do without, unless it says so."""

REPORT, ROWS, CASES = "report.json", "rows.csv", "cases.csv"


def find_experiment(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        UsageError: if there is none; the nearest names are listed.

    Example:
        >>> find_experiment("table2").paper.count
        100
    """
    table = {entry.name: entry for entry in EXPERIMENTS}
    if name not in table:
        raise UsageError(f"there is no experiment {name!r}; {nearest(name, table)}")
    return table[name]


def reproduce(name: str, request: Request) -> dict[str, Any]:
    """Run an experiment of the paper: `answer` of the one with that name.

    Args:
        name: of `EXPERIMENTS`.
        request: what is asked of it.

    Returns:
        The report, as `answer` gives it.

    Raises:
        UsageError: if there is no such experiment, or it can't do what is asked.
        PreimageError: if photos or weights can't be had, or the folder can't be written.

    Example:
        >>> request = Request(Path("out"), photos=Path("photos"), count=8)
        >>> reproduce("table2", request)["rows"][0]["relative_error"]         # doctest: +SKIP
    """
    return answer(find_experiment(name), request)


def answer(experiment: Experiment, request: Request) -> dict[str, Any]:
    """Run an experiment, write its report to `OUT/NAME`, and give the report as JSON.

    Cases are kept in `OUT/cases` and shared by all experiments with the same output folder; those
    that are there are not computed again.

    Args:
        experiment: what to run.
        request: what is asked of it.

    Returns:
        `name`, `question`, `rows`, `paper`, `settings` and `notes`, as `report.json` holds them.

    Raises:
        UsageError: if it can't do what is asked.
        PreimageError: if photos or weights can't be had, or the folder can't be written.
    """
    _check(experiment, request)
    unused = [name for name in _unused(experiment, request) if name in FOR_ALL]
    nothing: dict[str, Any] = dict.fromkeys(unused)
    request = replace(request, **nothing)
    if request.count is None:
        request = replace(request, count=experiment.size(request.scale).count)
    if "photos" in experiment.takes and request.photos is not None:
        _ = request.sample  # too few photos are refused before a folder is made
    with request.store.locked():
        check_new_folder(request.out / experiment.name, overwrite=True)
        found = experiment.run(request)
        record = _record(experiment, request, found)
        record["notes"] += [f"{experiment.name} has no use for --{name}." for name in unused]
        _write(request.out / experiment.name, record, found)
    return record


def _check(experiment: Experiment, request: Request) -> None:
    if request.scale not in SCALES:
        raise UsageError(f"there is no scale {request.scale!r}; {nearest(request.scale, SCALES)}")
    for option in _unused(experiment, request):
        if option not in FOR_ALL:
            raise UsageError(f"{experiment.name} has no use for --{_typed(option)}: leave it out.")
    voted = request.study is not None  # its pictures are there already
    for folder in () if voted else FOLDERS:
        needed = folder in experiment.takes and folder not in experiment.optional
        if needed and getattr(request, folder) is None:
            raise UsageError(f"{experiment.name} needs a folder of {folder}: give --{folder} DIR.")


def _unused(experiment: Experiment, request: Request) -> list[str]:
    """What was given that the experiment does not understand."""
    given = [option for option in OPTIONS if getattr(request, option) is not None]
    return [option for option in given if option not in experiment.takes]


def _record(experiment: Experiment, request: Request, answer: Report) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "scale": request.scale,
        "seed": request.seed,
        "device": request.device,
        **{name: _plain(getattr(request, name)) for name in experiment.takes},
        "versions": versions(),
        "machine": machine(request.device),
        **answer.settings,
    }
    notes = list(answer.notes)
    if request.photos is not None:
        photos = request.sample.photos
        settings["passed_over"] = {file.name: file.why for file in photos.unusable}
        notes += [photos.note] if photos.note else []
    if request.iterations is not None:
        searched = counted(request.iterations, "iteration")
        notes.append(f"{searched} in place of each preset's: these are not the presets' errors")
    voted = request.study is not None
    if request.scale == QUICK and not voted and (cut := experiment.left_out(request.count or 0)):
        notes.append(f"scale {QUICK}: {cut}")
    return {
        "name": experiment.name,
        "question": experiment.question,
        "rows": [dict(row) for row in answer.rows],
        **answer.counts,
        "paper": experiment.says,
        "settings": settings,
        "notes": notes,
    }


def _typed(option: str) -> str:
    return option.replace("_", "-")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _write(folder: Path, record: Mapping[str, Any], answer: Report) -> None:
    """The report in a folder of its own, all of it or nothing, in place of an older one."""
    with new_folder(folder, overwrite=True) as partial:
        for name, figure in answer.figures.items():
            if isinstance(figure, Image.Image):
                figure.save(partial / f"{name}.png")
            else:
                plots.write(figure, partial / name)
        (partial / ROWS).write_bytes(_encoded(to_csv(answer.rows)))
        (partial / CASES).write_bytes(_encoded(to_csv(_index(answer.cases))))
        text = json.dumps(record, indent=1, allow_nan=False)
        (partial / REPORT).write_bytes(_encoded(text + "\n"))


def _encoded(text: str) -> bytes:
    """As UTF-8; a file's name may hold bytes that are no text."""
    return text.encode("utf-8", "backslashreplace")


def _index(cases: Sequence[Finished]) -> list[Row]:
    """Which folder holds which case."""
    return [
        {
            "case": done.case.id,
            "target": done.case.target.name,
            "model": done.record["representation"]["model"],
            "layer": done.record["representation"]["layer"],
            "preset": done.record["settings"].get("preset"),
            "seed": done.record["seed"],
            # Only inversions have errors.
            "relative_error": done.record.get("relative_error"),
            "squared_error": done.record.get("squared_error"),
            "seconds": done.seconds,
        }
        for done in cases
    ]
