"""The same result again, from its folder alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from preimage.errors import PreimageError, UsageError, one_line
from preimage.models import adapters
from preimage.models import catalogue as models
from preimage.recipes.caricature import caricature
from preimage.recipes.codes import load_code
from preimage.recipes.dictionaries import Dictionary, recorded_dictionary
from preimage.recipes.dreaming import Octaves, dream
from preimage.recipes.fooling import fool
from preimage.recipes.hoggle import METHOD, hoggle
from preimage.recipes.inversion import invert
from preimage.recipes.maximization import again as maximize_again
from preimage.recipes.records import Observer, headline, name_of, versions
from preimage.recipes.settings import MaximizationSettings, SearchSettings, Settings
from preimage.recipes.template import visualize
from preimage.recipes.template_hoggle import visualize_by_hoggle
from preimage.recipes.template_subject import Subject
from preimage.recipes.texture import style, texture
from preimage.representations import Representation, SeveralLayers, representation, several_layers
from preimage.representations.catalogue import hand_crafted
from preimage.search.result import RECORD, Result, load_record

IMAGE = "image.png"
REFERENCE = "reference.png"
CODE = "code.npy"
MASK = "mask.npy"


def rerun(
    folder: str | Path,
    device: str = "cpu",
    callbacks: Sequence[Observer] = (),
    trust: bool = False,
) -> Result:
    """Search once more for a saved result, with its own settings, seed and reference.

    A result that was searched alone comes out with the same bytes on the same machine, device and
    versions; one of a batch up to the rounding of batched kernels. What differs from then is named
    in the record's `warnings`. One of HOGgle needs its dictionary where it was, or in the cache. A
    result of a live module can't be had from its folder; one of
    `package.module:factory` only where its folder is trusted, because it names code to run.

    Args:
        folder: a result folder: `result.json` beside `reference.png`, or `code.npy` and
            `image.png`.
        device: where to compute.
        callbacks: called after every iteration with a `Snapshot`.
        trust: let the folder say which module to import and which factory to call.

    Returns:
        A new `Result`, whose record keeps the original image, seed and restart.

    Raises:
        PreimageError: if the folder is no result folder of this version, is damaged, or was made
            with a module of your own, or its weights or dictionary can't be had.

    Example:
        >>> from preimage.recipes.rerun import rerun
        >>> rerun("out").relative_error                                      # doctest: +SKIP
    """
    record = load_record(folder)
    with _named(folder), _readable():
        settings = _settings(record)
        phi = _representation(record, trust)
        seed, restart = (_whole_number(record, key) for key in ("seed", "restart"))
        image = _origin(record)
        _check_headline(record)
    phi = phi.to(device)
    with _named(folder):
        saved = Saved(Path(folder), record, phi, settings, seed + restart, callbacks)
        tasks = BY_HOGGLE if _by_hoggle(record) else TASKS
        result = tasks[record["task"]](saved)
    original = {"image": image, "seed": seed, "restart": restart}
    original |= {key: record[key] for key in result.beside if key in record}
    warnings = _differences(record, result.record)
    return replace(
        result,
        record={**result.record, **original, "warnings": warnings},
        name=name_of(image, result.name),
    )


@dataclass(frozen=True)
class Saved:
    """A saved result, read.

    Attributes:
        folder: its folder.
        record: what `result.json` holds.
        phi: the representation it was made with.
        settings: of its search, or the dictionary it was made with.
        seed: seed and restart in one.
        callbacks: called after every iteration.
    """

    folder: Path
    record: Mapping[str, Any]
    phi: Representation
    settings: Any
    seed: int
    callbacks: Sequence[Observer]

    @property
    def search(self) -> dict[str, Any]:
        """How it was searched, as every recipe takes it."""
        return {"settings": self.settings, "seed": self.seed, "callbacks": self.callbacks}

    @property
    def layers(self) -> SeveralLayers:
        """The representation of a task of several layers."""
        assert isinstance(self.phi, SeveralLayers)
        return self.phi


Again = Callable[[Saved], Result]


def _invert(saved: Saved) -> Result:
    target = _target(saved.folder, saved.phi)
    mask = load_code(saved.folder / MASK) if saved.record.get("mask") else None
    result = invert(saved.phi, **target, mask=mask, **saved.search)
    assert isinstance(result, Result)
    return result


def _maximize(saved: Saved) -> Result:
    code = saved.folder / CODE
    with _readable():
        weights = load_code(code) if code.is_file() else None
        return maximize_again(saved.phi, saved.record, weights, **saved.search)


def _template(saved: Saved) -> Result:
    return visualize(_subject(saved), saved.phi, **saved.search)


def _subject(saved: Saved) -> Subject:
    code = load_code(saved.folder / CODE)
    with _readable():
        return Subject.from_record(_part(saved.record, "template"), code)


def _caricature(saved: Saved) -> Result:
    result = caricature(saved.phi, **_photo(saved.folder, saved.phi), **saved.search)
    assert isinstance(result, Result)
    return result


def _texture(saved: Saved) -> Result:
    source = saved.folder / REFERENCE
    width, height = _size(saved.folder / IMAGE)
    sizes: dict[str, Any] = {"size": (height, width), "source_size": _size(source)[0]}
    return texture(saved.layers, source, **sizes, **saved.search)


def _style(saved: Saved) -> Result:
    content, other = saved.folder / REFERENCE, saved.folder / "style.png"
    return style(saved.layers, content, other, size=_size(content)[0], **saved.search)


def _dream(saved: Saved) -> Result:
    with _readable():
        asked = _part(saved.record, "octaves")
        octaves = Octaves(asked["count"], asked["scale"], asked["tile"])
    photo = saved.folder / REFERENCE
    return dream(saved.layers, photo, size=max(_size(photo)), octaves=octaves, **saved.search)


def _fool(saved: Saved) -> Result:
    photo = _photo(saved.folder, saved.phi)
    other = saved.folder / "as.png"
    return fool(saved.phi, photo["images"], other, size=photo["size"], **saved.search)


TASKS: dict[str, Again] = {
    "invert": _invert,
    "maximize": _maximize,
    "caricature": _caricature,
    "texture": _texture,
    "style": _style,
    "fool": _fool,
    "dream": _dream,
    "template": _template,
}
"""How each task is done once more."""


def _hoggle(saved: Saved) -> Result:
    target = _target(saved.folder, saved.phi)
    result = hoggle(saved.phi, **target, dictionary=saved.settings)
    assert isinstance(result, Result)
    return result


def _hoggle_template(saved: Saved) -> Result:
    return visualize_by_hoggle(_subject(saved), saved.phi, saved.settings)


BY_HOGGLE: dict[str, Again] = {
    "invert": _hoggle,
    "template": _hoggle_template,
}
"""The same where HOGgle made the result, without a search."""

OF_SEVERAL_LAYERS = ("texture", "style", "dream")
"""Tasks whose representation is several layers at once, their names joined by commas."""

SETTINGS: dict[str, type[SearchSettings]] = {"maximize": MaximizationSettings}
"""Tasks whose settings are not an inversion's."""


