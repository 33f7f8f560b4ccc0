"""Inversion, from photos and from codes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import preimage as pi
from preimage.recipes import PRESETS
from preimage.recipes.inversion import as_code, code_shape, mask_for
from preimage.representations import Defaults, Representation
from preimage.search import (
    LBFGS,
    Momentum,
    PixelCanvas,
    Result,
    Snapshot,
    SpectralCanvas,
    Stage,
)
from toys import (
    MEAN,
    SIDE,
    fingerprint,
    layer_of,
    photo_file,
    picture,
    random_network,
    small_layer,
    small_network,
)

every_preset = pytest.mark.parametrize("preset", [preset.name for preset in PRESETS])

SHORT = {"iterations": 12}
SAME_BYTES = ("image.png", "canvas.npy", "trace.csv")


def one(*arguments: Any, **options: Any) -> Result:
    result = pi.invert(*arguments, **{**SHORT, **options})
    assert isinstance(result, Result)
    return result


def several(*arguments: Any, **options: Any) -> list[Result]:
    results = pi.invert(*arguments, **{**SHORT, **options})
    assert isinstance(results, list)
    return results


@every_preset
def test_it_finds_an_image_whose_code_is_close(preset: str, photo: Path) -> None:
    phi = small_layer()
    result = one(phi, photo, preset=preset, iterations=100)
    assert result.relative_error < 0.5
    assert result.trace[-1, 0] < 0.7 * result.trace[0, 0]
    # The error in the record is that of the picture in the folder, up to rounding to pixels.
    code, target = (pi.encode(phi, phi.photo(x)) for x in (save(result, photo.parent), photo))
    again = float((code - target).norm() / target.norm())
    assert again == pytest.approx(result.relative_error, abs=0.05)


def save(result: Result, folder: Path) -> Path:
    path = folder / "result.png"
    result.image.save(path)
    return path


@pytest.mark.parametrize("task", [pi.invert, pi.caricature])
def test_a_photo_that_vanishes_during_the_search_loses_nothing(task: Any, tmp_path: Path) -> None:
    file = photo_file(tmp_path)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    gone = [lambda snapshot: file.unlink(missing_ok=True)]
    result = task(small_layer("relu1"), file, iterations=2, callbacks=gone)
    assert not file.exists()
    assert result.record["image"] == {"path": str(file), "sha256": digest}


@every_preset
def test_a_photo_in_a_batch_goes_the_way_it_goes_alone(preset: str, tmp_path: Path) -> None:
    phi, photos = small_layer(), [photo_file(tmp_path, seed) for seed in range(3)]
    together = several(phi, photos, preset=preset, seed=4)
    for photo, result in zip(photos, together, strict=True):
        alone = one(phi, photo, preset=preset, seed=4)
        np.testing.assert_allclose(result.trace, alone.trace, rtol=2e-3, atol=1e-4)
        assert np.abs(result.canvas - alone.canvas).max() < 1
        assert result.relative_error == pytest.approx(alone.relative_error, rel=2e-3)


@every_preset
def test_a_restart_goes_the_way_of_its_own_seed_alone(preset: str, photo: Path) -> None:
    phi = small_layer()
    restarts = several(phi, photo, preset=preset, seed=4, restarts=3)
    for r, result in enumerate(restarts):
        alone = one(phi, photo, preset=preset, seed=4 + r)
        np.testing.assert_allclose(result.trace, alone.trace, rtol=2e-3, atol=1e-4)
        assert (result.record["seed"], result.record["restart"]) == (4, r)
    assert not np.allclose(restarts[0].canvas, restarts[1].canvas)


def test_photos_with_restarts_come_photo_by_photo(tmp_path: Path) -> None:
    phi, photos = small_layer(), [photo_file(tmp_path, seed) for seed in range(2)]
    results = several(phi, photos, seed=4, restarts=2)
    for i, result in enumerate(results):
        alone = one(phi, photos[i // 2], seed=4 + i % 2)
        np.testing.assert_allclose(result.trace, alone.trace, rtol=2e-3, atol=1e-4)
        assert np.array_equal(np.asarray(result.reference), np.asarray(alone.reference))


@every_preset
def test_the_same_seed_gives_the_same_bytes(preset: str, photo: Path, tmp_path: Path) -> None:
    folders = [
        one(small_layer(), photo, preset=preset, seed=seed).save(tmp_path / name)
        for name, seed in (("a", 3), ("b", 3), ("c", 5))
    ]
    for name in SAME_BYTES:
        first, again, other = ((folder / name).read_bytes() for folder in folders)
        assert first == again
        assert first != other


@every_preset
def test_a_code_is_inverted_as_its_image_is_byte_for_byte(
    preset: str, photo: Path, tmp_path: Path
) -> None:
    phi = small_layer()
    code = pi.encode(phi, photo)[0]
    from_image = one(phi, photo, preset=preset, seed=2).save(tmp_path / "image")
    for form in (code, code.numpy(), code.double().numpy()):
        from_code = one(phi, code=form, preset=preset, seed=2).save(tmp_path / "code", True)
        for name in SAME_BYTES:
            assert (from_image / name).read_bytes() == (from_code / name).read_bytes()
        assert np.array_equal(np.load(from_code / "code.npy"), code.numpy())


def test_a_code_of_a_vector_layer_is_inverted_too(photo: Path) -> None:
    phi = small_layer("fc")
    result = one(phi, code=pi.encode(phi, photo)[0])
    assert result.record["representation"]["code_shape"] == [10]
    assert np.array_equal(result.canvas, one(phi, photo).canvas)


def test_a_code_with_a_graph_behind_it_is_a_code(photo: Path) -> None:
    """What a notebook user gets from a module of their own, whose weights want gradients."""
    phi = layer_of(small_network(), "relu2")
    code = phi(phi.photo(photo))[0]
    assert code.requires_grad
    assert np.array_equal(one(phi, code=code).canvas, one(phi, photo).canvas)
    one(phi, code=code.bfloat16())


def test_a_picture_in_memory_serves_as_well_as_a_file(photo: Path) -> None:
    phi = small_layer()
    from_memory, from_file = one(phi, picture()), one(phi, photo)
    assert np.array_equal(from_memory.canvas, from_file.canvas)
    assert from_memory.record["image"] is None
    assert from_memory.reference is not None
    both = several(phi, [picture(1), photo])
    assert both[1].record["image"] is not None


def test_paths_may_be_text(photo: Path) -> None:
    assert np.array_equal(one(small_layer(), str(photo)).canvas, one(small_layer(), photo).canvas)


def test_one_photo_gives_a_result_and_a_list_of_one_a_list(photo: Path) -> None:
    phi = small_layer()
    assert isinstance(pi.invert(phi, photo, iterations=1), Result)
    assert len(several(phi, [photo], iterations=1)) == 1
    assert len(several(phi, (photo, photo), iterations=1)) == 2
    assert len(several(phi, photo, restarts=2, iterations=1)) == 2
    assert len(several(phi, code=pi.encode(phi, photo)[0], restarts=2, iterations=1)) == 2


def test_a_photo_twice_in_a_batch_gives_the_same_twice(photo: Path) -> None:
    first, second = several(small_layer(), [photo, photo])
    assert np.abs(first.canvas - second.canvas).max() < 1


def test_the_largest_seed_serves(photo: Path) -> None:
    assert one(small_layer(), photo, seed=2**63 - 1, iterations=1).record["seed"] == 2**63 - 1


def test_all_restarts_share_one_reference_so_that_the_sheet_shows_it_once(photo: Path) -> None:
    results = several(small_layer(), [photo, picture(1)], restarts=2, iterations=1)
    assert results[0].reference is results[1].reference
    assert results[1].reference is not results[2].reference


class Halves(Representation):
    """A representation of one's own: left and right half of the image, in float32."""

    model, layer, channels, input_size = "halves", None, 3, 8
    mean, geometry, defaults = MEAN, None, Defaults(fidelity=50.0, jitter=2)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat(image.chunk(2, dim=3), dim=1)


