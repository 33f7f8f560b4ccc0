"""Dreams: octaves and tiles; every tile is a search of its own."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

import preimage as pi
from preimage.errors import PreimageError, UsageError
from preimage.gallery.movie import DREAM_WIDEST, FRAMES, DreamRecorder
from preimage.recipes import dreaming
from preimage.recipes.dreaming import DREAM_LAYERS, OVERLAP, Octaves, _add, _subtract, _tiles
from preimage.representations import Geometry, SeveralLayers
from preimage.representations.catalogue import layers_of
from toys import MEAN, picture, small_network


def toy(layer: str = "relu2") -> SeveralLayers:
    return SeveralLayers(
        small_network().requires_grad_(False),
        [layer],
        model="toy",
        mean=MEAN,
        std=(60.0, 60.0, 60.0),
        geometry=Geometry(receptive_field=13, stride=4, offset=0.0),
    )


def test_activations_grow_and_the_size_stays() -> None:
    phi, photo = toy(), picture(0, 80, 60)
    result = pi.dream(phi, photo, iterations=8)
    assert result.image.size == (80, 60)
    before, after = (
        float(phi(phi.photo(p)).norm()) for p in (photo, Image.fromarray(np.asarray(result.image)))
    )
    assert result.record["growth"] == pytest.approx(after / before, rel=1e-4)
    assert result.record["growth"] > 1.2
    sizes = result.record["octaves"]["sizes"]
    assert sizes[-1] == {"width": 80, "height": 60, "tiles": 1}
    assert [size["width"] for size in sizes] == [57, 80]  # smaller ones would be below 32 high
    assert len(result.trace) == result.record["iterations"] == 2 * 8


def test_a_large_image_goes_tile_by_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watch(energy, **options):
        seen.append(options["start"].shape[-2:])
        return pi.minimise(energy, **options)

    monkeypatch.setattr(dreaming, "minimise", watch)
    result = pi.dream(
        toy(), picture(0, 300, 200), octaves=Octaves(count=1, tile=96), iterations=2, seed=3
    )
    assert len(seen) == result.record["octaves"]["sizes"][0]["tiles"] > 6
    assert max(max(shape) for shape in seen) <= 96
    assert result.image.size == (300, 200)


@pytest.mark.parametrize(
    "size", [(64, 64), (97, 300), (320, 321), (96, 97), (1000, 65), (353, 640)]
)
@pytest.mark.parametrize("seed", range(4))
def test_tiles_cover_every_pixel_and_go_over_into_each_other(
    size: tuple[int, int], seed: int
) -> None:
    weight = np.zeros(size[::-1])
    for tile in _tiles(size, 96, np.random.default_rng(seed)):
        part = weight[tile.rows, tile.columns]
        assert min(part.shape) >= min(64, *size)
        assert max(part.shape) <= 96
        # Each takes over a part of the way to where it wants to be: here, to 1.
        part += tile.window(part.shape) * (1 - part)
    assert weight.min() > 0.65  # where four corners meet; 0.75 where two sides do
    assert OVERLAP < 64


def test_no_seams_where_tiles_meet() -> None:
    plain = Image.new("RGB", (256, 64), (120, 120, 120))
    for tile in _tiles(plain.size, 96, np.random.default_rng(0)):
        window = tile.window((tile.bottom - tile.top, tile.right - tile.left))
        assert np.abs(np.diff(window, axis=1)).max() < 0.04
        assert np.abs(np.diff(window, axis=0)).max() < 0.04


def test_what_an_octave_adds_is_carried_to_the_next() -> None:
    rng = np.random.default_rng(0)
    base, dreamt = rng.integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    again = base.copy()
    _add(again, _subtract(dreamt, base))
    assert np.abs(again.astype(int) - dreamt).max() <= 1


def test_a_photo_is_brought_down_and_that_is_said() -> None:
    result = pi.dream(toy(), picture(0, 200, 100), size=80, octaves=Octaves(1), iterations=1)
    assert result.image.size == (80, 40)
    assert result.record["warnings"] == [
        "brought down from 200x100 to 80x40; a larger size keeps more of it"
    ]


def test_callbacks_count_over_all_tiles() -> None:
    seen = []
    pi.dream(
        toy(),
        picture(0, 150, 100),
        octaves=Octaves(2, tile=96),
        iterations=2,
        callbacks=[lambda snapshot: seen.append((snapshot.iteration, snapshot.iterations))],
    )
    assert [iteration for iteration, _ in seen] == list(range(1, seen[-1][1] + 1))


def test_onlookers_see_the_whole_picture_grow_over_all_octaves() -> None:
    seen: list[tuple[float, Image.Image]] = []
    options = {"octaves": Octaves(2, tile=96), "iterations": 3}
    result = pi.dream(
        toy(),
        picture(0, 150, 100),
        **options,
        onlookers=[lambda done, draw: seen.append((done, draw()))],
    )
    tiles = [size["tiles"] for size in result.record["octaves"]["sizes"]]
    # Either octave is half of it, whatever the number of its tiles.
    halves = [[(i + 1) / (2 * 3 * n) for i in range(3 * n)] for n in tiles]
    expected = [*halves[0], *(0.5 + done for done in halves[1])]
    assert [done for done, _ in seen] == pytest.approx(expected)
    assert [picture.size for _, picture in seen] == [(107, 71)] * (3 * tiles[0]) + [(150, 100)] * (
        3 * tiles[1]
    )
    # What has been dreamt so far is in the picture: each differs from the one before.
    first, *_, last = (np.asarray(shown, float) for _, shown in seen[-3 * tiles[1] :])
    final = np.asarray(result.image, float)
    assert np.abs(last - final).mean() < 0.2 * np.abs(first - final).mean()
    plain = pi.dream(toy(), picture(0, 150, 100), **options)
    assert np.array_equal(np.asarray(plain.image), np.asarray(result.image))


def test_a_film_of_a_dream_is_evenly_spread_and_of_one_size() -> None:
    film = DreamRecorder()
    for i in range(1, 401):
        side = 20 if i <= 200 else 40
        film(i / 400, lambda side=side: Image.new("RGB", (side, side), (side, 0, 0)))
    assert len(film.frames) == FRAMES + 1
    small = sum(frame.width == 20 for frame in film.frames)
    assert abs(small - FRAMES / 2) <= 1
    with Image.open(BytesIO(film.gif([Image.new("RGB", (40, 40))]))) as gif:
        assert gif.size == (40, 40)
    wide = DreamRecorder()
    wide(0.5, lambda: Image.new("RGB", (2 * DREAM_WIDEST, 100)))
    assert wide.frames[0].size == (DREAM_WIDEST, 50)


def test_what_excites_nothing_is_refused() -> None:
    network = small_network().requires_grad_(False)
    with torch.no_grad():
        network.get_submodule("conv1").bias.fill_(-1e6)
    phi = SeveralLayers(network, ["relu1"], mean=MEAN, std=(60.0,) * 3)
    with pytest.raises(PreimageError, match="nothing in the image excites the layer"):
        pi.dream(phi, picture(0), iterations=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 3}, "the size must be at least 32"),
        ({"jitter": 500}, "at most half a tile"),
        ({"iterations": 0}, "at least 1 iteration"),
        ({"strength": 0}, "strength must be a finite number above 0, got 0"),
    ],
)
def test_values_out_of_range(options, words) -> None:
    with pytest.raises(UsageError, match=words):
        pi.dream(toy(), picture(0), **options)


@pytest.mark.parametrize("options", [{"count": 0}, {"scale": 1.0}, {"tile": 10}])
def test_octaves_out_of_range(options) -> None:
    with pytest.raises(UsageError, match="must be"):
        Octaves(**options)


def test_too_small_a_photo() -> None:
    with pytest.raises(PreimageError, match="at least 32x32 pixels to dream of, got 40x20"):
        pi.dream(toy(), picture(0, 40, 20))


def test_the_layers_by_default_exist() -> None:
    for model, layer in DREAM_LAYERS.items():
        assert layer in [row.name for row in layers_of(model)]
