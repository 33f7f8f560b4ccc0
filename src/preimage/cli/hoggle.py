"""`preimage hoggle`."""

from __future__ import annotations

from pathlib import Path

import click

from preimage.cli import console, options, output, running, values
from preimage.errors import UsageError, counted


@click.group(no_args_is_help=False, short_help="HOGgle, the other way to invert HOG.")
def hoggle() -> None:
    """HOGgle (Vondrick et al. 2013) inverts HOG by a dictionary learned from photos.

    `preimage invert --model hog --method hoggle` uses what is trained here.
    """


@hoggle.command(cls=running.Heavy, short_help="Learn a dictionary from photos.")
@click.option("--photos", metavar="DIR", type=values.FILE, required=True, help="Folder of photos.")
@click.option(
    "--out",
    metavar="FILE.safetensors",
    type=values.FILE,
    help="File for the dictionary. Default: the cache, where `preimage invert` finds it.",
)
@options.overwrite
@options.whole("--cell", "PX", "Side of a HOG cell.", default=8)
@options.whole("--atoms", "K", "Pairs to learn.", default=512)
@options.whole(
    "--count",
    "N",
    "Learn from the last N files by name; experiments test on the first. Default: all.",
)
@options.seed
@options.as_json
def train(
    *,
    photos: Path,
    out: Path | None,
    overwrite: bool,
    cell: int,
    atoms: int,
    count: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Learn which patches of pixels go with which blocks of HOG, from a folder of photos.

    Takes about two minutes on one core. Photos to be inverted should not be among those learned
    from.

    \b
    Examples:
      preimage hoggle train --photos photos
      preimage hoggle train --photos photos --cell 4 --out cell4.safetensors
    """
    from dataclasses import asdict

    from preimage.files import printable
    from preimage.images.folder import files_in, usable
    from preimage.recipes import hoggle_training as training
    from preimage.recipes.dictionaries import dictionary_path

    if out is not None:
        output.check_suffix(out, ".safetensors", "--out")
    place = dictionary_path(cell) if out is None else out
    # What is in the cache was made by this command, and is made again by it.
    output.check_new_file(place, overwrite or out is None, "--out")
    files = files_in(photos)
    if count is not None and count > len(files):
        raise UsageError(f"--count {count}: {photos} has {counted(len(files), 'file')}.")
    found = usable(files[-count:] if count else files, least_side=training.least_side(cell))
    training.check_photos(photos, found)
    console.note_passed_over(found.unusable)
    with console.advancing("dictionary", training.steps(atoms)) as advance:
        learned = training.train(found.paths, cell=cell, atoms=atoms, seed=seed, progress=advance)
    place.absolute().parent.mkdir(parents=True, exist_ok=True)
    learned.save(place)
    if as_json:
        record = {"path": str(place), "sha256": learned.digest, **asdict(learned.header)}
        console.print_json({"dictionary": record})
        return
    header = learned.header
    click.echo(
        f"{printable(place)}: {counted(header.atoms, 'atom')} for cells of "
        f"{counted(cell, 'pixel')}, learned from {counted(header.blocks, 'block')} of "
        f"{counted(header.photos, 'photo')}"
    )