@every_preset
def test_a_representation_of_ones_own_is_inverted_like_any_other(
    preset: str, photo: Path, tmp_path: Path
) -> None:
    result = one(Halves(), photo, preset=preset, iterations=150)
    assert result.relative_error < 0.5
    assert result.record["representation"] == {
        "model": "halves", "layer": None, "code_shape": [6, 8, 4],
        "receptive_field": None, "stride": None,
    }  # fmt: skip
    assert result.record["classes"] is None
    result.save(tmp_path / "out")


def test_the_search_never_sees_the_image(photo: Path) -> None:
    """Two images of one code have one pre-image."""
    network = random_network([("pool", nn.AvgPool2d(4)), ("conv", nn.Conv2d(3, 6, 3))])
    phi = layer_of(network, "conv")
    image = phi.photo(photo)
    shuffled = image.view(1, 3, 8, 4, 8, 4).flip(3, 5).reshape(image.shape)
    codes = [pi.encode(phi, x)[0] for x in (image, shuffled)]
    torch.testing.assert_close(*codes)
    results = [one(phi, code=codes[0]), one(phi, photo)]
    assert np.array_equal(results[0].canvas, results[1].canvas)


@every_preset
def test_somebodys_network_in_training_is_left_as_it_was(preset: str, photo: Path) -> None:
    network = random_network(
        [
            ("conv", nn.Conv2d(3, 6, 3, stride=2)),
            ("norm", nn.BatchNorm2d(6)),
            ("relu", nn.ReLU(inplace=True)),
            ("drop", nn.Dropout(0.5)),
            ("next", nn.Conv2d(6, 6, 3)),
        ]
    ).train()
    before = fingerprint(network)
    for layer in ("conv", "relu", "drop"):
        one(layer_of(network, layer), photo, preset=preset, iterations=3)
    assert fingerprint(network) == before


