"""preimage: what an image representation keeps and what it throws away."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

__version__ = _version("preimage")

if TYPE_CHECKING:
    from preimage._api import *  # noqa: F403  (the list stands there once)


def __getattr__(name: str) -> Any:
    # PyTorch takes seconds to import: `preimage --help` and the command line's checks do without.
    if not name.startswith("_") or name == "__all__":
        api = import_module("preimage._api")
        if name in api.__all__ or name == "__all__":
            return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *import_module("preimage._api").__all__]
