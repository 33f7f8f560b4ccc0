"""`preimage invert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from preimage.cli import console, options, output, running, values
from preimage.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from preimage.representations import Representation
    from preimage.search import Result


@click.command(cls=running.Heavy, short_help="Find images with the code of a given image.")
@click.argument("images", metavar="[IMAGE]...", nargs=-1, type=values.FILE)
@click.option(
    "--code",
    metavar="FILE.npy",
    type=values.FILE,
    help="Invert this code instead of an image's; `preimage encode` writes such files.",
)
@options.network
@options.images_taken
@options.pretrained_or_random
@options.cells
@options.size("256")
@options.method("only for hog, by a dictionary learned from photos, without a search.")
@options.preset("best|paper|quick")
@options.weight(
    "--fidelity", "C", "Weight of the loss against the image prior. Default: the layer's own."
)
@options.whole("--iterations", "N", "Total; the preset's stages are scaled to it.")
@options.whole(
    "--restarts",
    "R",
    "Pre-images of each image, from seed N, N+1 ...",
    default=1,
    most=options.MOST_RESTARTS,
)
@options.whole("--neighbourhood", "K", "Only the central KxK cells of the code count.")
@click.option(
    "--channels",
    metavar="A:B",
    callback=values.span,
    help="Only channels A to B-1 of the code count.",
)
@options.whole("--groups", "N", "Invert each of N nearly equal groups of channels by itself.")
@options.whole("--jitter", "T", "Shift the view by up to T-1 pixels. Default: the layer's own.")
@click.option(
    "--alpha",
    metavar="A",
    type=float,
    callback=values.at_least(2),
    help="Exponent of the bounded range (Eq. 5).",
)
@click.option(
    "--beta",
    metavar="B",
    type=float,
    callback=values.at_least(1),
    help="Exponent of the total variation.",
)
@click.option(
    "--stretch",
    is_flag=True,
    help="Stretch the contrast in figure.png, as the paper's figures do; image.png stays as it is.",
)
@options.movie
@options.out_folder("preimage-out/IMAGE-MODEL-LAYER; with --json, nothing is written")
@options.seed
@options.device
@options.as_json
def invert(
    *,
    images: tuple[Path, ...],
    code: Path | None,
    model: str,
    layer: str | None,
    input: values.InputOptions | None,
    weights: str | None,
    cell: int | None,
    step: int | None,
    size: int | None,
    method: str,
    dictionary: Path | None,
    preset: str,
    restarts: int,
    groups: int | None,
    stretch: bool,
    movie: Path | None,
    out: Path | None,
    overwrite: bool,
    seed: int,
    device: str,
    as_json: bool,
    **overrides: Any,
) -> None:
    """Find natural-looking images with the same code as IMAGE, starting from noise.

    The search sees only the code: what the result shows is what the layer has kept, and where it
    differs from IMAGE is what the layer has thrown away. Several images, or several restarts, are
    searched as one batch.

    \b
    Examples:
      preimage invert cat.jpg --layer block05
      preimage invert cat.jpg --model alexnet --layer relu3 --restarts 4 --out cats
      preimage invert --code code.npy --layer pool
      preimage invert cat.jpg --model hog
      preimage invert cat.jpg --model hog --method hoggle
    """
    if bool(images) == (code is not None):
        got = "both" if images else "neither"
        raise UsageError(f"expected either images or --code FILE.npy to invert, got {got}.")
    layer, chosen = options.check_model(
        model, layer, size, input, weights=weights, cell=cell, step=step
    )
    if method == "hoggle" and model != "hog":
        raise UsageError(f"--method hoggle inverts hog, not {model}: give --model hog.")
    options.check_method(method, dictionary, SEARCH_ONLY)
    if groups is not None and (overrides["channels"] is not None or movie is not None):
        raise UsageError("--groups goes neither with --channels nor with --movie.")
    places = output.Output(out, overwrite, as_json, movie)
    places.check([*images, *([] if code is None else [code])])
    options.check_photos(images)

    from preimage.recipes import invert as search
    from preimage.recipes.codes import load_code
    from preimage.recipes.inversion import code_shape, groups_of
    from preimage.recipes.views import view_for
    from preimage.representations import representation

    array = None if code is None else load_code(code)
    place = options.chosen_device(device)
    phi = representation(model, layer, **chosen).to(place)
    recorders = places.recorders(phi.mean, phi.input_size)
    parts = [overrides.pop("channels")]
    if groups is not None:
        shape = code_shape(phi, view_for(phi, size, None if array is None else array.shape))
        parts = groups_of(shape[0], groups)
    results: list[Result] = []
    for channels in [] if method == "hoggle" else parts:
        with console.watching(f"{phi.name}") as bars:
            found = search(
                phi,
                images or None,
                code=array,
                preset=preset,
                size=size,
                seed=seed,
                restarts=restarts,
                callbacks=[*bars, *recorders],
                display_stretched=stretch,
                channels=channels,
                **overrides,
            )
        results += found if isinstance(found, list) else [found]
    if method == "hoggle":
        results = _hoggle(phi, images, array, size, dictionary)
    places.write(results, _words(images, phi, method), output.film_of(recorders, results))


SEARCH_ONLY = (
    "preset", "fidelity", "iterations", "restarts", "neighbourhood", "channels", "groups",
    "jitter", "alpha", "beta", "stretch", "movie", "seed",
)  # fmt: skip
"""Options that say how to search."""


def _hoggle(
    phi: Representation,
    images: tuple[Path, ...],
    code: np.ndarray | None,
    size: int | None,
    dictionary: Path | None,
) -> list[Result]:
    from preimage.recipes.dictionaries import load_dictionary
    from preimage.recipes.hoggle import hoggle

    pairs = None if dictionary is None else load_dictionary(dictionary)
    found = hoggle(phi, images or None, code=code, dictionary=pairs, size=size)
    return found if isinstance(found, list) else [found]


def _words(images: tuple[Path, ...], phi: Representation, method: str) -> tuple[str | None, ...]:
    """What the name of the folder says for results that were given none."""
    what = f"{len(images)}-images"
    if len(images) <= 1:
        what = images[0].stem if images else "code"
    return (what, phi.model, phi.layer, None if method == "search" else method)
