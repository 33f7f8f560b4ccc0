"""Inversion where the representation takes images of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import preimage as pi
from preimage.errors import UsageError
from preimage.recipes.inversion import mask_for
from preimage.recipes.views import SIZE, view_for
from preimage.representations import Representation
from preimage.search.result import sheet_of
from toys import MEAN, layer_of, photo_file, picture, random_image, small_layer, small_network

MODELS = ("hog", "hogb", "hog-relu", "dsift")
every_model = pytest.mark.parametrize("model", MODELS)


def net_of_any_size() -> Representation:
    return layer_of(small_network(), "relu1", input_size=None)


def test_photos_are_brought_to_the_default_size_or_the_one_that_is_asked_for() -> None:
    hog = pi.representation("hog")
    assert view_for(hog) == (SIZE, SIZE) == (256, 256)
    assert view_for(hog, 64) == (64, 64)
    assert view_for(hog, code_shape=(31, 4, 6)) == (32, 48)
    assert view_for(small_layer()) == view_for(small_layer(), 32) == (32, 32)


@pytest.mark.parametrize(
    ("phi", "size", "code_shape", "words"),
    [
        (small_layer(), 33, None, "32x32"),
        (net_of_any_size(), None, (8, 4, 4), "any size"),
        (pi.representation("hog"), 64, (31, 4, 4), "leave the size out"),
        (pi.representation("hog"), 0, None, "at least 1"),
        (pi.representation("hog"), 2.5, None, "at least 1"),
    ],
)
def test_sizes_that_do_not_fit(
    phi: Representation, size: int, code_shape: tuple[int, ...] | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        view_for(phi, size, code_shape)


def test_photos_of_different_sizes_are_one_batch(tmp_path: Path) -> None:
    photos = [picture(0, 48, 40), picture(1, 70, 50), photo_file(tmp_path)]
    results = pi.invert(pi.representation("hog"), photos, size=32, iterations=2)
    assert isinstance(results, list)
    assert [result.image.size for result in results] == 3 * [(32, 32)]
    assert [result.image.mode for result in results] == 3 * ["L"]


def test_a_network_of_any_size_too() -> None:
    result = pi.invert(net_of_any_size(), picture(), size=24, iterations=2)
    assert result.image.size == (24, 24)
    code = result.record["representation"]["code_shape"]
    again = pi.invert(net_of_any_size(), code=np.ones(code), size=24, iterations=1)
    assert again.image.size == (24, 24)


@every_model
@pytest.mark.parametrize("preset", [preset.name for preset in pi.PRESETS])
def test_every_preset_finds_an_image_with_a_closer_code(model: str, preset: str) -> None:
    result = pi.invert(pi.representation(model), picture(), size=48, preset=preset, iterations=80)
    # The derivative of hard bins leads less far.
    least, gain = (0.8, 0.9) if (model, preset) == ("hog", "paper") else (0.6, 0.7)
    assert result.relative_error < least
    first = result.trace[0, result.trace_columns.index("relative_error")]
    assert result.relative_error < gain * first


@every_model
def test_a_problem_in_a_batch_ends_as_alone(model: str) -> None:
    photos = [picture(seed) for seed in range(8)]
    phi = pi.representation(model)
    together = pi.invert(phi, photos, size=64, iterations=100)
    assert isinstance(together, list)
    for photo, result in zip(photos, together, strict=True):
        alone = pi.invert(phi, photo, size=64, iterations=100)
        assert result.relative_error == pytest.approx(alone.relative_error, rel=1e-3)


def test_the_step_of_the_paper_grows_with_the_area() -> None:
    hog = pi.representation("hog")
    etas = [
        pi.settings_for(hog, "paper", view=view).step_rule.eta for view in ((64, 64), (128, 64))
    ]
    assert etas[1] == 2 * etas[0]


def test_codes_of_images_that_are_not_square_are_inverted() -> None:
    hog = pi.representation("hogb")
    code = pi.encode(hog, picture(0, 64, 40))[0]
    result = pi.invert(hog, code=code, iterations=40)
    assert result.image.size == (64, 40)
    assert result.relative_error < 0.6
    assert result.drawing is not None


@pytest.mark.parametrize(("shape", "side"), [((31, 5, 8), 3), ((31, 6, 5), 5), ((31, 4, 4), 4)])
def test_the_neighbourhood_is_central_in_both_directions(
    shape: tuple[int, int, int], side: int
) -> None:
    settings = pi.settings_for(pi.representation("hog"), neighbourhood=side)
    mask = mask_for(settings, torch.zeros(1, *shape))
    assert mask is not None
    rows, columns = mask[0, 0].amax(1).nonzero().flatten(), mask[0, 0].amax(0).nonzero().flatten()
    assert len(rows) == len(columns) == side
    assert int(rows[0]) == (shape[1] - side) // 2
    assert int(columns[0]) == (shape[2] - side) // 2


def test_a_neighbourhood_larger_than_the_shorter_side_is_refused() -> None:
    settings = pi.settings_for(pi.representation("hog"), neighbourhood=6)
    with pytest.raises(UsageError, match="1 to 5 cells"):
        mask_for(settings, torch.zeros(1, 31, 5, 8))


def test_encode_takes_photos_as_they_are_unless_told() -> None:
    hog = pi.representation("hog")
    assert pi.encode(hog, picture(0, 64, 40)).shape == (1, 31, 5, 8)
    assert pi.encode(hog, picture(0, 64, 40), size=24).shape == (1, 31, 3, 3)
    assert pi.encode(hog, random_image((1, 1, 32, 32))).shape == (1, 31, 4, 4)


class Colours(Representation):
    """A representation that draws its code: mean colours of stripes, as grey levels."""

    model, layer, channels, input_size = "colours", None, 3, 8
    mean, geometry = MEAN, None
    defaults = small_layer().defaults

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return image.mean(2, keepdim=True)

    def draw(self, code: torch.Tensor) -> Image.Image:
        return Image.new("L", (8, 8), int(code.mean()) % 256)


def test_a_drawn_code_stands_in_the_figure_and_once_on_the_sheet(tmp_path: Path) -> None:
    results = pi.invert(Colours(), picture(), restarts=3, iterations=2)
    assert isinstance(results, list)
    assert [tile.title for tile in results[0].tiles()] == ["reference", "code", "colours"]
    assert sheet_of(results).width == results[0].figure().width
    results[0].save(tmp_path / "out")
