"""`preimage template`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from preimage.cli import console, options, output, running, values
from preimage.errors import UsageError

if TYPE_CHECKING:
    from preimage.search import Result


@click.command(cls=running.Heavy, short_help="Show what a detector's HOG template looks for.")
@click.argument("file", metavar="FILE.mat", type=values.FILE)
@click.option(
    "--component",
    metavar="K",
    type=int,
    required=True,
    help="Which component of the model, from 1.",
)
@click.option("--part", metavar="P", type=int, help="Only this part of the component, from 1.")
@click.option(
    "--joint/--separate",
    default=None,
    help="One image for root and parts at once, or one for each, the parts' laid over the root's. "
    "Default: joint with best, separate with paper.",
)
@options.method("show what a dictionary learned from photos makes of the positive weights.")
@options.preset("best|paper")
@options.weight(
    "--fidelity",
    "C",
    "Weight of the score against the image prior. Default: 10 times the squared longer "
    "side of the image in pixels, once with paper.",
)
@options.whole("--iterations", "N", "Total; the preset's stages are scaled to it.")
@options.out_folder("preimage-out/CLASS-component-K; with --json, nothing is written")
@options.seed
@options.device
@options.as_json
def template(
    *,
    file: Path,
    component: int,
    part: int | None,
    joint: bool | None,
    method: str,
    dictionary: Path | None,
    preset: str,
    out: Path | None,
    overwrite: bool,
    seed: int,
    device: str,
    as_json: bool,
    **overrides: Any,
) -> None:
    """Show the image that a component of a deformable part model likes best.

    FILE.mat is a detector of voc-release5, such as bicycle_final.mat. The root filter sees the
    image at half its size, the parts at their places at its full size, as in detection.

    \b
    Examples:
      preimage template bicycle_final.mat --component 2
      preimage template bicycle_final.mat --component 2 --preset paper --out as-published
      preimage template person_final.mat --component 1 --part 3
      preimage template bicycle_final.mat --component 2 --method hoggle
    """
    from preimage.recipes import template as search

    options.check_method(method, dictionary, SEARCH_ONLY)
    if method == "hoggle" and joint:
        raise UsageError("--method hoggle inverts every filter by itself: leave --joint out.")
    places = output.Output(out, overwrite, as_json)
    places.check([file])
    if method == "hoggle":
        result = _hoggle(file, component, part, dictionary, options.chosen_device(device))
    else:
        with console.watching(file.stem) as bars:
            result = search(
                file,
                component,
                part=part,
                joint=joint,
                preset=preset,
                seed=seed,
                device=options.chosen_device(device),
                callbacks=bars,
                **overrides,
            )
    places.write([result], (result.name, None if method == "search" else method))


SEARCH_ONLY = ("preset", "fidelity", "iterations", "seed")
"""Options that say how to search."""


def _hoggle(
    file: Path, component: int, part: int | None, dictionary: Path | None, device: str
) -> Result:
    from preimage.recipes.dictionaries import load_dictionary
    from preimage.recipes.template_hoggle import hoggle_template

    pairs = None if dictionary is None else load_dictionary(dictionary)
    return hoggle_template(file, component, part=part, dictionary=pairs, device=device)
