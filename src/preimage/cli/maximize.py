"""`preimage maximize`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from preimage.cli import console, options, output, running, values
from preimage.errors import UsageError, counted
from preimage.files import printable

if TYPE_CHECKING:
    from preimage.gallery.movie import Recorder
    from preimage.recipes.objectives import Objective
    from preimage.representations import Representation
    from preimage.search import Result

MOST_CHANNELS = 100_000


def channel_list(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Channels as `12`, `3,7,12`, `0:64` or a mixture."""
    if value is None:
        return None
    found: list[int] = []
    for part in value.split(","):
        ends = re.fullmatch(r"\s*(\d{1,9})(?::(\d{1,9}))?\s*", part)
        first, stop = (int(ends[1]), int(ends[2] or int(ends[1]) + 1)) if ends else (0, 0)
        if first >= stop or stop - first > MOST_CHANNELS:
            message = f"expected channels as 12, 3,7,12 or 0:64, got {value}."
            raise click.BadParameter(message, ctx, param)
        found += range(first, stop)
    return tuple(dict.fromkeys(found))


def position_pair(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """A cell as `ROW,COLUMN`."""
    if value is None:
        return None
    parts = re.fullmatch(r"(\d{1,6}),(\d{1,6})", value)
    if not parts:
        raise click.BadParameter(f"expected ROW,COLUMN from 0, got {value}.", ctx, param)
    return int(parts[1]), int(parts[2])


@click.command(cls=running.Heavy, short_help="Find images that a channel or a class answers to.")
@options.network
@options.images_taken
@options.pretrained_or_random
@click.option(
    "--channels",
    metavar="A:B",
    callback=channel_list,
    help="Channels by number, each by itself: 12, 3,7,12 or 0:64.",
)
@click.option(
    "--position",
    metavar="ROW,COLUMN",
    callback=position_pair,
    help="Cell of the channels' maps. Default: the central one.",
)
@click.option(
    "--label",
    "labels",
    metavar="NAME",
    multiple=True,
    help="A class by its name, a part of it that no other has, or its number; may be given "
    "several times.",
)
@click.option(
    "--objective",
    metavar="SUM",
    help="A sum of channels or quoted class names: '12 - 0.5*7', '12@3,4', "
    '\'"goose" - "black swan"\'.',
)
@click.option(
    "--direction",
    metavar="FILE.npy",
    type=values.FILE,
    help="A direction in the code: a weight for every channel.",
)
@options.preset(
    "best|paper|simonyan|yosinski|olah|maco", f"Canvas, views and priors {options.BEGIN_WITH}"
)
@options.weight(
    "--fidelity", "C", "Weight of the activation against the image prior. Default: the preset's."
)
@options.whole("--iterations", "N", "Total; the preset's stages are scaled to it.")
@options.whole("--jitter", "T", "Shift the view by up to T-1 pixels. Default: the preset's.")
@options.whole(
    "--restarts",
    "R",
    "Images of each objective, from seed N, N+1 ...",
    default=1,
    most=options.MOST_RESTARTS,
)
@options.weight(
    "--diversity", "W", "Weight of a term that pushes restarts apart; 2 is a good first try."
)
@click.option(
    "--photos",
    metavar="DIR",
    type=values.FILE,
    help="Measure the largest activations (M of Eq. 9) on these photos; kept for next time.",
)
@click.option(
    "--layout",
    metavar="batch|canvas",
    type=click.Choice(["batch", "canvas"]),
    default="batch",
    show_default=True,
    help="canvas: many channels on one large canvas, as in the paper; faster.",
)
@options.movie
@click.option(
    "--resume",
    is_flag=True,
    help="Write each result into --out as soon as it is found, and leave out those that are there.",
)
@options.out_folder("preimage-out/OBJECTIVE-MODEL-LAYER; with --json, nothing is written")
@options.seed
@options.device
@options.as_json
def maximize(
    *,
    model: str,
    layer: str | None,
    input: values.InputOptions | None,
    weights: str | None,
    channels: tuple[int, ...] | None,
    position: tuple[int, int] | None,
    labels: tuple[str, ...],
    objective: str | None,
    direction: Path | None,
    preset: str,
    restarts: int,
    photos: Path | None,
    layout: str,
    movie: Path | None,
    resume: bool,
    out: Path | None,
    overwrite: bool,
    seed: int,
    device: str,
    as_json: bool,
    **overrides: Any,
) -> None:
    """Find images that a channel, a class or a direction of a layer answers to most.

    Each image starts from noise and grows whatever the network looks for. The activation is
    compared with the largest on photos (`preimage stats`).

    \b
    Examples:
      preimage maximize --label "tree frog"
      preimage maximize --label goose --restarts 4 --diversity 2
      preimage maximize --model alexnet --layer conv5 --channels 0:64 --layout canvas
      preimage maximize --layer block11 --objective "12 - 0.5*7"
    """
    given = [channels is not None, bool(labels), objective is not None, direction is not None]
    if sum(given) != 1:
        raise UsageError(
            "expected one of --channels, --label, --objective and --direction: "
            f"what is to be maximized; got {sum(given) or 'none'}."
        )
    if position is not None and channels is None:
        raise UsageError("--position goes with --channels; in an --objective write 12@3,4.")
    if resume and (out is None or overwrite or movie is not None):
        raise UsageError("--resume goes with --out DIR, and without --overwrite and --movie.")
    of_classes = bool(labels) or any(quote in (objective or "") for quote in ('"', "'"))
    layer, taken = options.check_model(
        model, _layer_of(model, layer, of_classes), None, input, weights=weights
    )
    places = output.Output(None if resume else out, overwrite, as_json, movie)
    places.check([path for path in (direction, photos) if path is not None])

    from preimage.recipes import maximize as search
    from preimage.recipes.inversion import code_shape
    from preimage.recipes.maxima import measure, photos_of
    from preimage.recipes.maximization_search import BATCH
    from preimage.recipes.objectives import distinct
    from preimage.representations import representation

    if photos is not None:
        photos_of(photos, 1)  # a folder without any is refused before weights are fetched
    asked = _objectives(channels, position, labels, objective, direction)
    place = options.chosen_device(device)
    phi = representation(model, layer, **taken).to(place)
    wanted = distinct(asked, code_shape(phi), phi.class_labels)
    if movie is not None and len(wanted) * restarts > BATCH and layout == "batch":
        raise UsageError(f"--movie shows at most {BATCH} images at once; choose fewer channels.")
    maxima = None if photos is None else measure(phi, photos)
    if maxima is not None:
        console.note_passed_over(maxima.unusable)
    chosen: dict[str, Any] = {
        "maxima": maxima,
        "layout": layout,
        "seed": seed,
        "restarts": restarts,
    }
    if resume:
        assert out is not None  # checked above
        kept = (
            f"interrupted; results that were found are in {printable(out)}: run it again to go on."
        )
        with running.interrupted_as(kept), console.watching(f"{phi.name}") as bars:
            records = _resumed(out, phi, wanted, preset, overrides, callbacks=bars, **chosen)
        _print_resumed(records, out, as_json)
        return
    recorders = [] if movie is None else [_recorder(phi, layout)]
    with console.watching(f"{phi.name}") as bars:
        found = search(
            phi,
            wanted,
            preset=preset,
            callbacks=[*bars, *recorders],
            **chosen,
            **overrides,
        )
    results = found if isinstance(found, list) else [found]
    film = _film(recorders[0], results, layout) if recorders else None
    places.write(results, (_words(wanted, labels), phi.model, phi.layer), film)


def _layer_of(model: str, layer: str | None, of_classes: bool) -> str | None:
    """The layer; of class scores where a class is asked for and no layer is given."""
    from preimage.models import adapters
    from preimage.models import catalogue as models
    from preimage.representations.catalogue import hand_crafted

    if hand_crafted(model) is not None:
        raise UsageError(f"{model} has no channels to maximize one by one: choose a network.")
    if layer is None and of_classes and adapters.is_adapted(model):
        raise UsageError(
            f"{model} does not say which layer has its class scores: give --layer, and the class "
            "as a channel of it with --channels."
        )
    if layer is None and of_classes:
        layer = models.resolve(model).architecture.scores
    return layer


def _objectives(
    channels: tuple[int, ...] | None,
    position: tuple[int, int] | None,
    labels: tuple[str, ...],
    objective: str | None,
    direction: Path | None,
) -> list[Objective]:
    from preimage.recipes.codes import load_code
    from preimage.recipes.objectives import Channel, Direction, Label, parse

    if channels is not None:
        return [Channel(channel, position) for channel in channels]
    if direction is not None:
        return [Direction(load_code(direction))]
    if objective is not None:
        return [parse(objective)]
    return [Channel(int(each)) if each.isdecimal() else Label(each) for each in labels]


def _resumed(
    out: Path,
    phi: Representation,
    wanted: list[Objective],
    preset: str,
    overrides: dict[str, Any],
    **chosen: Any,
) -> list[dict[str, Any]]:
    from preimage.recipes import maximization_settings_for
    from preimage.recipes.inversion import code_shape
    from preimage.recipes.whole_layer import maximize_into

    is_map = len(code_shape(phi)) == 3
    settings = maximization_settings_for(phi, preset, is_map=is_map, **overrides)
    return maximize_into(out, phi, wanted, settings=settings, **chosen)


def _print_resumed(records: list[dict[str, Any]], out: Path, as_json: bool) -> None:
    if as_json:
        console.print_records(records)
        return
    above = sum(record["ratio"] > 1 for record in records)
    sources = {record.get("M_source", "photos") for record in records}
    of_photos = "the largest on photos" if sources == {"photos"} else "M"
    click.echo(f"results: {printable(out)}")
    click.echo(f"{above} of {counted(len(records), 'activation')} above {of_photos}")


def _recorder(phi: Representation, layout: str) -> Recorder:
    from preimage.gallery.movie import Recorder

    return Recorder.of(phi) if layout == "batch" else Recorder(phi.mean)


def _film(recorder: Recorder, results: list[Result], layout: str) -> bytes:
    from torch import from_numpy

    if layout == "canvas":
        # The results are squares cut out of what the film shows.
        return recorder.gif()
    return recorder.gif([recorder.picture(from_numpy(result.canvas)) for result in results])


def _words(wanted: list[Objective], labels: tuple[str, ...]) -> str:
    if len(wanted) > 1:
        return f"{len(wanted)}-objectives"
    return labels[0] if labels else str(wanted[0])
