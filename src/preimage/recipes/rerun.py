"""The same result again, from its folder alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from preimage.errors import PreimageError, UsageError
from preimage.recipes.codes import load_code
from preimage.recipes.inversion import Observer, invert, versions
from preimage.recipes.settings import Settings
from preimage.representations import Representation, representation
from preimage.search.result import RECORD, Result, load_record

REFERENCE = "reference.png"
CODE = "code.npy"


def rerun(folder: str | Path, device: str = "cpu", callbacks: Sequence[Observer] = ()) -> Result:
    """Search once more for a saved result, with its own settings, seed and reference.

    A result that was searched alone comes out with the same bytes on the same machine, device and
    versions; one of a batch up to the rounding of batched kernels. What differs from then is named
    in the record's `warnings`.

    Args:
        folder: a result folder: `result.json` beside `reference.png` or `code.npy`.
        device: where to compute.
        callbacks: called after every iteration with a `Snapshot`.

    Returns:
        A new `Result`, whose record keeps the original image, seed and restart.

    Raises:
        PreimageError: if the folder is no result folder of this version, or its weights can't be
            had.

    Example:
        >>> from preimage.recipes.rerun import rerun
        >>> rerun("out").relative_error                                      # doctest: +SKIP
    """
    record = load_record(folder)
    settings = Settings.from_dict(_part(folder, record, "settings"))
    phi = _representation(folder, record).to(device)
    seed, restart = (_whole_number(folder, record, key) for key in ("seed", "restart"))
    result = invert(
        phi,
        **_target(Path(folder), phi),
        settings=settings,
        seed=seed + restart,
        callbacks=callbacks,
    )
    assert isinstance(result, Result)
    original = {"image": record.get("image"), "seed": seed, "restart": restart}
    warnings = _differences(record, result.record)
    return replace(result, record={**result.record, **original, "warnings": warnings})


def _representation(folder: str | Path, record: Mapping[str, Any]) -> Representation:
    if record.get("task") != "invert":
        got = record.get("task")
        raise PreimageError(f"{folder}: expected an inversion, got {got!r}: it can't be rerun.")
    saved = _part(folder, record, "representation")
    try:
        options = _part(folder, saved, "options") if "options" in saved else {}
        return representation(str(saved.get("model")), saved.get("layer"), **options)
    except UsageError as error:
        # The folder names it, not the user: the fault is not in what was typed.
        raise PreimageError(f"{folder}: its representation is not to be had: {error}") from error


def _target(folder: Path, phi: Representation) -> dict[str, Any]:
    reference, code = folder / REFERENCE, folder / CODE
    if reference.is_file():
        # At the input size already, where loading changes no pixel.
        width, height = _size(reference)
        side = height if phi.input_size is None else phi.input_size
        if (width, height) != (side, side):
            raise PreimageError(
                f"{reference}: expected {side}x{side} pixels, got {width}x{height}: "
                "this is not the reference of this result."
            )
        return {"images": reference, "size": side}
    if code.is_file():
        return {"code": load_code(code)}
    raise PreimageError(f"{folder} holds neither {REFERENCE} nor {CODE}: nothing to search for.")


def _size(picture: Path) -> tuple[int, int]:
    try:
        with Image.open(picture, formats=["PNG"]) as image:
            return image.size
    except Exception as error:  # a damaged header can fail anywhere inside Pillow
        raise PreimageError(f"{picture}: expected a PNG file, got something else") from error


def _part(folder: str | Path, record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = record.get(key)
    if not isinstance(part, Mapping):
        raise PreimageError(f"{Path(folder) / RECORD} has no {key}: the record is damaged.")
    return part


def _whole_number(folder: str | Path, record: Mapping[str, Any], key: str) -> int:
    number = record.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise PreimageError(f"{Path(folder) / RECORD} has {key} {number!r}: the record is damaged.")
    return number


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What may keep the result from being the same, in words."""
    found = []
    if (then.get("weights") or {}).get("sha256") != (now.get("weights") or {}).get("sha256"):
        found.append("the weights are not the file of the original result")
    if then.get("device") != now.get("device"):
        found.append(f"made on {then.get('device')}, rerun on {now.get('device')}")
    saved = then.get("versions") or {}
    for name, version in versions().items():
        if saved.get(name) != version:
            found.append(f"made with {name} {saved.get(name)}, rerun with {version}")
    return found
