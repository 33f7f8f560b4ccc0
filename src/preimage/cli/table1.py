"""`preimage table1`: the paper's Table 1 beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from preimage.cli import console, options
from preimage.errors import PreimageError

if TYPE_CHECKING:
    from preimage.experiments.table1 import Row


@click.command(cls=options.Heavy, short_help="The paper's Table 1 beside ours.")
@options.as_json
def table1(*, as_json: bool) -> None:
    """Receptive fields and strides of AlexNet, VGG-M and VGG-VD-16: the paper's beside ours.

    Ours are computed from the layers; no weights are needed. Exit code 1 if a row differs and the
    paper is not known to be wrong there.
    """
    from preimage.experiments.table1 import table1 as all_rows
    from preimage.experiments.table1 import verdict

    rows = all_rows()
    counts = verdict(rows)
    if as_json:
        console.print_json({"rows": [_record(row) for row in rows], **counts})
    else:
        headings = ("network", "layer", "paper size", "ours", "paper stride", "ours", "")
        console.print_table(headings, [_line(row) for row in rows])
        counted = ", ".join(f"{count} {name}" for name, count in counts.items())
        click.echo(f"{len(rows)} rows, {counted}")
    if counts["mismatches"]:
        raise PreimageError(f"{counts['mismatches']} rows of Table 1 differ from the paper's.")


def _record(row: Row) -> dict[str, Any]:
    return {
        "network": row.network,
        "model": row.model,
        "layer": row.layer,
        "paper": {"size": row.paper_size, "stride": row.paper_stride},
        "ours": {"size": row.size, "stride": row.stride},
        "equal": row.equal,
        "disputed": row.disputed,
    }


def _line(row: Row) -> tuple[str, ...]:
    numbers = (row.paper_size, row.size, row.paper_stride, row.stride)
    verdict = "" if row.equal else "disputed" if row.disputed else "differs"
    cells = ("-" if number is None else str(number) for number in numbers)
    return (row.network, row.layer, *cells, verdict)
