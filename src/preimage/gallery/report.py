"""The report: every experiment of an output folder beside the paper, as one web page."""

from __future__ import annotations

import base64
import io
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment
from PIL import Image

import preimage
from preimage.errors import counted
from preimage.experiments.checks import VERDICTS
from preimage.experiments.experiment import QUICK
from preimage.experiments.reports import REPORTED, Reported, Reports, reports_in
from preimage.experiments.reproduce import REPORT
from preimage.experiments.verdicts import Verdict, verdicts
from preimage.search.result import check_spares, new_folder

PAGE = "index.html"
FIGURES = "figures"
FOLDER = "report"
"""The page's folder inside the output folder, unless it is to lie elsewhere."""

FEW_ROWS = 14
"""A longer table is folded away at first."""

WIDEST = 1800
"""Pixels: a wider picture is made smaller for the page."""
QUALITY = 90


@dataclass(frozen=True)
class Page:
    """What was made.

    Attributes:
        page: the web page.
        figures: the folder of drawings.
        reports: what it shows, and what was left out.
        counts: how many verdicts of each kind there are.
    """

    page: Path
    figures: Path
    reports: Reports
    counts: Mapping[str, int]


def make_report(folder: str | Path, out: str | Path | None = None, overwrite: bool = False) -> Page:
    """Write the page and the folder of figures, all of it or nothing.

    Args:
        folder: the output folder of `preimage reproduce` and `preimage compare`.
        out: where the page goes, `index.html`; by default `report` in the folder, where an older
            report is replaced.
        overwrite: replace what `out` holds.

    Raises:
        PreimageError: if the folder has no report that can be used, or `out` can't be written, is
            not empty, or is or holds what the page is about.

    Example:
        >>> make_report("preimage-out/reproduce").page                        # doctest: +SKIP
        PosixPath('preimage-out/reproduce/report/index.html')
    """
    reports = reports_in(Path(folder))
    place = Path(folder) / FOLDER if out is None else Path(out)
    check_spares(place, [Path(folder), *Path(folder).glob(f"*/{REPORT}")])
    judged = {each.experiment.name: _judged(each) for each in reports.found}
    with new_folder(place, overwrite or out is None) as partial:
        (partial / FIGURES).mkdir()
        for each in reports.found:
            _copy_figures(each, partial / FIGURES)
        (partial / PAGE).write_text(page_of(reports, judged), encoding="utf-8")
    return Page(place / PAGE, place / FIGURES, reports, _counts(judged))


def page_of(reports: Reports, judged: Mapping[str, Sequence[Verdict]]) -> str:
    """The page as HTML that needs no other file.

    Args:
        reports: what it shows.
        judged: the verdicts by experiment.
    """
    template = resources.files("preimage.gallery").joinpath("report.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals["counted"] = counted
    there = {each.experiment.name for each in reports.found}
    left_out = {name for name, _ in reports.skipped}
    return environment.from_string(template).render(
        version=preimage.__version__,
        experiments=[_shown(each, judged[each.experiment.name]) for each in reports.found],
        absent=[e for e in REPORTED if e.name not in there | left_out],
        skipped=reports.skipped,
        counts=_counts(judged),
        machines=_machines(reports.found),
    )


def _judged(report: Reported) -> tuple[Verdict, ...]:
    return verdicts(report.experiment.name, report.record["rows"])


def _counts(judged: Mapping[str, Sequence[Verdict]]) -> dict[str, int]:
    counted = Counter(each.finding.verdict for of_one in judged.values() for each in of_one)
    return {verdict: counted[verdict] for verdict in VERDICTS}


def _shown(report: Reported, judged: Sequence[Verdict]) -> dict[str, Any]:
    """What the template says about an experiment, ready to be printed."""
    record, settings = report.record, report.record["settings"]
    return {
        "name": report.experiment.name,
        "question": record["question"],
        "source": record["paper"].get("source", ""),
        "says": list(_quotations(record["paper"], judged)),
        "verdicts": judged,
        "headings": [column.heading for column in report.experiment.columns],
        "rows": report.table,
        "open": len(report.table) <= FEW_ROWS,
        "figures": list(_pictures(report)),
        "scale": settings.get("scale"),
        "quick": settings.get("scale") == QUICK,
        "notes": record["notes"],
        "settings": [
            (name.replace("_", " "), _in_words(value))
            for name, value in settings.items()
            if name not in ("versions", "machine") and value not in (None, {}, [])
        ],
    }


def _quotations(paper: Mapping[str, Any], judged: Sequence[Verdict]) -> Iterator[tuple[str, str]]:
    """What the paper says, and what about, besides what has a verdict."""
    for name, value in paper.items():
        told = isinstance(value, str) and any(each.claim.says in value for each in judged)
        if isinstance(value, str) and name != "source" and not told:
            yield name.replace("_", " "), value


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_in_words(part)}" for name, part in value.items())
    return str(value)


def _machines(found: Sequence[Reported]) -> list[tuple[str, list[str]]]:
    """Machine and versions in words, each with the experiments that were run there."""
    machines: dict[str, list[str]] = {}
    for report in found:
        settings = report.record["settings"]
        machine, versions = settings.get("machine"), settings["versions"]
        words = [f"{name} {version}" for name, version in versions.items()]
        if isinstance(machine, dict):
            words = [f"{name}: {value}" for name, value in machine.items() if value] + words
        machines.setdefault("; ".join(words), []).append(report.experiment.name)
    return list(machines.items())


def _pictures(report: Reported) -> Iterator[dict[str, Any]]:
    """The figures as they stand in the page: drawings as SVG, photos as JPEG."""
    for path in report.figures:
        drawing = _drawing(path.with_suffix(".svg"))
        try:
            with Image.open(path, formats=["PNG"]) as image:
                image.load()
                picture = image.convert("RGB")
        except Exception:  # damaged files can fail anywhere inside a decoder
            continue  # its place stays empty, the rows are still there
        # What shows photos must not be turned into its negative for a dark page.
        only_lines = drawing is not None and b"<image" not in drawing
        uri = (
            _uri("image/svg+xml", drawing)
            if drawing is not None and only_lines
            else _photos(picture)
        )
        yield {
            "name": path.stem,
            "uri": uri,
            "drawing": only_lines,
            "width": picture.width,
            "height": picture.height,
        }


def _drawing(path: Path) -> bytes | None:
    """An SVG file's content, if it is there and whole."""
    try:
        content = path.read_bytes()
        ElementTree.fromstring(content)
    except (OSError, ElementTree.ParseError, ValueError):
        return None
    return content


def _photos(picture: Image.Image) -> str:
    """Much smaller than as PNG, which lies beside the page."""
    picture.thumbnail((WIDEST, 4 * WIDEST))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=QUALITY, subsampling=0)
    return _uri("image/jpeg", buffer.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _copy_figures(report: Reported, folder: Path) -> None:
    """Drawings as SVG, which any program turns into PDF; what has none as PNG."""
    for path in report.figures:
        drawn = path.with_suffix(".svg")
        source = drawn if drawn.is_file() else path
        # Two experiments may call a figure the same.
        name = report.experiment.name
        prefix = "" if source.stem.startswith(name) else f"{name}-"
        shutil.copy(source, folder / f"{prefix}{source.name}")
