"""`preimage glyph`."""

from __future__ import annotations

from pathlib import Path

import click

from preimage.cli import console, options, output, running, values
from preimage.errors import UsageError

MODELS = ("hog", "hogb", "hog-relu")


@click.command(cls=running.Heavy, short_help="Draw the HOG code of an image as glyphs.")
@click.argument("image", metavar="[IMAGE]", required=False, type=values.FILE)
@click.option(
    "--code",
    metavar="FILE.npy",
    type=values.FILE,
    help="Draw this code instead of an image's; `preimage encode` writes such files.",
)
@click.option(
    "--model",
    metavar="|".join(MODELS),
    type=click.Choice(MODELS),
    default="hog",
    show_default=True,
    help="Which HOG of the image.",
)
@options.cell
@options.size("the photo as it is")
@click.option(
    "--glyph",
    metavar="PX",
    type=values.Whole(min=3, max=200),
    default=21,
    show_default=True,
    help="Side of a glyph in the picture.",
)
@click.option(
    "--out", metavar="FILE.png", type=values.FILE, required=True, help="File for the picture."
)
@options.overwrite
@options.as_json
def glyph(
    *,
    image: Path | None,
    code: Path | None,
    model: str,
    cell: int | None,
    size: int | None,
    glyph: int,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Draw the HOG code of IMAGE as glyphs: for each cell strokes along the edges it has seen.

    \b
    Examples:
      preimage glyph cat.jpg --out glyphs.png
      preimage glyph --code hog.npy --out glyphs.png
    """
    if (image is None) == (code is None):
        got = "neither" if image is None else "both"
        raise UsageError(f"expected either an image or --code FILE.npy to draw, got {got}.")
    if code is not None and (cell, size) != (None, None):
        raise UsageError("--cell and --size are the image's; a code is drawn as it is.")
    output.check_suffix(out, ".png", "--out")
    output.check_new_file(out, overwrite, "--out")

    from preimage.files import printable
    from preimage.images import save_png
    from preimage.recipes import encode as code_of
    from preimage.recipes.codes import load_code
    from preimage.representations import representation
    from preimage.representations.glyphs import draw_glyphs

    if code is not None:
        array = load_code(code)
    else:
        assert image is not None  # one of the two was given
        _, chosen = options.check_model(model, None, cell=cell)
        array = code_of(representation(model, None, **chosen), image, size)[0].numpy()
    picture = draw_glyphs(array, glyph)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    save_png(picture, out)
    if as_json:
        record = {"path": str(out), "width": picture.width, "height": picture.height}
        console.print_json({"picture": record, "code_shape": list(array.shape)})
    else:
        click.echo(
            f"{printable(out)}: {array.shape[2]} x {array.shape[1]} glyphs of {glyph} pixels"
        )
