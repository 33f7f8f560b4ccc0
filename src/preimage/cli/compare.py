"""`preimage compare`."""

from __future__ import annotations

from typing import Any

import click

from preimage.cli import console, options, running, values
from preimage.cli.reproduce import out_folder, run


@click.command(cls=running.Heavy, short_help="What does each layer of several networks keep?")
@click.option(
    "--models",
    metavar="M,M...",
    help="Networks; `preimage models` lists them. Default: alexnet,efficientnet-lite0,vgg16.",
)
@click.option("--photos", metavar="DIR", type=values.FILE, help="Folder of photos to test on.")
@options.whole(
    "--count", "N", "How many photos, the first by name. Default: 1, or 10 with --scale paper."
)
@click.option(
    "--layers-per-model",
    metavar="N",
    type=values.Whole(min=2),
    help="How many layers of each. Default: 5, or all of them with --scale paper.",
)
@click.option(
    "--scale",
    metavar="quick|paper",
    type=click.Choice(["quick", "paper"]),
    default="quick",
    show_default=True,
    help="Minutes on two cores, or every layer of 10 photos.",
)
@click.option(
    "--preset",
    metavar="P",
    help="Settings of the searches. Default: quick, or best with --scale paper.",
)
@options.whole("--iterations", "N", "Total of each search, in place of the preset's.")
@out_folder
@options.seed
@options.device
@options.as_json
def compare(*, models: str | None, device: str, as_json: bool, **asked: Any) -> None:
    """Compare what the layers of several networks keep of photos.

    Curves of the relative error, of how natural the pre-images look, and of how often they keep
    their photo's class (where the weights hold a classifier), over relative depth; and a strip of
    pre-images of one photo for each network. A run that was interrupted goes on where it was.

    \b
    Example:
      preimage compare --photos photos --models alexnet,efficientnet-lite0
    """
    from preimage.experiments.catalogue import COMPARE
    from preimage.experiments.experiment import Request

    request = Request(
        models=None if models is None else values.names(models, "--models"),
        device=options.chosen_device(device),
        progress=console.advancing,
        **asked,
    )
    run(COMPARE, request, as_json)
