"""`preimage study`: ask people which of two pictures is easier to understand."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from preimage.cli import console, options, output, running, values
from preimage.errors import UsageError, counted
from preimage.experiments.tables import percent

if TYPE_CHECKING:
    from preimage.study import Made, Tally

SHOWN = 10
"""Result folders that were left out, named on standard error; with --json all are."""


@click.group(
    no_args_is_help=False, short_help="Ask people which pictures are easier to understand."
)
def study() -> None:
    """Ask people which of two pictures is easier to understand, as for Fig. 8 of the paper."""


@study.command("make", cls=running.Heavy)
@click.argument("folders", metavar="SETTING_DIR...", nargs=-1, type=values.FILE)
@click.option(
    "--out", metavar="STUDY_DIR", type=values.FILE, required=True, help="Folder for the study."
)
@options.overwrite
@options.whole(
    "--questions",
    "N",
    "Questions for each subject. Default: one for each layer and photo, and five to warm up where "
    "there are as many pairs.",
)
@options.seed
@options.as_json
def make(
    *,
    folders: tuple[Path, ...],
    out: Path,
    overwrite: bool,
    questions: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Make a study of the results in two or more folders, one folder a setting.

    Settings may be presets, methods, values of C: whatever the folders were made with; their names
    are the settings' names. Results of the same model, layer and photo are compared.

    \b
    Example:
      preimage invert photos/*.jpg --layer block05 --preset best --out runs/best
      preimage invert photos/*.jpg --layer block05 --preset paper --out runs/paper
      preimage study make runs/best runs/paper --out study
    """
    from preimage.files import printable
    from preimage.study import make_study

    made = make_study(out, folders, seed, questions, overwrite)
    _name_skipped(made)
    if as_json:
        console.print_json(_record(made))
        return
    study = made.study
    places, photos = ({getattr(i, part) for i in study.items} for part in ("place", "photo"))
    click.echo(f"study: {printable(out)}")
    click.echo(f"settings        {', '.join(map(printable, study.settings))}")
    click.echo(
        f"compared on     {counted(len(study.items), 'pair')} of {counted(len(places), 'layer')}, "
        f"{counted(len(photos), 'photo')}"
    )
    click.echo(f"questions       {study.questions} for each subject")
    click.echo(f"next            preimage study serve {printable(out)}")


def _name_skipped(made: Made) -> None:
    from preimage.files import printable

    for path, why in made.skipped[:SHOWN]:
        console.note(f"left out {printable(path)}: {printable(why)}")
    if len(made.skipped) > SHOWN:
        console.note(f"... and {len(made.skipped) - SHOWN} more left out; --json names them.")


def _record(made: Made) -> dict[str, object]:
    return {
        "study": str(made.study.folder),
        "settings": list(made.study.settings),
        "questions": made.study.questions,
        "seed": made.study.seed,
        "items": [asdict(item) for item in made.study.items],
        "left_out": [{"path": str(path), "reason": why} for path, why in made.skipped],
    }


@study.command("serve", cls=running.Heavy)
@click.argument("folder", metavar="STUDY_DIR", type=values.FILE)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to serve on; 0.0.0.0 lets other machines in.",
)
@click.option(
    "--port",
    metavar="N",
    type=values.Whole(min=0, max=65535),
    default=8000,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option(
    "--name",
    "names",
    metavar="HOST",
    multiple=True,
    help="A name people reach it by, besides this machine's own; may be repeated.",
)
@options.as_json
def serve(*, folder: Path, host: str, port: int, names: tuple[str, ...], as_json: bool) -> None:
    """Serve a study as a web page until Ctrl-C.

    Votes are on disk before they are acknowledged: the server may be stopped and started again
    at any time, and subjects go on where they were.

    \b
    Example:
      preimage study serve study --port 8080
    """
    from preimage.study import load_study
    from preimage.study.server import app_of, listen, run, url_of

    study = load_study(folder)
    app = app_of(study, (host, *names))
    listening = listen(host, port)
    url = url_of(listening)
    # Ctrl-C is how a server is meant to end.
    with suppress(KeyboardInterrupt):
        if as_json:
            console.print_json({"url": url, "study": str(folder), "questions": study.questions})
        else:
            click.echo(f"{url}   ({study.questions} questions for each subject; Ctrl-C ends)")
        run(app, listening)


@study.command("votes", cls=running.Heavy)
@click.argument("folder", metavar="STUDY_DIR", type=values.FILE)
@click.option(
    "--out", metavar="FILE.png", type=values.FILE, help="Also draw a figure after Fig. 8."
)
@options.overwrite
@options.as_json
def votes(*, folder: Path, out: Path | None, overwrite: bool, as_json: bool) -> None:
    """Count a study's votes: how often each setting was preferred where it was shown.

    With 95 % intervals (Wilson), by layer and by subject. The first five votes of each subject do
    not count. May be run while the study is served.

    \b
    Example:
      preimage study votes study --out figure8.png
    """
    if out is None and overwrite:
        raise UsageError("--overwrite is for the figure: give --out FILE.png too.")
    if out is not None:
        output.check_suffix(out, ".png", "--out")
        output.check_new_file(out, overwrite, "--out")

    from preimage.study import cast_votes, load_study, tally

    study = load_study(folder)
    found = tally(study, cast_votes(study))
    if out is not None:
        from preimage.study.figure import save_figure

        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        save_figure(found, out)
    if as_json:
        sums = {"votes": found.votes, "counted": found.counted}
        console.print_json({"study": str(folder), **sums, **asdict(found)})
        return
    _print_tables(found)
    if out is not None:
        click.echo(f"figure: {out}")


def _print_tables(found: Tally) -> None:
    from preimage.files import printable

    people = counted(len(found.subjects), "subject")
    click.echo(
        f"{counted(found.votes, 'vote')} of {people}; {found.counted} counted: all but each "
        "subject's first five"
    )
    rows = [
        (
            printable(row.model),
            printable(row.layer or ""),
            printable(row.setting),
            f"{row.won} of {row.shown}",
            _share(row.fraction),
            "" if row.interval is None else " to ".join(percent(e) for e in row.interval),
        )
        for row in found.rows
    ]
    console.print_table(("model", "layer", "setting", "preferred", "share", "95 %"), rows)
    if not found.subjects:
        return
    names = tuple(printable(setting) for setting in found.settings)
    console.print_table(
        ("subject", "votes", "counted", "finished", "chose left", *names),
        [
            (
                printable(subject.subject),
                str(subject.votes),
                str(subject.counted),
                "yes" if subject.finished else "no",
                _share(subject.left),
                *map(_share, subject.won),
            )
            for subject in found.subjects
        ],
    )


def _share(fraction: float | None) -> str:
    return "" if fraction is None else percent(fraction)
