"""What a person sees: progress on standard error, summaries and records on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from preimage.errors import counted
from preimage.files import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from preimage.images.folder import Unusable
    from preimage.search import Result, Snapshot

ENERGY_EVERY = 10
"""Iterations between two readings of the energy: each makes a GPU finish its queue first."""

Record = Mapping[str, Any]


def print_json(value: Any) -> None:
    """JSON on standard output, in ASCII so that no terminal's encoding can refuse it."""
    click.echo(json.dumps(value, indent=1, allow_nan=False))


def print_records(records: Sequence[Record]) -> None:
    """One record as it is, several as `{"results": [...]}`."""
    print_json(records[0] if len(records) == 1 else {"results": list(records)})


def note(text: str) -> None:
    """A remark on standard error."""
    click.echo(f"preimage: {text}", err=True)


def note_passed_over(files: Sequence[Unusable]) -> None:
    """Name what was no photo in a folder of them, on standard error."""
    from preimage.images.folder import passed_over

    if (text := passed_over(files)) is not None:
        note(text)


class Bar:
    """A callback that moves a progress bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress, self.task = progress, task

    def __call__(self, snapshot: Snapshot) -> None:
        if snapshot.iteration % ENERGY_EVERY == 1:
            energy = f"{float(snapshot.terms[:, 0].mean()):.4g}"
            self.progress.update(self.task, total=snapshot.iterations, energy=energy)
        self.progress.update(self.task, completed=snapshot.iteration)


@contextmanager
def watching(label: str) -> Iterator[tuple[Callable[[Snapshot], None], ...]]:
    """Callbacks that show a search's progress: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield ()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    energy = TextColumn("energy {task.fields[energy]}")
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True, markup=False)
    with Progress(*columns, energy, Remaining(), console=console, transient=True) as progress:
        yield (Bar(progress, progress.add_task(label, total=None, energy="...")),)


@contextmanager
def advancing(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function that is told how much more is done: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True, markup=False)
    with Progress(*columns, Remaining(), console=console, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.advance(task, done)


def print_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], whole: Sequence[str] = ()
) -> None:
    """A plain table on standard output; as wide as it needs to be where that is no terminal.

    Args:
        headings: of the columns.
        rows: texts, one a column.
        whole: headings of columns that are never broken, as they hold names that people type; on a
            narrow terminal the others give way.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=heading in whole, overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 1000
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)


TO_TELL_APART = ("channels", "restart", "energy")
"""Columns that say nothing where they are the same in every row, as on a shared canvas."""


def print_results(results: Sequence[Result], place: str) -> None:
    """Where the results are and what was measured: lines for one, a table for several."""
    click.echo(f"{'result' if len(results) == 1 else 'results'}: {printable(place)}")
    if len(results) == 1:
        for name, value in _lines(results[0]):
            click.echo(f"{name:<15} {value}")
        return
    headings = ["image", "channels", "restart", results[0].headline[0], "energy"]
    headings += ["class of reference", "class of result"]
    rows = [_row(result) for result in results]
    columns = [
        (heading, values)
        for heading, values in zip(headings, zip(*rows, strict=True), strict=True)
        # Where there is no classifier, no reference, or no part of a code, it would be empty.
        if any(values) and (heading not in TO_TELL_APART or len(set(values)) > 1)
    ]
    print_table([heading for heading, _ in columns], [*zip(*(v for _, v in columns), strict=True)])
    click.echo(f"all together: {_seconds_of_all([result.record for result in results])}")
    for warning in dict.fromkeys(w for result in results for w in result.record["warnings"]):
        click.echo(f"warning: {warning}")


def _lines(result: Result) -> Iterator[tuple[str, str]]:
    record = result.record
    yield result.headline
    terms = dict(record["energy"])
    total = terms.pop("total")
    # The loss is recorded without its weight C; with it the parts add up.
    weight = record["settings"].get("fidelity", 1)
    weights = {} if weight == 1 else {"loss": f"{weight:g} x "}
    parts = ", ".join(
        f"{weights.get(name, '')}{name.replace('_', ' ')} {value:.4g}"
        for name, value in terms.items()
    )
    yield "energy", f"{total:.4g} ({parts})"
    before, now = _classes(record)
    if now:
        yield "class", f"{before} -> {now}" if before else now
    yield "time", _seconds(record)
    for warning in record["warnings"]:
        yield "warning", str(warning)


def _row(result: Result) -> tuple[str, ...]:
    record = result.record
    return (
        printable((record["image"] or {}).get("path", result.name)),
        _channels(record),
        str(record["restart"]),
        result.headline[1],
        f"{record['energy']['total']:.4g}",
        *_classes(record),
    )


def _channels(record: Record) -> str:
    """Channels that alone counted, as `--channels` has them; empty where all did."""
    channels = record["settings"].get("channels")
    return "" if channels is None else f"{channels[0]}:{channels[1]}"


def _classes(record: Record) -> tuple[str, str]:
    """Most probable class of reference and result; empty where there is none."""
    classes = record["classes"] or {}
    first = (next(iter(classes.get(key) or ()), None) for key in ("reference", "result"))
    reference, result = (
        f"{score['label']} {100 * score['probability']:.0f} %" if score else "" for score in first
    )
    return reference, result


def _seconds(record: Record) -> str:
    if not record["iterations"]:
        return f"{record['seconds']:.1f} s, {record['device']}"
    each = 1000 * record["seconds_per_iteration"]
    iterations = counted(record["iterations"], "iteration")
    return f"{record['seconds']:.1f} s, {iterations} of {each:.0f} ms, {record['device']}"


def _seconds_of_all(records: Sequence[Record]) -> str:
    """Time of all results together, which may come from several searches.

    Those of one search, neighbours here, each tell its whole time; those of a shared canvas each
    tell their share of it.
    """
    times = [(record["seconds"], record["seconds_per_iteration"]) for record in records]
    runs = times if "canvas" in records[0] else [time for time, _ in groupby(times)]
    if len(runs) == 1:
        return _seconds(records[0])
    seconds, record = sum(seconds for seconds, _ in runs), records[0]
    return f"{seconds:.1f} s, {counted(record['iterations'], 'iteration')} each, {record['device']}"
