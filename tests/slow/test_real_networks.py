"""Real weights and a real photo: what the presets promise, at full length (`make test-slow`)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
import torch

import preimage as pi
from preimage.metrics.lpips import lpips

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cat() -> Path:
    return Path(str(resources.files("preimage.gallery").joinpath("cat.jpg")))


def result_of(phi: pi.Representation, photo: Path, preset: str) -> pi.Result:
    result = pi.invert(phi, photo, preset=preset, seed=0)
    assert isinstance(result, pi.Result)
    return result


@pytest.mark.parametrize(("layer", "part"), [("relu3", 0.75), ("relu5", 0.9)])
def test_best_ends_well_below_the_paper(cat: Path, layer: str, part: float) -> None:
    phi = pi.representation("alexnet", layer)
    paper, best = (result_of(phi, cat, preset) for preset in ("paper", "best"))
    assert best.record["iterations"] == paper.record["iterations"] == 350
    assert best.energy < part * paper.energy
    photo = phi.photo(cat)
    distances = [float(lpips(phi.photo(result.image), photo, phi.mean)) for result in (paper, best)]
    assert distances[1] < part * distances[0]


def test_conv1_best_is_no_worse_than_the_paper(cat: Path) -> None:
    phi = pi.representation("alexnet", "conv1")
    assert result_of(phi, cat, "best").energy <= result_of(phi, cat, "paper").energy


def test_the_logits_of_a_pre_image_name_the_same_class(cat: Path) -> None:
    result = result_of(pi.representation("efficientnet-lite0", "logits"), cat, "best")
    assert result.record["classes"]["consistent"] is True
    assert result.relative_error < 0.2


def test_lpips_is_zero_for_equal_images_and_large_for_noise(cat: Path) -> None:
    phi = pi.representation("alexnet", "relu1")
    photo = phi.photo(cat)
    noise = 60 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))
    assert float(lpips(photo, photo, phi.mean)) == 0.0
    assert float(lpips(photo, noise, phi.mean)) > 0.5
