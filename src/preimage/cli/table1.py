"""`preimage table1`: the paper's Table 1 beside ours."""

from __future__ import annotations

import click

from preimage.cli import console, options, running
from preimage.errors import PreimageError, counted


@click.command(cls=running.Heavy, short_help="The paper's Table 1 beside ours.")
@options.as_json
def table1(*, as_json: bool) -> None:
    """Receptive fields and strides of AlexNet, VGG-M and VGG-VD-16: the paper's beside ours.

    Ours are computed from the layers; no weights are needed. Exit code 1 if a row differs and the
    paper is not known to be wrong there.
    """
    from preimage.experiments.table1 import COLUMNS, flat, verdict
    from preimage.experiments.table1 import table1 as all_rows
    from preimage.experiments.tables import cells

    rows = all_rows()
    counts = verdict(rows)
    if as_json:
        console.print_json({"rows": flat(rows), **counts})
    else:
        console.print_table([column.heading for column in COLUMNS], cells(flat(rows), COLUMNS))
        mismatches = counted(counts["mismatches"], "mismatch", "mismatches")
        click.echo(f"{counted(len(rows), 'row')}, {mismatches}, {counts['disputed']} disputed")
    if counts["mismatches"]:
        differ = counted(counts["mismatches"], "row")
        raise PreimageError(f"Table 1 differs from the paper's in {differ}.")
