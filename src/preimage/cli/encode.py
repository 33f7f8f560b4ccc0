"""`preimage encode`."""

from __future__ import annotations

from pathlib import Path

import click

from preimage.cli import console, options


@click.command(cls=options.Heavy, short_help="Write the code of an image at a layer.")
@click.argument("image", metavar="IMAGE", type=options.FILE)
@options.network
@click.option(
    "--out", metavar="FILE.npy", type=options.FILE, required=True, help="File for the code."
)
@options.overwrite
@options.device
@options.as_json
def encode(
    *,
    image: Path,
    model: str,
    layer: str | None,
    out: Path,
    overwrite: bool,
    device: str,
    as_json: bool,
) -> None:
    """Write the code of IMAGE at a layer: a NumPy array of float32, [D,h,w] or [D].

    `preimage invert --code FILE.npy` then shows what such a stored code gives away.

    \b
    Example:
      preimage encode cat.jpg --layer pool --out code.npy
    """
    layer = options.check_layer(model, layer)
    options.check_new_file(out, overwrite, "--out")
    options.check_photos([image])

    from preimage.files import sha256_of_file
    from preimage.images import load_photo
    from preimage.recipes import encode as code_of
    from preimage.recipes.codes import save_code
    from preimage.representations import representation

    phi = representation(model, layer).to(options.chosen_device(device))
    if phi.channels == 1 and load_photo(image, None).getcolors(1) is None:
        console.note(f"{image}: {phi.name} sees grey images, so the colours are left out.")
    code = code_of(phi, image)[0].cpu().numpy()
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    save_code(code, out)
    shape = list(code.shape)
    if as_json:
        console.print_json(
            {
                "image": {"path": str(image), "sha256": sha256_of_file(image)},
                "representation": {"model": phi.model, "layer": layer, "code_shape": shape},
                "code": {"path": str(out), "sha256": sha256_of_file(out)},
            }
        )
    else:
        dimensions = " x ".join(str(side) for side in shape)
        click.echo(f"{out}: code of {image} at {phi.name}, {dimensions} numbers")
