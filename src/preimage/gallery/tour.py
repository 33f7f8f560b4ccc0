"""The tour: one photo inverted from five depths of a network, and one class imagined, as a page."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment
from PIL import Image

from preimage.recipes import invert, maximize
from preimage.representations import representation
from preimage.representations.catalogue import layers_of
from preimage.search.minimise import Snapshot
from preimage.search.result import Result, new_folder

MODEL = "efficientnet-lite0"
PHOTO = "cat.jpg"
PAGE = "index.html"
ITERATIONS = 150
"""For each stop; with them the tour takes about two minutes on two cores."""

CLASS, CLASS_ITERATIONS = "cheeseburger", 96
"""What the network is asked to imagine in the end, and for how long."""

CLEAR_FIDELITY = 100.0
"""At C = 20 or 1, a deep layer's own, the prior leaves little contrast to look at."""

Watching = Callable[[str], AbstractContextManager[Sequence[Callable[[Snapshot], None]]]]


@dataclass(frozen=True)
class Stop:
    """One depth of the tour.

    Attributes:
        layer: name of the layer.
        headline: what to see there, in a few words.
        text: what to look for, and why it is so.
        fidelity: C, or None for the layer's own.
    """

    layer: str
    headline: str
    text: str
    fidelity: float | None = None


STOPS: tuple[Stop, ...] = (
    Stop(
        "block02",
        "Nearly the photo itself",
        "Every number of this code looks at a small patch only, and there are many of them: fur, "
        "whiskers and pupils come back almost as they were. What drifts first is the colour of "
        "smooth areas, because filters this small answer to differences more than to levels.",
    ),
    Stop(
        "block05",
        "The drawing stays, the paint runs",
        "Edges and texture still stand in their places, but the network has begun to let go of "
        "absolute colour. It needs to know that there is a nose, not exactly how orange it is; "
        "several paintings of the same drawing share this code.",
    ),
    Stop(
        "block11",
        "The animal, a little faded",
        "Two thirds of the way in. The patches now overlap so far that every number has seen much "
        "of the photo. Eyes, muzzle and stripes are where they belong, and so are the colours, "
        "only paler; the fine texture is the search's guess.",
    ),
    Stop(
        "block16",
        "Parts without a whole",
        "The last map of the network: 7 by 7 places, each with 320 numbers. Eyes and fur turn up "
        "about where they were, sometimes more than once. It looks wrong to us, yet to the "
        "network it is nearly the same as the photo.",
        CLEAR_FIDELITY,
    ),
    Stop(
        "pool",
        "What a stored embedding holds",
        "Averaged over all places, 1280 numbers are left. Vectors like this one are kept in "
        "databases to find similar images. Where anything was is gone; which textures and parts "
        "there were is not, and the classifier still gives much the same answer.",
        CLEAR_FIDELITY,
    ),
)


@dataclass(frozen=True)
class Tour:
    """What the tour leaves: the page, and the results it shows: the stops', then the class's."""

    page: Path
    results: tuple[Result, ...]


def take_tour(
    folder: str | Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    overwrite: bool = False,
    watching: Watching = lambda label: nullcontext(()),
) -> Tour:
    """Invert the embedded photo at every stop, maximize a class, and write the page or nothing.

    Args:
        folder: where the page goes, `index.html`, with a folder for each result beside it.
        seed: as for `invert`.
        device: where to compute.
        overwrite: replace what the folder holds.
        watching: makes callbacks that show the progress of a search with a label.

    Raises:
        PreimageError: if the folder is not empty or can't be written.

    Example:
        >>> take_tour("demo").page                                           # doctest: +SKIP
        PosixPath('demo/index.html')
    """
    with new_folder(folder, overwrite) as partial:
        results = []
        for number, stop in enumerate(STOPS, start=1):
            with watching(f"{stop.layer} ({number} of {len(STOPS)})") as callbacks:
                result = _visit(stop, seed, device, callbacks)
            _keep(result, partial / stop.layer)
            results.append(result)
        with watching(f'the class "{CLASS}"') as callbacks:
            imagined = _imagine(seed, device, callbacks)
        _keep(imagined, partial / CLASS)
        (partial / PAGE).write_text(page_of(results, imagined), encoding="utf-8")
    return Tour(Path(folder) / PAGE, (*results, imagined))


