"""The reference of the command line, docs/cli.md, from the commands themselves.

python -m preimage.cli.reference docs/cli.md
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from preimage.cli.main import SECTIONS

HEAD = """\
# Command line

<!-- Written by `make docs`; a test keeps it current. -->

Exit codes: 0 done; 2 wrong use (unknown option, layer, model; the message lists the nearest names);
1 anything else that is the input's or the machine's fault; 130 interrupted. Messages go to standard
error. A result is written whole or not at all.

Every command has `--json`: the record goes to standard output, everything else to standard error.
"""


def reference() -> str:
    """The page as Markdown."""
    return "\n".join((HEAD, *_sections()))


def _sections() -> Iterator[str]:
    for title, commands in SECTIONS:
        yield f"## {title}\n"
        for command in commands:
            yield from _command(f"preimage {command.name}", command)


def _command(name: str, command: click.Command) -> Iterator[str]:
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    if isinstance(command, click.Group):
        yield f"### {name}\n\n{_text(command)}\n"
        for child in command.commands.values():
            yield from _command(f"{name} {child.name}", child)
        return
    usage = " ".join([name, "[OPTIONS]", *(str(argument.metavar) for argument in arguments)])
    yield f"### {name}\n\n```\n{usage}\n```\n\n{_text(command)}\n"
    yield "| option | meaning | default |\n|---|---|---|"
    for option in options:
        yield _row(option)
    yield ""


def _text(command: click.Command) -> str:
    """The help text; what click is told to leave as it is becomes code, without its heading."""
    shown = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        heading, _, lines = paragraph.partition(":\n")
        verbatim = heading.startswith("\b")
        shown.append(f"```\n{textwrap.dedent(lines)}\n```" if verbatim else paragraph)
    return "\n\n".join(shown)


def _row(option: click.Option) -> str:
    # The second one switches off what the first switches on.
    spellings = "/".join((option.opts[0], *option.secondary_opts))
    spelling = f"{spellings} {option.metavar or ''}".strip()
    default = f"`{option.default}`" if option.show_default else ""
    if option.required:
        default = "required"
    cells = (f"`{spelling}`", option.help or "", default)
    return " ".join(["|", " | ".join(cell.replace("|", "\\|") for cell in cells), "|"])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
