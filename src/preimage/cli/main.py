"""The command `preimage`: its commands, and what becomes of their failures."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import click

import preimage
from preimage.cli.bench import bench
from preimage.cli.caricature import caricature
from preimage.cli.compare import compare
from preimage.cli.demo import demo
from preimage.cli.dream import dream
from preimage.cli.encode import encode
from preimage.cli.fool import fool
from preimage.cli.glyph import glyph
from preimage.cli.hoggle import hoggle
from preimage.cli.invert import invert
from preimage.cli.maximize import maximize
from preimage.cli.models import layers, models, weights
from preimage.cli.report import report
from preimage.cli.reproduce import reproduce
from preimage.cli.rerun import rerun
from preimage.cli.running import INTERRUPTED, Interrupted
from preimage.cli.stats import stats
from preimage.cli.study import study
from preimage.cli.table1 import table1
from preimage.cli.template import template
from preimage.cli.texture import style, texture
from preimage.errors import PreimageError, is_out_of_memory
from preimage.files import printable, reason

SECTIONS: tuple[tuple[str, tuple[click.Command, ...]], ...] = (
    (
        "Pictures",
        (invert, maximize, caricature, texture, style, dream, fool, template, glyph, rerun, demo),
    ),
    ("Codes", (encode,)),
    ("Networks", (layers, models, weights, table1)),
    ("Measuring", (reproduce, compare, report, stats, study, hoggle, bench)),
)
"""Every command there is, as `--help` and docs/cli.md show them."""


OUT_OF_MEMORY = (
    "out of memory: try fewer images or restarts at once, fewer iterations, a smaller --jitter, "
    "or --device cpu."
)


class Sections(click.Group):
    """A group whose help lists the commands by section."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS:
            with formatter.section(title):
                formatter.write_dl([(c.name or "", c.get_short_help_str(70)) for c in commands])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted(INTERRUPTED) from None


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(preimage.__version__, message="preimage %(version)s")
def cli() -> None:
    """See what an image representation keeps and what it throws away.

    preimage searches for natural-looking images whose code at a layer of a network is a given one.
    Start with `preimage demo`, or with `preimage invert PHOTO --layer block05`.
    """


for _, _commands in SECTIONS:
    for _command in _commands:
        cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0 done, 2 wrong use, 1 anything else."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        returned = cli.main(given or ["--help"], prog_name="preimage", standalone_mode=False)
        sys.stdout.flush()
        return returned if isinstance(returned, int) else 0
    except BrokenPipeError:
        # Whoever read the output has left; the interpreter's last flush must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except PreimageError as error:
        message, exit_code = str(error), error.exit_code
    except click.ClickException as error:
        message, exit_code = _with_hint(error), error.exit_code
    except (click.Abort, KeyboardInterrupt):
        message, exit_code = INTERRUPTED, Interrupted.exit_code
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message, exit_code = f"{where}{reason(error)}", 1
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        message, exit_code = OUT_OF_MEMORY, 1
    click.echo(f"preimage: {_typed_words_escaped(message, given)}", err=True)
    return exit_code


def _typed_words_escaped(message: str, given: Sequence[str]) -> str:
    """A message whose only line breaks and control characters are its own.

    What was typed enters messages in many places, as it is, cut or put together with other names;
    so its parts are looked for here.
    """
    for word in given:
        for part in re.split("[/=]", word):
            if part != printable(part):
                message = message.replace(part, printable(part))
    return message


def _with_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f"\nTry: {context.command_path} --help" if context else ""
    return f"{error.format_message()}{hint}"
