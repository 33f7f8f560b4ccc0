"""The largest activations over photos: measured, kept, shipped or estimated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from preimage import PreimageError
from preimage.models.catalogue import WeightsRecord
from preimage.recipes import maxima
from preimage.recipes.maxima import Maxima, is_kept, known_maxima, measure
from preimage.representations.catalogue import layers_of
from toys import layer_of, photo_file, small_layer

WEIGHTS = WeightsRecord(source="toy", sha256="ab" * 32, licence="none")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photos, and a cache of their own."""
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        photo_file(folder, seed)
    (folder / "notes.txt").write_text("no photo")
    return folder


@pytest.mark.parametrize("layer", ["relu2", "fc"])
def test_they_are_the_largest_over_photos_and_positions(photos: Path, layer: str) -> None:
    phi = small_layer(layer, weights=WEIGHTS)
    codes = torch.cat([phi(phi.photo(p)) for p in sorted(photos.glob("*.png"))])
    expected = codes.transpose(0, 1).flatten(1).amax(1)
    measured = measure(phi, photos)
    torch.testing.assert_close(torch.tensor(measured.largest), expected)
    assert (measured.images, measured.source, measured.layer) == (3, "photos", layer)


def test_a_second_call_reads_what_the_first_has_kept(photos: Path) -> None:
    phi = small_layer(weights=WEIGHTS)
    seen: list[tuple[int, int]] = []
    first = measure(phi, photos, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert measure(phi, photos, lambda done, total: seen.append((done, total))) == first
    assert len(seen) == 3
    assert known_maxima(phi) == first


def test_what_is_no_photo_is_passed_over_and_named(photos: Path) -> None:
    phi = small_layer(weights=WEIGHTS)
    first = measure(phi, photos)
    (photos / "broken.png").write_bytes((photos / "photo0.png").read_bytes()[:200])
    measured = measure(phi, photos)
    assert (measured.images, measured.largest) == (3, first.largest)
    assert [file.name for file in measured.unusable] == ["broken.png", "notes.txt"]
    assert "damaged or cut short" in measured.unusable[0].why
    assert measure(phi, photos) == measured


def test_other_photos_or_other_weights_are_measured_anew(photos: Path) -> None:
    phi = small_layer(weights=WEIGHTS)
    first = measure(phi, photos)
    photo_file(photos, 3)
    assert measure(phi, photos).images == 4
    other = small_layer(weights=replace(WEIGHTS, sha256="cd" * 32))
    assert known_maxima(other).source == "estimate"
    assert known_maxima(phi).images == 4
    assert first.images == 3


def test_where_nothing_can_be_kept_it_is_measured_all_the_same(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos.parent / "file").touch()
    monkeypatch.setenv("PREIMAGE_HOME", str(photos.parent / "file"))
    phi = small_layer(weights=WEIGHTS)
    measured = measure(phi, photos)
    assert measured.images == 3
    assert not is_kept(measured, phi)
    monkeypatch.setenv("PREIMAGE_HOME", str(photos.parent / "home"))
    assert is_kept(measure(phi, photos), phi)


def test_layers_whose_names_begin_alike_are_kept_apart(photos: Path) -> None:
    deep = "a" * 80
    network = nn.Sequential()
    network.add_module(f"{deep}1", nn.Conv2d(3, 2, 3))
    network.add_module(f"{deep}2", nn.Conv2d(2, 5, 3))
    for layer, channels in ((f"{deep}1", 2), (f"{deep}2", 5)):
        phi = layer_of(network, layer, weights=WEIGHTS)
        assert len(measure(phi, photos).largest) == channels


def test_a_damaged_file_is_measured_over(photos: Path) -> None:
    phi = small_layer(weights=WEIGHTS)
    first = measure(phi, photos)
    (kept,) = (photos.parent / "home" / "maxima").rglob("*.json")
    kept.write_text('{"largest": [')
    assert measure(phi, photos) == first


def test_without_photos_they_are_estimated_the_same_every_time() -> None:
    estimate = known_maxima(small_layer("relu2"))
    assert estimate.source == "estimate"
    assert len(estimate.largest) == 12
    assert estimate == known_maxima(small_layer("relu2"))


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PreimageError, match="expected a folder of photos, got one without files"):
        measure(small_layer(), tmp_path / "empty")
    (tmp_path / "empty" / "notes.txt").write_text("no photo")
    with pytest.raises(PreimageError, match=r"empty: expected photos; 1 file was passed over: not"):
        measure(small_layer(), tmp_path / "empty")
    with pytest.raises(PreimageError, match="expected a folder of photos"):
        measure(small_layer(), tmp_path / "nowhere")


def test_the_bound_of_a_sum_is_the_weighted_sum() -> None:
    known = Maxima("toy", "fc", None, "photos", 1, "", (1.0, 2.0, 4.0))
    assert known.bound(torch.tensor([1.0, 0.0, -0.5])) == 3.0
    cells = torch.zeros(3, 2, 2)
    cells[1, 0, 0] = cells[1, 1, 1] = 2.0
    assert known.bound(cells) == 8.0


def test_the_shipped_figures_are_of_the_embedded_network() -> None:
    text = Path(maxima.__file__).with_name(maxima.SHIPPED).read_text("utf-8")
    shipped = [maxima.as_maxima(record) for record in json.loads(text)]
    channels = {row.name: row.shape[0] for row in layers_of("efficientnet-lite0")}
    assert {each.model for each in shipped} == {"efficientnet-lite0"}
    assert "logits" in {each.layer for each in shipped}
    for each in shipped:
        assert len(each.largest) == channels[str(each.layer)]
        assert each.source == "photos"
        assert each.images >= 100