def test_an_interrupted_inversion_leaves_the_network_as_it_was(photo: Path) -> None:
    network = small_network().train()
    before = fingerprint(network)

    def stop(snapshot: Snapshot) -> None:
        if snapshot.iteration == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one(layer_of(network, "relu2"), photo, callbacks=[stop])
    assert fingerprint(network) == before


def test_callbacks_are_called_after_every_iteration_and_observe(photo: Path) -> None:
    seen: list[tuple[int, int]] = []
    watched = one(
        small_layer(), photo, callbacks=[lambda s: seen.append((s.iteration, s.iterations))]
    )
    assert seen == [(i, 12) for i in range(1, 13)]
    assert np.array_equal(watched.canvas, one(small_layer(), photo).canvas)


def test_whole_settings_stand_in_for_a_preset(photo: Path) -> None:
    phi = small_layer()
    settings = replace(
        pi.settings_for(phi, "paper"),
        step_rule=Momentum(100.0),
        stages=(Stage(5),),
        canvas=PixelCanvas(),
    )
    result = pi.invert(phi, photo, settings=settings)
    assert isinstance(result, Result)
    assert result.record["settings"] == settings.to_dict()
    assert result.record["iterations"] == 5


def test_saved_settings_seed_and_reference_make_the_same_result_again(
    photo: Path, tmp_path: Path
) -> None:
    phi = small_layer()
    first = one(phi, photo, seed=3).save(tmp_path / "first")
    record = pi.search.result.load_record(first)
    settings = pi.Settings.from_dict(record["settings"])
    again = pi.invert(phi, first / "reference.png", settings=settings, seed=record["seed"])
    assert isinstance(again, Result)
    again.save(tmp_path / "again")
    for name in SAME_BYTES:
        assert (first / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_lbfgs_goes_with_the_recipe(photo: Path) -> None:
    phi = small_layer()
    settings = replace(
        pi.settings_for(phi),
        canvas=SpectralCanvas(),
        step_rule=LBFGS(first_step=0.3),
        stages=(Stage(60),),
    )
    result = pi.invert(phi, photo, settings=settings)
    assert isinstance(result, Result)
    assert result.energy < 0.5 * result.trace[0, 0]


# Neighbourhoods and channels (Eq. 3).


@pytest.mark.parametrize(
    ("neighbourhood", "channels", "rows", "chosen"),
    [
        (5, None, slice(1, 6), slice(0, 12)),
        (4, None, slice(2, 6), slice(0, 12)),
        (8, None, slice(0, 8), slice(0, 12)),
        (1, None, slice(3, 4), slice(0, 12)),
        (None, (0, 6), slice(0, 8), slice(0, 6)),
        (None, (11, 12), slice(0, 8), slice(11, 12)),
        (3, (2, 5), slice(2, 5), slice(2, 5)),
    ],
)
def test_the_mask_is_the_central_cells_of_the_chosen_channels(
    neighbourhood: int | None, channels: tuple[int, int] | None, rows: slice, chosen: slice
) -> None:
    settings = pi.settings_for(small_layer(), neighbourhood=neighbourhood, channels=channels)
    mask = mask_for(settings, torch.zeros(2, 12, 8, 8))
    expected = torch.zeros(1, 12, 8, 8)
    expected[:, chosen, rows, rows] = 1
    assert mask is not None
    assert torch.equal(mask, expected)


def test_without_either_everything_counts() -> None:
    assert mask_for(pi.settings_for(small_layer()), torch.zeros(2, 12, 8, 8)) is None


def test_channels_of_a_vector_can_be_chosen(photo: Path) -> None:
    result = one(small_layer("fc"), photo, channels=(0, 5))
    assert result.record["settings"]["channels"] == [0, 5]


def test_the_error_of_a_neighbourhood_is_of_what_counts_alone(photo: Path) -> None:
    phi = small_layer()
    result = one(phi, photo, neighbourhood=3, channels=(0, 6), iterations=60)
    side = result.image.height
    first = (result.canvas.shape[-1] - side) // 2
    view = torch.from_numpy(result.canvas[None, :, first : first + side, first : first + side])
    code, target = (pi.encode(phi, x)[:, :6, 2:5, 2:5] for x in (view, phi.photo(photo)))
    assert float((code - target).norm() / target.norm()) == pytest.approx(
        result.relative_error, rel=1e-4
    )


# Codes from outside.


def test_the_shape_of_a_code_is_known_without_an_image() -> None:
    assert code_shape(small_layer()) == (12, 8, 8)
    assert code_shape(small_layer("fc")) == (10,)


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int32, np.uint8])
def test_codes_of_any_number_type_become_float32(kind: Any) -> None:
    code = as_code(small_layer("fc"), np.arange(10).astype(kind))
    assert code.dtype == torch.float32
    assert code.tolist() == [list(range(10))]


