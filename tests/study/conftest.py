"""Studies of made-up results, made once and copied for every test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from preimage.study import Study, load_study, make_study
from toy_study import setting_folders


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three settings' results in `runs`, and a study of them in `study`."""
    place = tmp_path_factory.mktemp("originals")
    make_study(place / "study", setting_folders(place / "runs"), seed=3)
    return place


@pytest.fixture
def folders(originals: Path, tmp_path: Path) -> list[Path]:
    """A folder for each of three settings."""
    shutil.copytree(originals / "runs", tmp_path / "runs")
    return [tmp_path / "runs" / name for name in ("paper", "best", "quick")]


@pytest.fixture
def study(originals: Path, tmp_path: Path) -> Study:
    """A study of those results."""
    return load_study(shutil.copytree(originals / "study", tmp_path / "study"))
