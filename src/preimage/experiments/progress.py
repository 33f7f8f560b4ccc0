"""How a long computation says how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""From a label and a total to a context, in which it is told how much more is done."""


@contextmanager
def silent(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Nobody listens."""
    yield lambda done: None
