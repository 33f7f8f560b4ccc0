"""`preimage template`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from preimage.cli import console, options


@click.command(cls=options.Heavy, short_help="Show what a detector's HOG template looks for.")
@click.argument("file", metavar="FILE.mat", type=options.FILE)
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
    """
    from preimage.recipes import template as search
    from preimage.search.result import check_new_folder

    if out is not None:
        check_new_folder(out, overwrite)
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
    place = None
    if out is not None or not as_json:
        place = result.save(options.free_folder(result.name) if out is None else out, overwrite)
    if as_json:
        console.print_records([result.record])
    else:
        console.print_results([result], str(place))
