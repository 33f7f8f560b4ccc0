"""Fixtures for all rooms; this file's place also lets tests import `toys`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage
import torch
from hypothesis import settings

from preimage.recipes.hoggle_training import train
from toys import photo_file

# Deadlines measure the machine, not the code; the examples are the same on every run.
settings.register_profile("house", deadline=None, derandomize=True, max_examples=20)
settings.load_profile("house")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small smooth photo on disk."""
    return photo_file(tmp_path)


@pytest.fixture
def double_precision() -> Iterator[None]:
    """float64 throughout, also in what the canvases keep between calls."""

    def forget() -> None:
        for name, module in sys.modules.items():
            if name.startswith("preimage.search.canvases."):
                for thing in vars(module).values():
                    if hasattr(thing, "cache_clear"):
                        thing.cache_clear()

    torch.set_default_dtype(torch.float64)
    forget()
    yield
    torch.set_default_dtype(torch.float32)
    forget()


@pytest.fixture(scope="session")
def real_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six photos that come with scikit-image."""
    folder = tmp_path_factory.mktemp("real-photos")
    for name in ("astronaut", "brick", "chelsea", "coffee", "grass", "gravel"):
        shutil.copy(Path(skimage.__file__).parent / "data" / f"{name}.png", folder)
    return folder


@pytest.fixture(scope="session")
def small_dictionary(real_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A HOGgle dictionary of 32 atoms, learned from three photos."""
    path = tmp_path_factory.mktemp("dictionary") / "small.safetensors"
    photos = [real_photos / f"{name}.png" for name in ("chelsea", "coffee", "gravel")]
    train(photos, atoms=32).save(path)
    return path
