"""How commands run: PyTorch is loaded late, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

import click

from preimage.errors import PreimageError

INTERRUPTED = "interrupted; nothing was written."


class Interrupted(PreimageError):
    """Ctrl-C; results get their names only when they are whole."""

    exit_code = 130


class Heavy(click.Command):
    """A command that loads PyTorch when its options have been read, before it runs."""

    def invoke(self, ctx: click.Context) -> Any:
        with ending_at_once():
            import_module("preimage._api")
        return super().invoke(ctx)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process on the spot, while there is nothing to clean up.

    Some modules take a KeyboardInterrupt in the middle of their import for another error.
    """

    def end(signum: int, frame: FrameType | None) -> None:
        os.write(2, f"preimage: {INTERRUPTED}\n".encode())
        os._exit(Interrupted.exit_code)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupted_as(message: str) -> Iterator[None]:
    """Let Ctrl-C say this, where something useful has been kept."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(message) from None
