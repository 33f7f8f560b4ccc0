"""`preimage reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from preimage.cli import console, options, running, values
from preimage.errors import UsageError

if TYPE_CHECKING:
    from preimage.experiments.experiment import Experiment, Request

OUT = Path("preimage-out/reproduce")


def out_folder(command: options.Command) -> options.Command:
    """`--out`, where cases are kept."""
    return click.option(
        "--out",
        metavar="DIR",
        type=values.FILE,
        default=OUT,
        show_default=True,
        help="Folder for cases and reports; what is there already is not computed again.",
    )(command)


@click.command(cls=running.Heavy, short_help="Repeat an experiment of the paper.")
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "--list",
    "listed",
    is_flag=True,
    help="Show the experiments, or the one named, and how long they take.",
)
@click.option("--photos", metavar="DIR", type=values.FILE, help="Folder of photos to test on.")
@options.whole("--count", "N", "How many photos, the first by name. Default: as --scale says.")
@click.option(
    "--scale",
    metavar="quick|paper",
    type=click.Choice(["quick", "paper"]),
    default="quick",
    show_default=True,
    help="Minutes on two cores, or the paper's full size.",
)
@click.option("--model", metavar="M", help="Only this model, or another in place of the paper's.")
@click.option("--layers", metavar="L,L...", help="Layers. Default: the experiment's own.")
@click.option(
    "--preset", metavar="P", help="Settings of the searches. Default: the experiment's own."
)
@options.whole("--iterations", "N", "Total of each search, in place of the preset's.")
@click.option(
    "--dictionary",
    metavar="FILE",
    type=values.FILE,
    help="table2, figure5, figure15: a dictionary of `preimage hoggle train`. Default: one is "
    "trained on photos of --photos that are not tested.",
)
@click.option(
    "--detectors",
    metavar="DIR",
    type=values.FILE,
    help="figure15: folder of voc-release5's detectors, such as bicycle_final.mat.",
)
@click.option(
    "--study",
    metavar="STUDY_DIR",
    type=values.FILE,
    help="figure8: count the votes of this study. Default: one is made of new pre-images.",
)
@out_folder
@options.seed
@options.device
@options.as_json
def reproduce(
    *,
    name: str | None,
    listed: bool,
    layers: str | None,
    device: str,
    out: Path,
    as_json: bool,
    **asked: Any,
) -> None:
    """Repeat an experiment of the paper and print its numbers beside the paper's.

    Every case is a result folder under --out. A run that was interrupted goes on where it was when
    the same command is given again.

    \b
    Examples:
      preimage reproduce --list
      preimage reproduce table2 --photos photos --count 100
    """
    from preimage.experiments.catalogue import EXPERIMENTS
    from preimage.experiments.reproduce import find_experiment

    if listed:
        _print_list(EXPERIMENTS if name is None else (find_experiment(name),), as_json)
        return
    if name is None:
        names = ", ".join(experiment.name for experiment in EXPERIMENTS)
        raise UsageError(f"expected the name of an experiment: {names}; or --list.")

    from preimage.experiments.experiment import Request

    experiment = find_experiment(name)
    request = Request(
        out=out,
        layers=None if layers is None else values.names(layers, "--layers"),
        device=options.chosen_device(device),
        progress=console.advancing,
        **asked,
    )
    run(experiment, request, as_json)


def run(experiment: Experiment, request: Request, as_json: bool) -> None:
    """Run an experiment and print its notes, its rows, and where its report is."""
    from preimage.experiments.reproduce import answer
    from preimage.files import printable

    out = request.out
    kept = f"interrupted; cases that were finished are in {printable(out)}: run it again to go on."
    with running.interrupted_as(kept):
        record = answer(experiment, request)
    for note in record["notes"]:
        console.note(note)
    if as_json:
        console.print_json(record)
        return
    _print_rows(experiment, record)
    click.echo(f"report: {printable(out / experiment.name)}")


def _print_rows(experiment: Experiment, record: dict[str, Any]) -> None:
    from preimage.experiments.tables import cells

    headings = [column.heading for column in experiment.columns]
    console.print_table(headings, cells(record["rows"], experiment.columns))


def _print_list(experiments: tuple[Experiment, ...], as_json: bool) -> None:
    if as_json:
        names = [
            {
                "name": e.name,
                "question": e.question,
                "minutes": {"quick": e.quick.minutes, "paper": e.paper.minutes},
                "count": {"quick": e.quick.count, "paper": e.paper.count},
                "quick_leaves_out": e.left_out(e.quick.count),
            }
            for e in experiments
        ]
        console.print_json({"experiments": names})
        return
    rows = [
        (
            e.name,
            e.question,
            f"{e.quick.minutes:g} min",
            f"{e.paper.minutes:g} min",
            e.left_out(e.quick.count) or "nothing",
        )
        for e in experiments
    ]
    console.print_table(("name", "question", "quick", "paper", "quick leaves out"), rows)
