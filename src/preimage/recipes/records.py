"""What the recipes share once a search is done: from its outcome to records and results."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import preimage
from preimage.errors import UsageError, counted
from preimage.images import as_picture, sha256_of_file, stretch, to_pixels
from preimage.metrics import ClassScore, top_classes
from preimage.recipes.settings import SearchSettings
from preimage.representations import Representation
from preimage.search.minimise import Outcome, Snapshot
from preimage.search.result import SCHEMA, Result

Photo = str | Path | Image.Image
Observer = Callable[[Snapshot], None]
Record = Mapping[str, Any]


def photos_in(images: Photo | Sequence[Photo]) -> list[Photo]:
    """One image or several, as a list.

    Raises:
        UsageError: if it is neither, or there is none.
    """
    if isinstance(images, Photo):
        return [images]
    if not isinstance(images, Iterable):
        raise UsageError(f"expected a path, an image or a list of them, got {images!r}.")
    photos = list(images)
    if not photos:
        raise UsageError("no image was given.")
    return photos


M_WORDS = {
    "photos": "photos' largest",
    "estimate": "estimated max",
    "median": "channels' median",
}
"""What M of a maximization is, by the record's `M_source`; records without one had photos'."""


def _inversion_headline(record: Record) -> tuple[str, str]:
    return "relative error", f"{100 * record['relative_error']:.1f} %"


def _maximization_headline(record: Record) -> tuple[str, str]:
    ratio = record["ratio"]
    times = f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"
    whose = M_WORDS[record.get("M_source", "photos")]
    return "activation", f"{record['activation']:.3g}, {times} x {whose}"


def _template_headline(record: Record) -> tuple[str, str]:
    return "score", f"{record['score']:.2f} (noise {record['noise_score']:.2f})"


def _growth_headline(record: Record) -> tuple[str, str]:
    return "activations", f"{record['growth']:.2f} times the reference's"


def _texture_headline(record: Record) -> tuple[str, str]:
    return "texture loss", f"{100 * record['part_of_start']:.2g} % of the start's"


def _style_headline(record: Record) -> tuple[str, str]:
    errors = record["gram_errors"].values()
    mean = sum(errors) / len(errors)
    return "content error", f"{100 * record['content_error']:.1f} %, style {100 * mean:.1f} %"


def _fool_headline(record: Record) -> tuple[str, str]:
    error, change = 100 * record["relative_error"], record["change"]["rms"]
    return "code error", f"{error:.1f} % of the other image's, changed by {change:.1f} grey levels"


HEADLINES: dict[str, Callable[[Record], tuple[str, str]]] = {
    "invert": _inversion_headline,
    "maximize": _maximization_headline,
    "template": _template_headline,
    "caricature": _growth_headline,
    "texture": _texture_headline,
    "style": _style_headline,
    "fool": _fool_headline,
    "dream": _growth_headline,
}
"""By task: the one figure of its records that a caption and a summary show, and what it is."""


def headline(record: Record) -> tuple[str, str]:
    """The one figure of a record to show first: what it is, and its value in words.

    Example:
        >>> headline({"task": "invert", "relative_error": 0.25})
        ('relative error', '25.0 %')
    """
    return HEADLINES[record["task"]](record)


def check_seeds(seed: int, restarts: int) -> None:
    """Refuse seeds that no generator takes.

    Raises:
        UsageError: if they are no whole numbers or out of range.
    """
    if not (isinstance(restarts, int) and restarts >= 1 and isinstance(seed, int) and seed >= 0):
        raise UsageError(
            f"restarts must be at least 1 and seed at least 0, got {restarts!r} and {seed!r}."
        )
    if seed + restarts > 2**63:
        raise UsageError(
            f"seeds must be below 2^63, got {seed} with {counted(restarts, 'restart')}."
        )


def check_strength(strength: float) -> None:
    """Refuse strengths at which nothing is exaggerated, or the opposite.

    Raises:
        UsageError: if it is no finite number above 0.
    """
    if not (isinstance(strength, int | float) and 0 < strength < math.inf):
        raise UsageError(f"the strength must be a finite number above 0, got {strength!r}.")


def origin(source: Photo | None) -> dict[str, str] | None:
    """The record's `image`: path and digest of the file, as far as there is one."""
    if source is None or isinstance(source, Image.Image):
        return None
    return {"path": str(source), "sha256": sha256_of_file(source)}


def name_of(image: Record | None, otherwise: str) -> str:
    """What a result is called after: the stem of its image's file, if there is one."""
    return Path(image["path"]).stem if image and image.get("path") else otherwise


