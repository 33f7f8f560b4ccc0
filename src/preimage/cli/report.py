"""`preimage report`."""

from __future__ import annotations

from pathlib import Path

import click

from preimage.cli import console, options, output, running, values
from preimage.cli.reproduce import OUT


@click.command(cls=running.Heavy, short_help="Show experiments beside the paper, as a web page.")
@click.argument("folder", metavar="[DIR]", type=values.FILE, default=OUT)
@options.out_folder("DIR/report, where an older report is replaced")
@options.as_json
def report(*, folder: Path, out: Path | None, overwrite: bool, as_json: bool) -> None:
    """Put the results of `reproduce` and `compare` on one web page, beside the paper.

    DIR is their --out, by default preimage-out/reproduce. Every statement of the paper that the
    measured rows can check gets a verdict: agrees, better, differs, or not measured. The page needs
    no other file; beside it is a folder of the figures as SVG.

    \b
    Example:
      preimage reproduce table2 --photos photos
      preimage report
    """
    output.check_overwrite(overwrite, out)

    from preimage.files import printable
    from preimage.gallery.report import make_report

    made = make_report(folder, out, overwrite)
    for name, why in made.reports.skipped:
        console.note(f"left out {name}: {printable(why)}")
    shown = [each.experiment.name for each in made.reports.found]
    if as_json:
        skipped = [{"name": name, "reason": why} for name, why in made.reports.skipped]
        console.print_json(
            {
                "page": str(made.page),
                "figures": str(made.figures),
                "experiments": shown,
                "verdicts": dict(made.counts),
                "left_out": skipped,
            }
        )
        return
    click.echo(f"shown           {', '.join(shown)}")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in made.counts.items() if count)
    click.echo(f"verdicts        {counts or 'none: no claim is about these'}")
    click.echo(f"figures         {printable(made.figures)}")
    click.echo(f"Open {printable(made.page)} in a browser.")