def test_a_code_from_outside_is_copied() -> None:
    outside = np.ones(10, np.float32)
    code = as_code(small_layer("fc"), outside)
    outside[:] = 5
    assert code.tolist() == [[1.0] * 10]


@pytest.mark.filterwarnings("error")
def test_grey_representations_take_colour_photos(photo: Path) -> None:
    network = random_network([("conv", nn.Conv2d(1, 4, 5, stride=2))])
    phi = layer_of(network, "conv", mean=(120.0,), std=(60.0,))
    result = one(phi, photo)
    assert result.image.mode == "L"
    assert result.canvas.shape[0] == 1


def test_the_photo_is_cropped_and_resized_to_the_input_size(photo: Path) -> None:
    image = small_layer().photo(photo)
    assert image.shape == (1, 3, SIDE, SIDE)
    pixels = image + torch.tensor(MEAN).view(1, 3, 1, 1)
    assert float(pixels.min()) >= -1e-4
    assert float(pixels.max()) <= 255 + 1e-4


def test_the_embedded_network_from_its_first_block(photo: Path, tmp_path: Path) -> None:
    phi = pi.representation("efficientnet-lite0", layer="block01")
    before = fingerprint(phi.network)
    result = one(phi, photo, iterations=8)
    assert fingerprint(phi.network) == before
    assert result.trace[-1, 0] < result.trace[0, 0]
    code = one(phi, code=pi.encode(phi, photo)[0], iterations=8)
    assert np.array_equal(result.canvas, code.canvas)
    assert result.record["classes"]["result"] == code.record["classes"]["result"]
