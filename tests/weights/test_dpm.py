from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

import dpm_toy
from preimage.errors import PreimageError, UsageError
from preimage.representations import representation
from preimage.weights.dpm import mirrored, read_dpm


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return dpm_toy.save(tmp_path / "toy_final.mat")


def test_values_and_places(file):
    model = read_dpm(file)
    assert (model.name, model.cell, len(model.components)) == ("toy", 8, 2)
    component = model.component(1)
    assert component.root.shape == (31, *dpm_toy.ROOT)
    assert component.root.dtype == np.float32
    assert component.bias == dpm_toy.BIAS * dpm_toy.BIAS_FEATURE
    assert not component.mirrored
    assert [part.anchor for part in component.parts] == [(1, 0), (5, 3)]
    assert component.parts[1].deformation == dpm_toy.DEFORMATION
    expected = dpm_toy.weights(dpm_toy.ROOT, 0)
    for channel in range(27):
        np.testing.assert_allclose(component.root[channel], expected[:, :, channel], rtol=1e-6)


def test_texture_sums_get_the_order_of_hog_and_truncation_is_dropped(file):
    root = read_dpm(file).component(1).root
    expected = dpm_toy.weights(dpm_toy.ROOT, 0)
    # DPM: down right, up right, down left, up left; here: up left, up right, down left, down right.
    np.testing.assert_allclose(root[27:], expected[:, :, [30, 28, 29, 27]].transpose(2, 0, 1))
    assert not np.isin(expected[:, :, 31].astype(np.float32), root).any()


def test_the_twin_is_mirrored(file):
    model = read_dpm(file)
    first, twin = model.components
    assert twin.mirrored
    np.testing.assert_array_equal(twin.root, mirrored(first.root))
    for part, other in zip(first.parts, twin.parts, strict=True):
        np.testing.assert_array_equal(other.filter, mirrored(part.filter))
        assert other.anchor[1] == part.anchor[1]
        assert other.anchor[0] == 2 * dpm_toy.ROOT[1] - part.anchor[0] - dpm_toy.PART[1]
        assert other.deformation == (0.1, -0.2, 0.3, 0.4)


def test_mirroring_a_filter_is_mirroring_the_image():
    hog = representation("hogb")
    image = 50 * torch.randn(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    code, of_mirrored = (hog(x)[0].numpy() for x in (image, image.flip(3)))
    np.testing.assert_allclose(mirrored(code), of_mirrored, atol=1e-4)


def test_filters_cannot_be_written_to(file):
    with pytest.raises(ValueError, match="read-only"):
        read_dpm(file).component(1).root[0, 0, 0] = 1


def test_models_without_truncation_feature(tmp_path):
    path = tmp_path / "old.mat"
    scipy.io.savemat(path, {"model": dpm_toy.model(depth=31)})
    np.testing.assert_allclose(
        read_dpm(path).component(1).root[0], dpm_toy.weights(dpm_toy.ROOT, 0, 31)[:, :, 0]
    )


@pytest.mark.parametrize("number", [0, 3, -1])
def test_component_out_of_range_says_how_many_there_are(file, number):
    with pytest.raises(UsageError, match=f"components 1 to 2, got {number}"):
        read_dpm(file).component(number)


def refusal(path: Path) -> str:
    with pytest.raises(PreimageError) as caught:
        read_dpm(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_files_that_hold_no_model(tmp_path):
    path = tmp_path / "other.mat"
    scipy.io.savemat(path, {"x": np.zeros(3)})
    assert "struct `model`" in refusal(path)
    assert "got variables x" in refusal(path)
    scipy.io.savemat(path, {"model": {"w": np.zeros(3)}})
    assert "got a model without filters, rules" in refusal(path)
    path.write_text("no MATLAB file\n" * 20)
    assert "expected a MATLAB file" in refusal(path)
    assert "cannot be read" in refusal(tmp_path / "missing.mat")


def test_every_cut_is_refused(file, tmp_path):
    data = file.read_bytes()
    cut = tmp_path / "cut.mat"
    for length in range(0, len(data), len(data) // 40):
        cut.write_bytes(data[:length])
        refusal(cut)


def test_damaged_bytes_never_escape(file, tmp_path):
    """Whatever a byte does, the answer is a model or a refusal."""
    plain = tmp_path / "plain.mat"
    scipy.io.savemat(plain, {"model": dpm_toy.model()})
    data, damaged = bytearray(plain.read_bytes()), tmp_path / "damaged.mat"
    generator = np.random.default_rng(0)
    for place in generator.integers(128, len(data), 150):
        changed = data.copy()
        changed[place] ^= int(generator.integers(1, 256))
        damaged.write_bytes(changed)
        with suppress(PreimageError):
            read_dpm(damaged)


def with_block(number: int, **changes: object) -> np.ndarray:
    blocks = dpm_toy.model()["blocks"]
    for name, value in changes.items():
        blocks[0, number - 1][name] = value
    return blocks


def with_component(**changes: object) -> np.ndarray:
    rules = dpm_toy.model()["rules"]
    for name, value in changes.items():
        rules[0, 0][0, 0][name] = value
    return rules


HUGE = np.array([[60000, 60000, 32]])
ANCHORS = dpm_toy.cells([np.array([place]) for place in ((0, 0, 0), (1, 0, 1), (5, 3, 2))])
FAR = dpm_toy.cells([np.array([place]) for place in ((0, 0, 0), (1, 0, 1), (10**6, 3, 1))])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": 99}, "start: expected a whole number from 1 to 13, got 99"),
        ({"start": 2}, "expected 1 to 64 components, got 0"),
        ({"class": np.arange(5.0), "start": 99}, "start: expected"),
        ({"rules": with_component(type=np.arange(5.0))}, "component 1: expected a structural rule"),
        ({"features": {"bias": np.inf}}, "component 1: expected a finite bias"),
        ({"start": 3}, "component 1: expected a structural rule"),
        ({"sbin": 0}, "sbin: expected a whole number from 2 to 16, got 0"),
        ({"blocks": np.zeros((0, 0))}, "root: block: expected a whole number"),
        ({"blocks": with_block(1, shape=HUGE)}, "root: shape: expected a whole number"),
        (
            {"blocks": with_block(1, shape=np.array([[3, 4, 31]]))},
            "root: weights: expected 372 numbers, got 384",
        ),
        (
            {"blocks": with_block(2, w=np.full((288, 1), np.nan))},
            "component 1, part 1: expected finite weights",
        ),
        ({"blocks": with_block(2, w="text")}, "part 1: weights: expected numbers"),
        ({"blocks": with_block(2, type="P")}, "part 1: expected a block of HOG weights"),
        ({"rules": with_component(rhs=np.array([[3, 5]]))}, "2 filters and 3 anchors"),
        ({"rules": with_component(rhs=np.array([[3, 5, 99]]))}, "part 2: symbol: expected"),
        ({"rules": with_component(rhs=np.array([[1, 5, 7]]))}, "grammars with choices"),
        ({"rules": with_component(anchor=ANCHORS)}, "part 2: expected octave 1 above the root"),
        ({"rules": with_component(anchor=FAR)}, "part 2: anchor: expected a whole number"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, changes, words):
    assert words in refusal(dpm_toy.save(tmp_path / "wrong.mat", **changes))
