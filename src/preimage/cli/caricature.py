"""`preimage caricature`."""

from __future__ import annotations

from pathlib import Path

import click

from preimage.cli import console, options, output, running, values


@click.command(cls=running.Heavy, short_help="Exaggerate what a layer sees in an image.")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=values.FILE)
@options.network
@options.images_taken
@options.pretrained_or_random
@options.cells
@options.size("256")
@options.preset("best|paper|quick")
@options.strength(
    "How much the exaggeration counts against the image prior. Default: the preset's."
)
@options.whole("--iterations", "N", "Default: the preset's.")
@options.whole("--jitter", "T", "Shift the view by up to T-1 pixels. Default: the layer's own.")
@options.movie
@options.out_folder("preimage-out/IMAGE-MODEL-LAYER-caricature; with --json, nothing is written")
@options.seed
@options.device
@options.as_json
def caricature(
    *,
    images: tuple[Path, ...],
    model: str,
    layer: str | None,
    input: values.InputOptions | None,
    weights: str | None,
    cell: int | None,
    step: int | None,
    size: int | None,
    preset: str,
    strength: float | None,
    iterations: int | None,
    jitter: int | None,
    movie: Path | None,
    out: Path | None,
    overwrite: bool,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Exaggerate every pattern in IMAGE that excites a layer, starting from the image itself.

    Early layers saturate its colours and edges, deep ones grow the parts of objects that they
    know. How many times stronger the layer's activations have become is printed.

    \b
    Examples:
      preimage caricature fox.jpg --model alexnet --layer relu5
      preimage caricature fox.jpg --layer logits --strength 300
    """
    layer, chosen = options.check_model(
        model, layer, size, input, weights=weights, cell=cell, step=step
    )
    places = output.Output(out, overwrite, as_json, movie)
    places.check(images)
    options.check_photos(images)

    from preimage.recipes import caricature as search
    from preimage.representations import representation

    place = options.chosen_device(device)
    phi = representation(model, layer, **chosen).to(place)
    recorders = places.recorders(phi.mean, phi.input_size)
    with console.watching(f"caricature by {phi.name}") as bars:
        found = search(
            phi,
            images,
            preset=preset,
            strength=strength,
            iterations=iterations,
            jitter=jitter,
            size=size,
            seed=seed,
            callbacks=[*bars, *recorders],
        )
    results = found if isinstance(found, list) else [found]
    what = images[0].stem if len(images) == 1 else f"{len(images)}-images"
    words = (what, phi.model, phi.layer, "caricature")
    places.write(results, words, output.film_of(recorders, results))