def _by_hoggle(record: Mapping[str, Any]) -> bool:
    return record.get("method") is not None


def _settings(record: Mapping[str, Any]) -> SearchSettings | Dictionary:
    """What the result was made by: the settings of its search, or the dictionary of HOGgle.

    Raises:
        PreimageError: if the dictionary is not to be had, or the record is damaged.
        LookupError, TypeError, ValueError: if the record is damaged.
    """
    saved, task = _part(record, "settings"), record.get("task")
    if _by_hoggle(record):
        if record["method"] != METHOD or task not in BY_HOGGLE:
            raise _damaged("method", record["method"])
        return recorded_dictionary(_part(saved, "dictionary"))
    settings = SETTINGS.get(str(task), Settings).from_dict(saved)
    _check_numbers(settings)
    return settings


@contextmanager
def _named(folder: str | Path) -> Iterator[None]:
    """Let every refusal name the folder: the fault is in there, not in what was typed."""
    try:
        yield
    except PreimageError as error:
        message = str(error)
        where = "" if message.startswith(str(folder)) else f"{folder}: "
        raise PreimageError(f"{where}{message}") from error


@contextmanager
def _readable() -> Iterator[None]:
    """Refuse what a damaged record makes the parts that are built from it stumble over."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise PreimageError(f"the record is damaged: {one_line(error)}") from error


def _check_numbers(part: Any) -> None:
    """Refuse settings whose numbers are none; a step rule does not look until it steps."""
    if isinstance(part, tuple):
        for item in part:
            _check_numbers(item)
    if not is_dataclass(part):
        return
    for field in fields(part):
        value = getattr(part, field.name)
        # Names of types, as all annotations are here.
        if field.type in ("int", "float"):
            number = isinstance(value, int if field.type == "int" else int | float)
            if not number or isinstance(value, bool) or not math.isfinite(value):
                raise _damaged(field.name, value)
        _check_numbers(value)


def _representation(record: Mapping[str, Any], trust: bool) -> Representation:
    if (task := record.get("task")) not in TASKS:
        raise PreimageError(f"expected {', '.join(TASKS)}, got {_shown(task)}: it can't be rerun.")
    saved = _part(record, "representation")
    model, layer = saved.get("model"), saved.get("layer")
    if not isinstance(model, str):
        raise _damaged("model", model)
    if not isinstance(layer, str | None):
        raise _damaged("layer", layer)
    if hand_crafted(model) is None and not _is_network(model):
        raise PreimageError(
            "made with a module of your own: call pi.invert with it. If it is a network that was "
            f"added by name, add it here, too: preimage weights add FILE --name {_shown(model)}."
        )
    if adapters.is_own_code(model) and not trust:
        raise PreimageError(
            f"made with {_shown(model)}, code that would be imported and run: if you know the "
            "folder and the code, give --trust (trust=True)."
        )
    if task in OF_SEVERAL_LAYERS:
        return several_layers(model, (layer or "").split(","))
    options = _part(saved, "options") if "options" in saved else {}
    return representation(model, layer, **options)


def _is_network(model: str) -> bool:
    if adapters.is_adapted(model):
        return True
    try:
        models.resolve(model)
    except UsageError:
        return False
    return True


def _target(folder: Path, phi: Representation) -> dict[str, Any]:
    if (folder / REFERENCE).is_file():
        return _photo(folder, phi)
    if (code := folder / CODE).is_file():
        array = load_code(code)
        return {"code": array, "size": _side(folder, phi, array.shape)}
    raise PreimageError(f"{folder} holds neither {REFERENCE} nor {CODE}: nothing to search for.")


def _photo(folder: Path, phi: Representation) -> dict[str, Any]:
    """The reference: at the input size already, where loading changes no pixel."""
    reference = folder / REFERENCE
    width, height = _size(reference)
    side = height if phi.input_size is None else phi.input_size
    if (width, height) != (side, side):
        raise PreimageError(
            f"{reference}: expected {side}x{side} pixels, got {width}x{height}: "
            "this is not the reference of this result."
        )
    return {"images": reference, "size": side}


def _side(folder: Path, phi: Representation, code_shape: Sequence[int]) -> int | None:
    """Side of the image, where neither the representation nor its code tells it."""
    return None if phi.view_of(code_shape) else _size(folder / IMAGE)[0]


def _size(picture: Path) -> tuple[int, int]:
    try:
        with Image.open(picture, formats=["PNG"]) as image:
            return image.size
    except Exception as error:  # a damaged header can fail anywhere inside Pillow
        raise PreimageError(f"{picture}: expected a PNG file, got something else") from error


def _shown(value: Any) -> str:
    """What a record holds, fit to stand in a message."""
    return one_line(repr(value))


def _damaged(key: str, value: Any) -> PreimageError:
    return PreimageError(f"{RECORD} has {key} {_shown(value)}: the record is damaged.")


def _part(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = record.get(key)
    if not isinstance(part, Mapping):
        raise PreimageError(f"{RECORD} has no {key}: the record is damaged.")
    return part


def _whole_number(record: Mapping[str, Any], key: str) -> int:
    number = record.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise _damaged(key, number)
    return number


def _origin(record: Mapping[str, Any]) -> Mapping[str, str] | None:
    """The record's `image`, which the new record and figure take over."""
    image = record.get("image")
    texts = isinstance(image, Mapping) and all(isinstance(text, str) for text in image.values())
    if image is not None and not texts:
        raise _damaged("image", image)
    return image


def _check_headline(record: Mapping[str, Any]) -> None:
    """Whoever reruns wants to compare what was measured then and now."""
    try:
        headline(record)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise PreimageError(f"{RECORD} has no figure to compare with: {one_line(error)}") from error


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What may keep the result from being the same, in words."""
    found = []
    if _mapping(then, "weights").get("sha256") != _mapping(now, "weights").get("sha256"):
        found.append("the weights are not the file of the original result")
    if then.get("device") != now.get("device"):
        found.append(f"made on {one_line(then.get('device'))}, rerun on {now.get('device')}")
    saved = _mapping(then, "versions")
    for name, version in versions().items():
        if saved.get(name) != version:
            found.append(f"made with {name} {one_line(saved.get(name))}, rerun with {version}")
    return found


def _mapping(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of a record, empty where there is none."""
    part = record.get(key)
    return part if isinstance(part, Mapping) else {}
