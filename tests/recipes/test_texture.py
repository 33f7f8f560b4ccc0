"""Textures and styles: Eq. 8 with toy networks, measured again in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import preimage as pi
from preimage.errors import PreimageError, UsageError
from preimage.recipes.texture import CONTENT_LAYER, STYLE_LAYERS, TEXTURE_LAYERS, TEXTURES
from preimage.representations import Geometry, SeveralLayers
from preimage.representations.catalogue import layers_of
from toys import MEAN, picture, small_network

LAYERS = ("relu1", "pool1", "relu2")


def toy(*layers: str) -> SeveralLayers:
    return SeveralLayers(
        small_network().requires_grad_(False),
        layers or LAYERS,
        model="toy",
        mean=MEAN,
        std=(60.0, 60.0, 60.0),
        geometry=Geometry(receptive_field=13, stride=4, offset=0.0),
    )


def brick() -> Image.Image:
    return Image.fromarray(data.brick()).resize((64, 64))


def gram_in_numpy(code: torch.Tensor) -> np.ndarray:
    values = code[0].double().numpy()
    return np.einsum("chw,dhw->cd", values, values) / values[0].size


def gram_errors(phi: SeveralLayers, image: torch.Tensor, source: torch.Tensor) -> list[float]:
    pairs = zip(phi.codes(image), phi.codes(source), strict=True)
    grams = [(gram_in_numpy(x), gram_in_numpy(y)) for x, y in pairs]
    return [float(np.linalg.norm(x - y) / np.linalg.norm(y)) for x, y in grams]


@pytest.mark.parametrize("preset", TEXTURES)
def test_correlations_come_near_and_are_measured_as_in_numpy(preset: str) -> None:
    phi = toy()
    result = pi.texture(phi, brick(), size=(48, 40), source_size=64, preset=preset, iterations=80)
    assert result.image.size == (40, 48)
    image = torch.from_numpy(result.canvas)[None]
    measured = result.record["gram_errors"]
    assert list(measured) == list(LAYERS)
    expected = gram_errors(phi, image, phi.photo(brick(), 64))
    np.testing.assert_allclose(list(measured.values()), expected, rtol=1e-3)
    assert result.record["part_of_start"] < 0.01
    loss = sum(error**2 for error in expected)
    assert loss / result.trace[0, 1] == pytest.approx(result.record["part_of_start"], rel=1e-3)
    assert result.headline[0] == "texture loss"
    assert result.tiles()[-1].title == f"{phi.model} {', '.join(LAYERS)}"


def test_a_texture_is_not_a_copy_and_depends_on_the_seed() -> None:
    one, two = (
        pi.texture(toy(), brick(), size=32, source_size=32, iterations=10, seed=seed)
        for seed in (0, 1)
    )
    assert np.abs(one.canvas - two.canvas).mean() > 5


def test_weights_say_how_much_each_layer_counts() -> None:
    only_first = pi.texture(
        toy("relu1", "relu2"), brick(), size=32, source_size=32, weights=(1, 0), iterations=30
    )
    alone = pi.texture(toy("relu1"), brick(), size=32, source_size=32, iterations=30)
    assert only_first.record["settings"]["weights"] == [1, 0]
    assert only_first.record["gram_errors"]["relu1"] == pytest.approx(
        alone.record["gram_errors"]["relu1"], abs=0.02
    )
    for bad in [(1,), (0, 0), (1, 2, 3)]:
        with pytest.raises(UsageError, match="expected 2 weights"):
            pi.texture(toy("relu1", "relu2"), brick(), size=32, source_size=32, weights=bad)
    with pytest.raises(UsageError, match="weights must be numbers of at least 0"):
        pi.texture(toy("relu1"), brick(), size=32, source_size=32, weights=(-1,))


@pytest.mark.parametrize("sizes", [{"size": 12}, {"size": (64, 12)}, {"source_size": 12}])
def test_smaller_than_what_the_deepest_layer_sees(sizes: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="sees 13 pixels at once, so images need at least 13"):
        pi.texture(toy(), brick(), **{"size": 32, "source_size": 32, **sizes})


def test_a_photo_smaller_than_that() -> None:
    with pytest.raises(PreimageError, match=r"at least 13 pixels.*got 12x30"):
        pi.texture(toy(), picture(0, 12, 30), size=32, source_size=32)


def test_an_unknown_preset() -> None:
    with pytest.raises(UsageError, match="did you mean: gatys"):
        pi.texture(toy(), brick(), size=32, source_size=32, preset="gatis")


def test_a_style_keeps_the_content_and_takes_the_correlations() -> None:
    phi = toy("relu2", "relu1", "pool1")
    content, other = picture(0, 48, 48), brick()
    start = gram_errors(phi, phi.photo(content, 48), phi.photo(other, 48))
    result = pi.style(phi, content, other, size=48, weight=10, iterations=40)
    errors = result.record["gram_errors"]
    image = torch.from_numpy(result.canvas)[None]
    expected = gram_errors(phi, image, phi.photo(other, 48))
    assert list(errors) == ["relu1", "pool1"]
    np.testing.assert_allclose(list(errors.values()), expected[1:], rtol=1e-3)
    assert all(now < 0.5 * before for now, before in zip(expected[1:], start[1:], strict=True))
    kept, now = phi.codes(phi.photo(content, 48))[0], phi.codes(image)[0]
    error = float((now - kept).norm() / kept.norm())
    assert result.record["content_error"] == pytest.approx(error, rel=1e-3)
    assert error < 1
    assert result.beside["style"].size == (48, 48)
    model = phi.model
    assert result.tiles()[-1].title == f"{model}\ncontent relu2\nstyle relu1, pool1"


def test_weight_trades_content_for_style() -> None:
    phi = toy("relu2", "relu1")
    light, heavy = (
        pi.style(phi, picture(0, 48, 48), brick(), size=48, weight=weight, iterations=30)
        for weight in (0.01, 100)
    )
    assert light.record["content_error"] < heavy.record["content_error"]
    assert light.record["gram_errors"]["relu1"] > heavy.record["gram_errors"]["relu1"]


def test_a_style_needs_two_layers() -> None:
    with pytest.raises(UsageError, match="a layer for the content"):
        pi.style(toy("relu1"), picture(0), brick(), size=32)


@pytest.mark.parametrize("table", [TEXTURE_LAYERS, STYLE_LAYERS, CONTENT_LAYER])
def test_the_layers_by_default_exist_and_have_positions(table) -> None:
    for model, layers in table.items():
        shapes = {row.name: row.shape for row in layers_of(model)}
        for layer in [layers] if isinstance(layers, str) else layers:
            assert len(shapes[layer]) == 3
