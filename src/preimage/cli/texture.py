"""`preimage texture` and `preimage style`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from preimage.cli import console, options, output, running, values
from preimage.cli.options import Command

MODEL = "vgg16"
"""Its layers look at every pixel; those of faster networks skip some, which leaves a pattern."""


def _common(iterations: int) -> Callable[[Command], Command]:
    """Options of both commands, in the order in which the help shows them."""

    def decorate(command: Command) -> Command:
        for option in (
            options.as_json,
            options.device,
            options.seed,
            options.out_folder("preimage-out/IMAGE-MODEL-TASK; with --json, nothing is written"),
            options.movie,
            options.whole(
                "--iterations", "N", "Of L-BFGS, one evaluation each.", default=iterations
            ),
            options.preset(
                "best|gatys", "best: spectral coefficients; gatys: pixels within bounds."
            ),
            click.option(
                "--layers",
                metavar="A,B,C",
                callback=values.layers,
                help="Layers whose correlations count, with positions. Default: a few early ones.",
            ),
            click.option("--model", metavar="M", default=MODEL, show_default=True, help="Network."),
        ):
            command = option(command)
        return command

    return decorate


@click.command(cls=running.Heavy, short_help="Make a new image with an image's texture.")
@click.argument("image", metavar="IMAGE", type=values.FILE)
@click.option(
    "--size",
    metavar="PX|WIDTHxHEIGHT",
    default="256",
    show_default=True,
    callback=values.sides,
    help="Of the new image.",
)
@options.whole(
    "--source-size", "PX", "Bring IMAGE to a central square of this side first.", default=256
)
@click.option(
    "--weights",
    metavar="A,B,C",
    callback=values.shares,
    help="How much each of the layers counts. Default: all the same.",
)
@_common(iterations=150)
def texture(
    *,
    image: Path,
    size: tuple[int, int],
    source_size: int,
    weights: tuple[float, ...] | None,
    model: str,
    layers: list[str] | None,
    preset: str,
    iterations: int,
    movie: Path | None,
    out: Path | None,
    overwrite: bool,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Make a new image with IMAGE's texture, from noise.

    Which features occur together is kept, where they occur is not. The early layers of a network
    give grain and colour, deeper ones larger structures.

    \b
    Examples:
      preimage texture grass.jpg --size 512
      preimage texture bricks.jpg --layers relu1_1,pool1,pool2 --iterations 100
    """
    from preimage.recipes import texture as search
    from preimage.recipes.texture import TEXTURE_LAYERS, layers_for
    from preimage.representations.catalogue import check_layers, several_layers

    chosen = layers or layers_for(model, TEXTURE_LAYERS)
    check_layers(model, chosen)
    places = output.Output(out, overwrite, as_json, movie)
    places.check([image])
    options.check_photos([image])
    place = options.chosen_device(device)
    phi = several_layers(model, chosen).to(place)
    recorders = places.recorders(phi.mean)
    with console.watching(f"texture of {image.name}") as bars:
        result = search(
            phi,
            image,
            size=size,
            source_size=source_size,
            preset=preset,
            weights=weights,
            iterations=iterations,
            seed=seed,
            callbacks=[*bars, *recorders],
        )
    words = (image.stem, phi.model, "texture")
    places.write([result], words, output.film_of(recorders, [result]))


@click.command(cls=running.Heavy, short_help="Show one image in another one's style.")
@click.argument("content", metavar="CONTENT", type=values.FILE)
@click.argument("style_image", metavar="STYLE", type=values.FILE)
@options.weight("--weight", "W", "How much the style counts against the content.", default=3.0)
@options.whole("--size", "PX", "Bring both to central squares of this side.", default=256)
@click.option(
    "--content-layer", metavar="L", help="Layer whose code is kept. Default: one halfway."
)
@_common(iterations=100)
def style(
    *,
    content: Path,
    style_image: Path,
    weight: float,
    size: int,
    content_layer: str | None,
    model: str,
    layers: list[str] | None,
    preset: str,
    iterations: int,
    movie: Path | None,
    out: Path | None,
    overwrite: bool,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Show what CONTENT shows in the style of STYLE: its colours, strokes and textures.

    The code of a deep layer is kept, as in an inversion; the correlations of shallower layers are
    those of STYLE.

    \b
    Example:
      preimage style house.jpg painting.jpg --weight 10
    """
    from preimage.recipes import style as search
    from preimage.recipes.texture import CONTENT_LAYER, STYLE_LAYERS, layers_for
    from preimage.representations.catalogue import check_layers, several_layers

    chosen = [
        content_layer or layers_for(model, CONTENT_LAYER),
        *(layers or layers_for(model, STYLE_LAYERS)),
    ]
    check_layers(model, chosen)
    places = output.Output(out, overwrite, as_json, movie)
    places.check([content, style_image])
    options.check_photos([content, style_image])
    place = options.chosen_device(device)
    phi = several_layers(model, chosen).to(place)
    recorders = places.recorders(phi.mean)
    with console.watching(f"{content.name} in the style of {style_image.name}") as bars:
        result = search(
            phi,
            content,
            style_image,
            size=size,
            preset=preset,
            weight=weight,
            iterations=iterations,
            seed=seed,
            callbacks=[*bars, *recorders],
        )
    words = (content.stem, style_image.stem, phi.model, "style")
    places.write([result], words, output.film_of(recorders, [result]))