def _keep(result: Result, folder: Path) -> None:
    folder.mkdir()
    result.write_into(folder)


def _visit(
    stop: Stop, seed: int, device: str, callbacks: Sequence[Callable[[Snapshot], None]]
) -> Result:
    phi = representation(MODEL, stop.layer).to(device)
    with resources.as_file(resources.files("preimage.gallery") / PHOTO) as photo:
        result = invert(
            phi,
            photo,
            iterations=ITERATIONS,
            fidelity=stop.fidelity,
            seed=seed,
            callbacks=callbacks,
        )
    assert isinstance(result, Result)
    return result


def _imagine(seed: int, device: str, callbacks: Sequence[Callable[[Snapshot], None]]) -> Result:
    phi = representation(MODEL, "logits").to(device)
    found = maximize(phi, label=CLASS, iterations=CLASS_ITERATIONS, seed=seed, callbacks=callbacks)
    assert isinstance(found, Result)
    return found


def page_of(results: Sequence[Result], imagined: Result) -> str:
    """The page as HTML that needs no other file, for one result at each stop and the class's."""
    template = resources.files("preimage.gallery").joinpath("tour.html.j2").read_text("utf-8")
    reference = results[0].reference
    assert reference is not None
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        model=MODEL,
        licence=results[0].record["weights"]["licence"],
        version=results[0].record["versions"]["preimage"],
        iterations=results[0].record["iterations"],
        seed=results[0].record["seed"],
        side=reference.width,
        image_size=_image_size(reference),
        photo=_data_uri(reference),
        stops=[_shown(stop, result) for stop, result in zip(STOPS, results, strict=True)],
        imagined={
            "label": CLASS,
            "picture": _data_uri(imagined.image),
            "probability": f"{100 * imagined.record['class']['probability']:.0f} %",
            "iterations": imagined.record["iterations"],
        },
    )


def _shown(stop: Stop, result: Result) -> dict[str, Any]:
    """What the template says about a stop, ready to be printed."""
    record, reference = result.record, result.reference
    assert reference is not None
    shape = record["representation"]["code_shape"]
    code_size = math.prod(shape)
    field = record["representation"]["receptive_field"]
    side = reference.width
    # The frame is drawn inside the photo, and never so small that it closes.
    square = max(8, min(field, side - 8))
    return {
        "layer": stop.layer,
        "headline": stop.headline,
        "text": stop.text,
        "kind": next(row.kind for row in layers_of(MODEL) if row.name == stop.layer),
        "picture": _data_uri(result.image),
        "error": f"{100 * result.relative_error:.0f} %",
        "shape": " × ".join(str(extent) for extent in shape),
        "is_map": len(shape) > 1,
        "code_size": code_size,
        "share": 100 * code_size / _image_size(reference),
        "field": field,
        "corner": (side - square) / 2,
        "square": square,
        "classes": _classes(record["classes"]),
        "curve": _curve(result.trace[:, 0].tolist()),
        "energies": (f"{result.trace[0, 0]:.3g}", f"{result.trace[-1, 0]:.3g}"),
    }


def _image_size(image: Image.Image) -> int:
    return image.width * image.height * len(image.getbands())


def _classes(classes: dict[str, Any] | None, count: int = 3) -> list[dict[str, Any]]:
    """The photo's most probable classes, each with the pre-image's probability in per cent."""
    if classes is None:
        return []
    here = {score["index"]: 100 * score["probability"] for score in classes["result"]}
    shown = []
    for score in classes["reference"][:count]:
        percent = here.get(score["index"], 0.0)
        # The record holds the first five classes only; any other is below the fifth.
        said = f"{percent:.0f} %" if percent else f"< {min(here.values()):.0f} %"
        photo = 100 * score["probability"]
        shown.append({"label": score["label"], "photo": photo, "here": percent, "said": said})
    return shown


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _curve(energies: Sequence[float], width: int = 300, height: int = 60) -> str:
    """Points of an SVG polyline: iterations across, the energy's logarithm upward."""
    logs = [math.log(energy) for energy in energies]
    low, high = min(logs), max(logs)
    across = width / max(1, len(logs) - 1)
    up = height / (high - low) if high > low else 0.0
    return " ".join(f"{i * across:.1f},{(high - y) * up:.1f}" for i, y in enumerate(logs))
