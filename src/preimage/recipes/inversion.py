"""Inversion: an image whose code is a given one (Sect. 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from preimage.energy import Energy, Euclidean
from preimage.errors import PreimageError, UsageError
from preimage.images import as_picture, has_colour, load_photo, to_pixels
from preimage.recipes.doubts import doubts
from preimage.recipes.presets import representation_for, settings_for
from preimage.recipes.records import (
    Classes,
    Observer,
    Photo,
    check_seeds,
    make_record,
    make_result,
    name_of,
    origin,
    photos_in,
)
from preimage.recipes.settings import Settings, check_overrides
from preimage.recipes.views import view_for
from preimage.representations import Geometry, Representation
from preimage.search.minimise import Outcome, minimise
from preimage.search.result import Result


def invert(
    representation: Representation,
    images: Photo | Sequence[Photo] | None = None,
    *,
    code: np.ndarray | Tensor | None = None,
    preset: str = "best",
    settings: Settings | None = None,
    size: int | None = None,
    mask: np.ndarray | Tensor | None = None,
    seed: int = 0,
    restarts: int = 1,
    callbacks: Sequence[Observer] = (),
    display_stretched: bool = False,
    **overrides: Any,
) -> Result | list[Result]:
    """Images whose code is that of the given ones, from noise (Eqs. 1 and 2).

    x* = argmin R_α(x) + R_TVβ(x) + C·‖Φ(x)−Φ₀‖²/‖Φ₀‖²

    Only the code is used: the search never sees the image.

    Args:
        representation: Φ.
        images: a photo (path or PIL image), or several; each is inverted by itself, all in one
            batch.
        code: Φ₀ in place of images, `[D, h, w]` or `[D]`.
        preset: name of a preset; `best` is the default, `paper` the published settings.
        settings: whole settings in place of a preset.
        size: where Φ takes images of any size, side of the central square that photos are brought
            to; 256 by default.
        mask: M of Eq. 3, numbers of at least 0 that broadcast to the code's shape `[D, h, w]` or
            `[D]`: what counts, and how much. In place of `neighbourhood` and `channels`, which are
            the masks of Figs. 13 and 14. Saved with the result.
        seed: a whole number from 0; restart r uses seed + r.
        restarts: how many pre-images of each image.
        callbacks: called after every iteration with a `Snapshot`.
        display_stretched: let the figures show each picture with its contrast stretched.
        overrides: single settings in place of the preset's: `fidelity`, `iterations`, `jitter`,
            `alpha`, `beta`, `neighbourhood`, `channels`.

    Returns:
        One `Result` for one image and one restart, otherwise a list, image by image.

    Raises:
        UsageError: if a preset or an override is unknown or out of range, or both or neither of
            images and code are given.
        PreimageError: if an image can't be read or a code does not fit the representation.

    Example:
        >>> import preimage as pi
        >>> phi = pi.representation("alexnet", layer="relu3")
        >>> pi.invert(phi, "photo.jpg", seed=0).save("out")                  # doctest: +SKIP
    """
    check_overrides(overrides, invert, settings_for)
    if (images is None) == (code is None):
        raise UsageError("give either images or a code to invert, not both and not neither.")
    check_seeds(seed, restarts)
    array = None if code is None else as_array(code)
    view = view_for(representation, size, None if array is None else array.shape)
    if settings is None:
        representation = representation_for(representation, preset)
        settings = settings_for(representation, preset, view=view, **overrides)
    elif overrides or preset != "best":
        raise UsageError("give either whole settings or a preset with overrides, not both.")
    single = restarts == 1 and (images is None or isinstance(images, Photo))
    if images is None:
        assert array is not None  # one of the two was given
        targets = [Target(None, None, as_code(representation, array, view))]
    else:
        targets = [Target.of(representation, photo, view[0]) for photo in photos_in(images)]
    array = None if mask is None else as_mask(mask, tuple(targets[0].code.shape[1:]), settings)
    results = _search(
        representation, targets, settings, view, array, seed, restarts, callbacks, display_stretched
    )
    return results[0] if single else results


class Target:
    """A code to invert, and where it comes from."""

    def __init__(
        self,
        source: Photo | None,
        image: Tensor | None,
        code: Tensor,
        reference: Image.Image | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        # Of the file as it is now: after a long search it may be another, or gone.
        self.origin = origin(source)
        self.image, self.code, self.warnings = image, code, warnings
        # One picture for all restarts: the sheet shows it once.
        self.reference = reference

    @staticmethod
    def of(representation: Representation, source: Photo, size: int) -> Target:
        image = representation.photo(source, size)
        reference = as_picture(to_pixels(image, representation.mean))
        grey = f"the photo is in colour; {representation.name} sees its grey values"
        warnings = [grey] if loses_colours(representation, source) else []
        return Target(source, image, encode(representation, image), reference, warnings)


def loses_colours(representation: Representation, source: Photo) -> bool:
    """Whether a photo has colours that a representation of grey images does not see."""
    return representation.channels == 1 and has_colour(load_photo(source, None))


@torch.no_grad()
def encode(
    representation: Representation, image: Photo | Tensor, size: int | None = None
) -> Tensor:
    """Code of one photo, `[1, D, h, w]` or `[1, D]`.

    Args:
        representation: Φ.
        image: a photo, or a tensor `[1, C, H, W]` on the canvas scale.
        size: where Φ takes images of any size, side of the central square that the photo is brought
            to; by default it is encoded as it is.
    """
    if not isinstance(image, Tensor):
        image = representation.photo(image, size)
    return representation(image.to(representation.device))


def as_array(code: np.ndarray | Tensor) -> np.ndarray:
    """A code from outside as a NumPy array.

    Raises:
        PreimageError: if it is not numeric.
    """
    if isinstance(code, Tensor):
        code = code.detach().cpu()
        # NumPy has no bfloat16.
        code = (code.float() if code.is_floating_point() else code).numpy()
    array = np.asarray(code)
    if array.dtype.kind not in "fiu":
        raise PreimageError(f"a code holds real numbers; this one holds {array.dtype}.")
    return array


def as_code(
    representation: Representation,
    code: np.ndarray | Tensor,
    view: tuple[int, int] | None = None,
) -> Tensor:
    """A code from outside as a target, `[1, ...]`, checked against what Φ gives.

    Args:
        representation: Φ.
        code: `[D, h, w]` or `[D]`.
        view: height and width of its image; by default what Φ sees.

    Raises:
        PreimageError: if it is not numeric, not finite, or not of Φ's shape.
    """
    array = as_array(code)
    expected = code_shape(representation, view)
    if array.shape != expected:
        raise PreimageError(
            f"{representation.name} has codes of shape {list(expected)}, this one is "
            f"{list(array.shape)}: {_remedy(array.shape, expected)}."
        )
    if not np.isfinite(array).all():
        raise PreimageError("the code holds NaN or infinite values: nothing can match it.")
    with np.errstate(over="ignore"):  # the loss refuses what float32 can't hold
        array = array.astype(np.float32)
    return torch.from_numpy(array)[None].to(representation.device)


def _remedy(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """What to do about a code of another shape."""
    if shape == (1, *expected):
        return "leave out the dimension of the batch"
    if len(expected) == 3 and shape == (*expected[1:], expected[0]):
        return "put the channels first"
    return "give the model and layer it was made with"


def code_shape(
    representation: Representation, view: tuple[int, int] | None = None
) -> tuple[int, ...]:
    """Shape of one code of an image of height and width `view`, without the batch."""
    blank = torch.zeros(1, representation.channels, *(view or view_for(representation)))
    return tuple(encode(representation, blank).shape[1:])


def as_mask(mask: np.ndarray | Tensor, shape: tuple[int, ...], settings: Settings) -> np.ndarray:
    """A mask from outside, float32, checked against a code's shape.

    Raises:
        UsageError: if neighbourhood or channels are given as well.
        PreimageError: if it does not broadcast, or holds anything but numbers of at least 0.
    """
    if settings.neighbourhood is not None or settings.channels is not None:
        raise UsageError("give either a mask or a neighbourhood and channels, not both.")
    array = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask)
    if array.dtype.kind not in "bfiu":
        raise PreimageError(f"a mask holds numbers of at least 0; this one holds {array.dtype}.")
    array = array.astype(np.float32)
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise PreimageError("a mask holds numbers of at least 0; this one holds others.")
    try:
        np.broadcast_to(array, shape)
    except ValueError:
        raise PreimageError(
            f"the mask's shape {list(array.shape)} does not broadcast to the code's {list(shape)}."
        ) from None
    return array


def box_of(
    mask: Tensor, geometry: Geometry, view: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """What the cells that count can see of an image (the box of Fig. 13).

    Args:
        mask: M, `[1, D, h, w]`.
        geometry: of the code.
        view: height and width of the image.

    Returns:
        Left, top, right and bottom pixel, inside the image; None where they see all of it.

    Example:
        >>> mask = torch.zeros(1, 1, 5, 5)
        >>> mask[..., 2, 2] = 1
        >>> box_of(mask, Geometry(receptive_field=7, stride=4, offset=1.0), (20, 20))
        (6, 6, 12, 12)
    """
    if mask.dim() != 4:
        return None
    counts = mask[0].sum(0) > 0
    reach, sides = (geometry.receptive_field - 1) / 2, []
    for axis in (1, 0):  # left and right from the columns, top and bottom from the rows
        cells = counts.any(1 - axis).nonzero().flatten().tolist()
        first, last = (geometry.offset + geometry.stride * cells[i] for i in (0, -1))
        sides.append((max(0, round(first - reach)), min(view[axis] - 1, round(last + reach))))
    (left, right), (top, bottom) = sides
    whole = (left, top) == (0, 0) and (bottom + 1, right + 1) == view
    return None if whole else (left, top, right, bottom)


def groups_of(channels: int, groups: int) -> list[tuple[int, int]]:
    """Equal groups of neighbouring channels, first and one past the last (Fig. 14).

    Raises:
        UsageError: if there are fewer channels than groups.

    Example:
        >>> groups_of(96, 2)
        [(0, 48), (48, 96)]
    """
    if not 1 <= groups <= channels:
        raise UsageError(f"the groups must be 1 to {channels}, as many as channels, got {groups}.")
    ends = [channels * i // groups for i in range(groups + 1)]
    return list(pairwise(ends))


def mask_for(settings: Settings, code: Tensor) -> Tensor | None:
    """M of Eq. 3: the central neighbourhood and the channels that count, or None for all.

    Raises:
        UsageError: if the neighbourhood or the channels do not fit the code.
    """
    if settings.neighbourhood is None and settings.channels is None:
        return None
    mask = torch.zeros_like(code[:1])
    rows = columns = slice(None)
    if settings.neighbourhood is not None:
        if code.dim() != 4:
            raise UsageError("this layer's code has no positions, so it has no neighbourhood.")
        side, most = settings.neighbourhood, min(code.shape[-2:])
        if not 1 <= side <= most:
            raise UsageError(f"the neighbourhood must be 1 to {most} cells, got {side}.")
        rows, columns = (
            slice((length - side) // 2, (length + side) // 2) for length in code.shape[-2:]
        )
    start, stop = settings.channels or (0, code.shape[1])
    if not 0 <= start < stop <= code.shape[1]:
        raise UsageError(f"channels must be a range within 0:{code.shape[1]}, got {start}:{stop}.")
    if code.dim() == 4:
        mask[:, start:stop, rows, columns] = 1
    else:
        mask[:, start:stop] = 1
    return mask


def _search(
    representation: Representation,
    targets: Sequence[Target],
    settings: Settings,
    view: tuple[int, int],
    array: np.ndarray | None,
    seed: int,
    restarts: int,
    callbacks: Sequence[Observer],
    display_stretched: bool,
) -> list[Result]:
    """All targets and restarts as one batch, target by target."""
    codes = torch.cat([target.code for target in targets]).repeat_interleave(restarts, dim=0)
    mask = mask_for(settings, codes)
    if array is not None:
        # Its own axes are the code's last ones, as in NumPy.
        mask = torch.from_numpy(array).to(codes.device).expand_as(codes[:1])
    energy = Energy(
        representation,
        loss=Euclidean(codes, mask),
        priors=settings.priors,
        fidelity=settings.fidelity,
    )
    geometry = representation.geometry
    box = None if mask is None or geometry is None else box_of(mask, geometry, view)
    seeds = [seed + restart for restart in range(restarts)] * len(targets)
    doubtful = doubts(energy, settings, view, seeds)
    outcome = minimise(
        energy,
        canvas=settings.canvas,
        stages=settings.stages,
        softening=settings.softening,
        step_rule=settings.step_rule,
        view=view,
        seeds=seeds,
        callbacks=callbacks,
    )
    return results_of(
        representation,
        targets,
        outcome,
        settings,
        seed=seed,
        restarts=restarts,
        warnings=doubtful,
        display_stretched=display_stretched,
        mask=array,
        box=box,
    )


def results_of(
    representation: Representation,
    targets: Sequence[Target],
    outcome: Outcome,
    settings: Settings | Mapping[str, Any],
    *,
    seed: int = 0,
    restarts: int = 1,
    warnings: Sequence[Sequence[str]] | None = None,
    display_stretched: bool = False,
    mask: np.ndarray | None = None,
    box: tuple[int, int, int, int] | None = None,
) -> list[Result]:
    """What a search, or what stands in for one, has found, with its records; target by target.

    Args:
        representation: Φ.
        targets: what was searched for.
        outcome: `len(targets)·restarts` problems.
        settings: of the search, or of what stands in for one: as JSON, `iterations` among them, and
            a `method`, which is put into the record.
        seed: of the first restart.
        restarts: problems of each target.
        warnings: what a user should know of each problem, besides what the targets say.
        display_stretched: let the figures show each picture with its contrast stretched.
        mask, box: see `Result`.
    """
    # Where M is above 0 a component counts, however much.
    part = {} if mask is None else {"mask": {"part": float((mask > 0).mean())}}
    images = [target.image for target in targets if target.image is not None]
    references = torch.cat(images).repeat_interleave(restarts, dim=0) if images else None
    classes = Classes(representation, outcome.view, references)
    loss = outcome.term_names.index("loss")
    results = []
    for problem in range(len(outcome.view)):
        target, restart = targets[problem // restarts], problem % restarts
        squared = float(outcome.terms[problem, loss])
        record = make_record(
            "invert",
            representation,
            settings,
            outcome,
            problem,
            code=target.code[0],
            image=target.origin,
            seed=seed,
            restart=restart,
            measured={"relative_error": squared**0.5, "squared_error": squared, **part},
            classes=classes.record(problem),
            warnings=[*target.warnings, *(warnings[problem] if warnings else ())],
        )
        result = make_result(
            record,
            representation,
            outcome,
            problem,
            name=name_of(record["image"], "photo" if images else "code"),
            reference=target.reference,
            image=target.image,
            code=None if images else target.code[0],
            columns={"relative_error": outcome.trace[:, problem, loss].double().sqrt()},
            drawing=representation.draw(target.code[0]),
            stretched=display_stretched,
            mask=mask,
            box=box,
        )
        results.append(result)
    return results
