"""`preimage demo`."""

from __future__ import annotations

from pathlib import Path

import click

from preimage.cli import console, options, running


@click.command(
    cls=running.Heavy,
    short_help="Take the tour: one photo from five depths, one class; a web page.",
)
@options.out_folder("demo")
@options.seed
@options.device
@options.as_json
def demo(*, out: Path | None, overwrite: bool, seed: int, device: str, as_json: bool) -> None:
    """Take the tour: one photo inverted from five depths, one class imagined, as a web page.

    Needs no network connection and about two minutes on two CPU cores.
    """
    from preimage.files import printable
    from preimage.gallery.tour import take_tour
    from preimage.search.result import check_new_folder

    folder = out or Path("demo")
    check_new_folder(folder, overwrite)
    tour = take_tour(
        folder,
        seed=seed,
        device=options.chosen_device(device),
        overwrite=overwrite,
        watching=console.watching,
    )
    if as_json:
        console.print_json({"page": str(tour.page), "results": [r.record for r in tour.results]})
    else:
        click.echo(f"Open {printable(tour.page)} in a browser.")
