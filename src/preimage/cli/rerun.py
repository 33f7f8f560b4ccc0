"""`preimage rerun`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from preimage.cli import console, options, output, running, values

if TYPE_CHECKING:
    from preimage.search import Result


@click.command(cls=running.Heavy, short_help="Search once more for a saved result.")
@click.argument("folder", metavar="DIR", type=values.FILE)
@options.out_folder("nothing is written")
@click.option(
    "--trust",
    is_flag=True,
    help="Run the code of package.module:factory where DIR was made with one.",
)
@options.device
@options.as_json
def rerun(
    *, folder: Path, out: Path | None, overwrite: bool, trust: bool, device: str, as_json: bool
) -> None:
    """Search once more for the result saved in DIR, with its own settings and seed.

    A result that was searched alone comes out the same, byte for byte, on the same machine and
    versions. What was measured then and now is printed.

    \b
    Example:
      preimage rerun preimage-out/cat-efficientnet-lite0-block05 --out again
    """
    from preimage.files import printable
    from preimage.recipes.records import headline
    from preimage.recipes.rerun import rerun as search
    from preimage.search.result import check_new_folder, load_record

    output.check_overwrite(overwrite, out)
    original = load_record(folder)
    if out is not None:
        check_new_folder(out, overwrite)
    with console.watching(f"rerun of {printable(folder)}") as bars:
        result = search(folder, options.chosen_device(device), bars, trust)
    compared = _compared(folder, result)  # before --out may take its place
    if out is not None:
        out = output.save([result], out, overwrite)
    if as_json:
        console.print_records([result.record])
        return
    name, then = headline(original)
    click.echo(f"{name:<15} {then} in {printable(folder)}")
    click.echo(f"{name:<15} {result.headline[1]} now")
    click.echo(f"{'image':<15} {compared}")
    for warning in result.record["warnings"]:
        click.echo(f"warning         {warning}")
    if out is not None:
        click.echo(f"result: {printable(out)}")


def _compared(folder: Path, result: Result) -> str:
    """In words, whether the same image was found."""
    import numpy as np
    from PIL import Image

    from preimage.files import printable

    try:
        with Image.open(folder / "image.png") as picture:
            before = np.asarray(picture.convert(result.image.mode), np.int16)
    except OSError:
        return f"cannot be compared: {printable(folder)} has no readable image.png"
    now = np.asarray(result.image, np.int16)
    if before.shape != now.shape:
        return "of another size than the saved one"
    difference = int(np.abs(before - now).max())
    return (
        "the same, pixel for pixel" if difference == 0 else f"differs by up to {difference} of 255"
    )
