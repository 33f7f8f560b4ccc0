"""`preimage encode`."""

from __future__ import annotations

from pathlib import Path

import click

from preimage.cli import console, options, output, running, values


@click.command(cls=running.Heavy, short_help="Write the code of an image at a layer.")
@click.argument("image", metavar="IMAGE", type=values.FILE)
@options.network
@options.images_taken
@options.pretrained_or_random
@options.cells
@options.size("the photo as it is")
@click.option(
    "--out", metavar="FILE.npy", type=values.FILE, required=True, help="File for the code."
)
@options.overwrite
@options.device
@options.as_json
def encode(
    *,
    image: Path,
    model: str,
    layer: str | None,
    input: values.InputOptions | None,
    weights: str | None,
    cell: int | None,
    step: int | None,
    size: int | None,
    out: Path,
    overwrite: bool,
    device: str,
    as_json: bool,
) -> None:
    """Write the code of IMAGE at a layer: a NumPy array of float32, [D,h,w] or [D].

    hog and hogb give [31,h,w], dsift gives [128,h,w], from the 0-255 grey values, with VLFeat's
    numbers in VLFeat's order. `preimage invert --code FILE.npy` then shows what such a stored code
    gives away.

    \b
    Examples:
      preimage encode cat.jpg --layer pool --out code.npy
      preimage encode cat.jpg --model hog --cell 8 --out hog.npy
    """
    layer, chosen = options.check_model(
        model, layer, size, input, weights=weights, cell=cell, step=step
    )
    output.check_suffix(out, ".npy", "--out")
    output.check_new_file(out, overwrite, "--out")
    options.check_photos([image])

    from preimage.files import printable, sha256_of_file
    from preimage.recipes import encode as code_of
    from preimage.recipes.codes import save_code
    from preimage.recipes.inversion import loses_colours
    from preimage.recipes.records import describe
    from preimage.representations import representation

    place = options.chosen_device(device)
    phi = representation(model, layer, **chosen).to(place)
    code = code_of(phi, image, size)[0].cpu()
    if loses_colours(phi, image):
        console.note(f"{printable(image)} is in colour; {phi.name} sees its grey values.")
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    save_code(code.numpy(), out)
    if as_json:
        console.print_json(
            {
                "image": {"path": str(image), "sha256": sha256_of_file(image)},
                "representation": describe(phi, code),
                "code": {"path": str(out), "sha256": sha256_of_file(out)},
            }
        )
    else:
        dimensions = " x ".join(str(side) for side in code.shape)
        click.echo(
            f"{printable(out)}: code of {printable(image)} at {phi.name}, {dimensions} numbers"
        )