def describe(representation: Representation, code: Tensor) -> dict[str, Any]:
    """The record's `representation`: what it is, and the shape of its code `[D, h, w]` or `[D]`."""
    geometry = representation.geometry
    options = {"options": dict(representation.options)} if representation.options else {}
    return {
        "model": representation.model,
        "layer": representation.layer,
        **options,
        "code_shape": list(code.shape),
        "receptive_field": geometry.receptive_field if geometry else None,
        "stride": geometry.stride if geometry else None,
    }


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {
        "preimage": preimage.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


class Classes:
    """Top classes of references and results by the representation's own classifier.

    Args:
        representation: Φ.
        views: all results, `[N, C, h, w]`.
        references: their references, `[N, C, h, w]`, or None where there are none.
    """

    def __init__(
        self, representation: Representation, views: Tensor, references: Tensor | None = None
    ) -> None:
        self.results = top_classes(representation, views)
        self.references: list[list[ClassScore]] | None = None
        if self.results is not None and references is not None:
            self.references = top_classes(representation, references.to(views.device))

    def record(self, problem: int) -> dict[str, Any] | None:
        """The record's `classes`; null where the weights hold no classifier."""
        if self.results is None:
            return None
        result = self.results[problem]
        reference = self.references[problem] if self.references else None
        return {
            "reference": [asdict(score) for score in reference] if reference else None,
            "result": [asdict(score) for score in result],
            "consistent": result[0].index == reference[0].index if reference else None,
        }


def energies(outcome: Outcome, problem: int) -> dict[str, float]:
    """The record's `energy`: total and terms, measured without jitter on the centre crop."""
    terms = dict(zip(outcome.term_names, outcome.terms[problem].tolist(), strict=True))
    return {"total": terms.pop("energy"), **terms}


def make_record(
    task: str,
    representation: Representation,
    settings: SearchSettings | Mapping[str, Any],
    outcome: Outcome,
    problem: int,
    *,
    code: Tensor,
    image: dict[str, str] | None,
    seed: int,
    restart: int,
    measured: Mapping[str, Any],
    classes: dict[str, Any] | None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """The record of one problem (docs/results.md).

    Args:
        task: a key of `HEADLINES`.
        representation, settings, outcome: what was searched, how, and what came out; where no
            search was made, settings are what stands for them, as JSON: `iterations`, a `method`.
        problem: which of the outcome's.
        code: one code, `[D, h, w]` or `[D]`, for its shape.
        image: see `origin`.
        seed, restart: of this problem; it started from seed + restart.
        measured: what this task measures of its results, by the record's names.
        classes: see `Classes.record`.
        warnings: what a user should know.
    """
    used = settings.to_dict() if isinstance(settings, SearchSettings) else dict(settings)
    iterations = int(used["iterations"])
    return {
        "schema": SCHEMA,
        "task": task,
        **({"method": used["method"]} if "method" in used else {}),
        "image": image,
        "representation": describe(representation, code),
        "weights": asdict(representation.weights) if representation.weights else None,
        "settings": used,
        "seed": seed,
        "restart": restart,
        **measured,
        "energy": energies(outcome, problem),
        "classes": classes,
        "iterations": iterations,
        "seconds": round(outcome.seconds, 3),
        "seconds_per_iteration": round(outcome.seconds / max(1, iterations), 6),
        "device": str(outcome.view.device),
        "versions": versions(),
        "warnings": list(warnings),
    }


def make_result(
    record: dict[str, Any],
    representation: Representation,
    outcome: Outcome,
    problem: int,
    *,
    name: str,
    title: str = "",
    reference: Image.Image | None = None,
    image: Tensor | None = None,
    code: Tensor | None = None,
    columns: Mapping[str, Tensor] | None = None,
    drawing: Image.Image | None = None,
    stretched: bool = False,
    beside: Mapping[str, Image.Image] | None = None,
    mask: np.ndarray | None = None,
    box: tuple[int, int, int, int] | None = None,
) -> Result:
    """The result of one problem.

    Args:
        record: see `make_record`.
        representation, outcome, problem: see `make_record`.
        name: what it is called where there are several.
        title: what stands over its picture; by default model and layer.
        reference: the photo it belongs to, as a picture.
        image: the same on the canvas scale, `[1, C, h, w]`.
        code: the target where no reference leads to it, `[D, h, w]` or `[D]`.
        columns: what the trace shows besides the energy's terms, `[iterations]` each.
        drawing: see `Result`.
        stretched: let the figure show each picture with its contrast stretched.
        beside, mask, box: see `Result`.
    """
    mean, view = representation.mean, outcome.view[problem]
    shown = [each for each in (image, view) if each is not None]
    columns = columns or {}
    trace = torch.column_stack([outcome.trace[:, problem].double(), *columns.values()])
    return Result(
        record=record,
        name=name,
        title=title,
        headline=headline(record),
        image=as_picture(to_pixels(view, mean)),
        reference=reference,
        canvas=outcome.image[problem].cpu().numpy(),
        trace=trace.cpu().numpy(),
        trace_columns=(*outcome.term_names, *columns),
        code=None if code is None else code.cpu().numpy(),
        displayed=tuple(as_picture(stretch(x, mean)) for x in shown) if stretched else (),
        drawing=drawing,
        beside=beside or {},
        mask=mask,
        box=box,
    )
