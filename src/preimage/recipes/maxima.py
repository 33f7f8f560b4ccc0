"""The largest activations over photos: M of Eq. 9."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from preimage.errors import PreimageError
from preimage.files import printable, replacing, safe_name, sha256_of_file
from preimage.images.folder import Photos, Unusable, files_in, usable
from preimage.recipes.views import view_for
from preimage.representations import Representation
from preimage.search.canvases import PhaseCanvas
from preimage.weights.store import home

SHIPPED = "maxima.json"
ESTIMATE_IMAGES = 32
"""Images of the estimate: random phases with the spectrum of photos."""


@dataclass(frozen=True)
class Maxima:
    """The largest activation of every channel of a layer, over all positions of some images.

    Attributes:
        model, layer: what was looked into.
        weights: sha256 of the weights, or None where there are none.
        source: `photos`, or `estimate` where no photos were at hand.
        images: how many.
        digest: sha256 over the files' own, in their order of names; empty for an estimate.
        largest: M of every channel.
        unusable: files of the folder that were passed over.
    """

    model: str
    layer: str | None
    weights: str | None
    source: str
    images: int
    digest: str
    largest: tuple[float, ...]
    unusable: tuple[Unusable, ...] = ()

    def bound(self, weights: Tensor) -> float:
        """M of an objective with these weights on a code: Σ|w|·M, over channels and cells."""
        across = weights.abs().flatten(1).sum(1) if weights.dim() > 1 else weights.abs()
        return float((across.cpu() * torch.tensor(self.largest)).sum())


@torch.no_grad()
def measure(
    representation: Representation,
    folder: str | Path,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> Maxima:
    """M of every channel over a folder of photos; kept, so that the next call only reads it.

    M_c = max over photos and positions of Φ_c

    Args:
        representation: Φ.
        folder: where the photos are; what is no photo, or damaged, is passed over.
        watch: called with the number of photos done and of all.

    Raises:
        PreimageError: if there is no such folder, or it holds no photo that can be used.
    """
    digest = _digest(files_in(folder))
    known = _read(_file(representation, digest))
    if known is not None and _fits(known, representation):
        return known
    found = photos_of(folder)
    photos = found.paths
    size = view_for(representation)[0]
    largest: Tensor | None = None
    for number, photo in enumerate(photos, start=1):
        code = representation(representation.photo(photo, size).to(representation.device))
        here = code[0].flatten(1).amax(1) if code.dim() > 2 else code[0]
        largest = here if largest is None else torch.maximum(largest, here)
        watch(number, len(photos))
    assert largest is not None  # there is at least one photo
    maxima = _maxima(representation, "photos", len(photos), digest, largest, found.unusable)
    _keep(maxima, _file(representation, digest))
    return maxima


def photos_of(folder: str | Path, count: int | None = None) -> Photos:
    """The photos of a folder that can be used, the first of them or all.

    Raises:
        PreimageError: if there is no such folder, or it holds none.
    """
    found = usable(files_in(folder), count)
    if not found.paths:
        raise PreimageError(f"{printable(folder)}: expected photos; {found.note}")
    return found


def known_maxima(representation: Representation) -> Maxima:
    """The M there is without photos at hand: measured before, shipped, or else estimated.

    Of several measurements the one over most photos is taken. The estimate is over images of
    random phases with the spectrum of photos, and usually lower: they hold no objects.
    """
    found = [*_measured(representation), *_shipped(representation)]
    if found:
        return max(found, key=lambda maxima: maxima.images)
    return _estimate(representation)


@torch.no_grad()
def _estimate(representation: Representation) -> Maxima:
    canvas, shape = PhaseCanvas(), (representation.channels, *view_for(representation))
    largest: Tensor | None = None
    for seed in range(ESTIMATE_IMAGES):
        image = canvas.render(canvas.start(shape, [seed]), shape, representation.mean)
        code = representation(image.to(representation.device))
        here = code[0].flatten(1).amax(1) if code.dim() > 2 else code[0]
        largest = here if largest is None else torch.maximum(largest, here)
    assert largest is not None
    return _maxima(representation, "estimate", ESTIMATE_IMAGES, "", largest)


def _maxima(
    representation: Representation,
    source: str,
    images: int,
    digest: str,
    largest: Tensor,
    unusable: tuple[Unusable, ...] = (),
) -> Maxima:
    return Maxima(
        model=representation.model,
        layer=representation.layer,
        weights=_sha(representation),
        source=source,
        images=images,
        digest=digest,
        largest=tuple(largest.cpu().double().tolist()),
        unusable=unusable,
    )


def _sha(representation: Representation) -> str | None:
    return representation.weights.sha256 if representation.weights else None


def _digest(files: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        # One that can't be read is passed over when the photos are looked at.
        with suppress(PreimageError):
            total.update(sha256_of_file(file).encode())
    return total.hexdigest()


def _folder(representation: Representation) -> Path | None:
    """Where measurements of a layer are kept; None without weights to know it by."""
    sha = _sha(representation)
    if sha is None or representation.layer is None:
        return None
    # The same weights that are given other images (another mean, std or size) answer otherwise.
    content = json.dumps(dict(representation.options), sort_keys=True, default=str)
    given = f"-{hashlib.sha256(content.encode()).hexdigest()[:8]}" if representation.options else ""
    name = safe_name(representation.layer)
    if name != representation.layer:  # others may be cut to the same
        name += f"-{hashlib.sha256(representation.layer.encode()).hexdigest()[:8]}"
    return home() / "maxima" / f"{sha[:16]}{given}-{name}"


def _file(representation: Representation, digest: str) -> Path | None:
    folder = _folder(representation)
    return None if folder is None else folder / f"{digest[:16]}.json"


def _keep(maxima: Maxima, path: Path | None) -> None:
    if path is None:
        return
    # Where nothing can be kept, as in a cache that others own, it is measured again next time.
    with suppress(OSError, PreimageError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(maxima)), encoding="utf-8")


def is_kept(maxima: Maxima, representation: Representation) -> bool:
    """Whether a measurement over photos is where the next call looks for it."""
    return _read(_file(representation, maxima.digest)) == maxima


def _read(path: Path | None) -> Maxima | None:
    """A kept measurement; None where there is none, or the file is not whole."""
    try:
        return None if path is None else as_maxima(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def as_maxima(record: dict[str, Any]) -> Maxima:
    """Maxima from JSON.

    Raises:
        KeyError, TypeError, ValueError: if something is missing or no number.
    """
    largest = tuple(float(value) for value in record["largest"])
    if not largest or not all(map(math.isfinite, largest)):
        raise ValueError("no numbers")
    unusable = tuple(Unusable(**file) for file in record.get("unusable", ()))
    return Maxima(**{**record, "largest": largest, "unusable": unusable})


def _measured(representation: Representation) -> list[Maxima]:
    folder = _folder(representation)
    if folder is None or not folder.is_dir():
        return []
    read = (_read(path) for path in sorted(folder.glob("*.json")))
    return [maxima for maxima in read if maxima is not None and _fits(maxima, representation)]


def _shipped(representation: Representation) -> list[Maxima]:
    text = resources.files("preimage.recipes").joinpath(SHIPPED).read_text("utf-8")
    all_of_them = (as_maxima(record) for record in json.loads(text))
    return [maxima for maxima in all_of_them if _fits(maxima, representation)]


def _fits(maxima: Maxima, representation: Representation) -> bool:
    return maxima.weights == _sha(representation) and maxima.layer == representation.layer
