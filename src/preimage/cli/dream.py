"""`preimage dream`."""

from __future__ import annotations

from pathlib import Path

import click

from preimage.cli import console, options, output, running, values


@click.command(cls=running.Heavy, short_help="Let a network see more and more in an image.")
@click.argument("image", metavar="IMAGE", type=values.FILE)
@click.option(
    "--model", metavar="M", default=options.DEFAULT_MODEL, show_default=True, help="Network."
)
@click.option(
    "--layers",
    metavar="A,B,C",
    callback=values.layers,
    help="Layers to excite, with positions. Default: one halfway.",
)
@options.whole("--size", "PX", "Bring a photo with a longer side down to this.", default=1024)
@options.whole("--octaves", "N", "Scales to dream at, from coarse to fine.", default=4)
@click.option(
    "--scale",
    metavar="S",
    type=float,
    default=1.4,
    show_default=True,
    help="From one octave to the next.",
)
@options.whole(
    "--tile", "PX", "Side of what is searched at once; it bounds the memory.", default=320
)
@options.strength("How much the dream counts against the image prior.", default=300.0)
@options.whole("--iterations", "N", "Of each tile at each octave.", default=20)
@options.whole(
    "--jitter", "T", "Shift the view by up to T-1 pixels. Default: a quarter of the layer's stride."
)
@options.movie
@options.out_folder("preimage-out/IMAGE-MODEL-LAYER-dream; with --json, nothing is written")
@options.seed
@options.device
@options.as_json
def dream(
    *,
    image: Path,
    model: str,
    layers: list[str] | None,
    size: int,
    octaves: int,
    scale: float,
    tile: int,
    strength: float,
    iterations: int,
    jitter: int | None,
    movie: Path | None,
    out: Path | None,
    overwrite: bool,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Let a network see more and more of what it knows in IMAGE (Inceptionism).

    Whatever excites a layer is made stronger, from coarse to fine, tile by tile, so that an image
    of any size fits into memory.

    \b
    Examples:
      preimage dream clouds.jpg
      preimage dream clouds.jpg --model alexnet --layers relu5 --size 2000
      preimage dream clouds.jpg --movie clouds.gif
    """
    from preimage.gallery.movie import DreamRecorder
    from preimage.recipes import Octaves
    from preimage.recipes import dream as search
    from preimage.recipes.dreaming import DREAM_LAYERS
    from preimage.recipes.texture import layers_for
    from preimage.representations.catalogue import check_layers, several_layers

    chosen = layers or [layers_for(model, DREAM_LAYERS)]
    check_layers(model, chosen)
    asked = Octaves(octaves, scale, tile)
    places = output.Output(out, overwrite, as_json, movie)
    places.check([image])
    options.check_photos([image])
    place = options.chosen_device(device)
    phi = several_layers(model, chosen).to(place)
    recorders = [] if movie is None else [DreamRecorder()]
    with console.watching(f"dream of {image.name}") as bars:
        result = search(
            phi,
            image,
            size=size,
            octaves=asked,
            strength=strength,
            iterations=iterations,
            jitter=jitter,
            seed=seed,
            callbacks=bars,
            onlookers=recorders,
        )
    words = (image.stem, phi.model, phi.layer, "dream")
    places.write([result], words, output.film_of(recorders, [result]))
