"""Activation maximization on small networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import preimage as pi
from preimage.recipes import records
from preimage.recipes.maxima import Maxima
from preimage.recipes.maximization import again
from preimage.recipes.maximization_grid import Grid, square
from preimage.recipes.settings import MaximizationSettings
from preimage.representations import Geometry, NetworkLayer
from preimage.search.result import save_all
from toys import SIDE, fingerprint, small_layer, small_network

CLASSES = tuple(f"thing {i}" for i in range(10))
NAMES = [preset.name for preset in pi.MAXIMIZATION_PRESETS]

every_preset = pytest.mark.parametrize("preset", NAMES)


def scores() -> NetworkLayer:
    return small_layer("fc", classifier="fc", labels=CLASSES)


def maps() -> NetworkLayer:
    """conv1 relu1 with the geometry it has: 5 px, stride 2, centred on the first pixel."""
    return small_layer("relu1", geometry=Geometry(receptive_field=5, stride=2, offset=0.0))


def one(phi: NetworkLayer, objective: Any = None, **options: Any) -> pi.Result:
    result = pi.maximize(phi, objective, **{"iterations": 12, **options})
    assert isinstance(result, pi.Result)
    return result


def known(phi: NetworkLayer, value: float = 1.0, channels: int | None = None) -> Maxima:
    channels = channels or {"fc": 10, "relu1": 8}[phi.layer]
    return Maxima("toy", phi.layer, None, "photos", 5, "", (value,) * channels)


@every_preset
@pytest.mark.parametrize("phi", [scores(), maps()], ids=["scores", "maps"])
def test_with_every_preset_the_activation_is_what_the_search_is_for(
    phi: NetworkLayer, preset: str
) -> None:
    """Against the same search without the loss, from the same start."""
    without, found = (
        one(phi, 1, preset=preset, iterations=40, fidelity=c, maxima=known(phi, 0.1))
        for c in (0.0, 1.0)
    )
    assert found.record["activation"] > without.record["activation"] + 0.1
    assert found.record["settings"]["preset"] == preset


@every_preset
@pytest.mark.parametrize("is_map", [True, False])
def test_settings_of_every_preset_come_back_from_json(preset: str, is_map: bool) -> None:
    settings = pi.maximization_settings_for(maps(), preset, is_map=is_map, diversity=0.5, jitter=2)
    text = json.dumps(settings.to_dict(), allow_nan=False)
    assert MaximizationSettings.from_dict(json.loads(text)) == settings
    assert settings.jitter == 2
    assert settings.diversity == 0.5
    assert settings.scaled_to(17).iterations == 17


def test_every_preset_says_where_it_is_from() -> None:
    assert NAMES == ["best", "paper", "simonyan", "yosinski", "olah", "maco"]
    assert all(preset.source for preset in pi.MAXIMIZATION_PRESETS)


def test_the_activation_is_that_of_the_final_image_and_the_ratio_is_to_m() -> None:
    phi = scores()
    result = one(phi, 3, maxima=known(phi, 4.0))
    view = torch.from_numpy(result.canvas)[None]
    assert result.record["activation"] == pytest.approx(float(phi(view)[0, 3]), rel=1e-5)
    assert result.record["ratio"] == pytest.approx(result.record["activation"] / 4.0)
    assert result.record["class"]["label"] == result.name == "thing 3"
    assert result.record["warnings"] == []


def test_the_loss_is_minus_the_activation_in_units_of_m() -> None:
    result = one(maps(), 2, maxima=known(maps(), 3.0))
    assert result.record["energy"]["loss"] == pytest.approx(-result.record["ratio"], rel=1e-4)


def test_on_a_shared_canvas_the_loss_is_per_area_as_the_prior_is() -> None:
    phi = maps()
    results = pi.maximize(phi, [0, 1, 2], layout="canvas", iterations=5, maxima=known(phi, 3.0))
    assert isinstance(results, list)
    side = Grid.of(phi).side(2)
    together = sum(r.record["ratio"] for r in results) * (SIDE / side) ** 2
    assert results[0].record["energy"]["loss"] == pytest.approx(-together, rel=1e-4)


def test_a_cell_of_a_map_is_shown_with_what_it_sees() -> None:
    result = one(maps(), pi.Channel(1, (4, 6)))
    assert result.image.size == (5, 5)
    assert result.canvas.shape[1:] == (SIDE + 2, SIDE + 2)


@pytest.mark.parametrize(
    ("cell", "box"),
    [((0, 0), ((0, 5), (0, 5))), ((4, 6), ((6, 11), (10, 15))), ((15, 15), ((27, 32), (27, 32)))],
)
def test_the_square_of_a_cell_stays_within_the_view(
    cell: tuple[int, int], box: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    rows, columns = square(Geometry(5, 2, 0.0), cell, (32, 32))
    assert ((rows.start, rows.stop), (columns.start, columns.stop)) == box


def test_a_label_and_a_number_are_the_same_objective() -> None:
    phi = scores()
    by_label, by_number = one(phi, label="thing 7"), one(phi, channel=7)
    assert by_label.record["activation"] == by_number.record["activation"]
    assert by_label.record["objective"]["terms"] == {"channel": 7, "position": None}


def test_sums_and_directions() -> None:
    phi = scores()
    values = np.zeros(10, np.float32)
    values[[1, 2]] = 1, -0.5
    by_sum, by_direction = one(phi, "1 - 0.5*2"), one(phi, values)
    assert by_sum.record["activation"] == pytest.approx(by_direction.record["activation"], rel=1e-5)
    assert by_sum.code is None
    np.testing.assert_array_equal(by_direction.code, values)


def test_several_objectives_and_restarts_come_in_their_order() -> None:
    results = pi.maximize(maps(), [0, 3], iterations=3, restarts=2, seed=4)
    assert isinstance(results, list)
    assert [r.name for r in results] == ["channel 0"] * 2 + ["channel 3"] * 2
    assert [(r.record["seed"], r.record["restart"]) for r in results] == [(4, 0), (4, 1)] * 2
    alone = one(maps(), 3, iterations=3, seed=5)
    assert alone.record["activation"] == pytest.approx(results[3].record["activation"], rel=1e-3)


def test_a_dead_channel_is_said_and_not_divided_by() -> None:
    phi = maps()
    with pytest.raises(pi.PreimageError, match=r"2 of toy:relu1 is dead: .* over 5 photos is 0"):
        one(phi, 2, maxima=known(phi, 0.0))


def test_a_channel_below_zero_on_all_photos_is_measured_against_the_others() -> None:
    phi = scores()
    below = Maxima("toy", "fc", None, "photos", 5, "", (-1.0, *(2.0,) * 9))
    result = one(phi, 0, maxima=below)
    assert result.record["M"] == 2.0
    assert "on no photo is it above 0" in result.record["warnings"][0]


def test_an_estimated_m_is_named_as_a_warning() -> None:
    (warning,) = one(maps(), 2).record["warnings"]
    assert "M is an estimate over 32 images of noise" in warning


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give one of objective, channel and label"),
        ({"objective": 1, "channel": 2}, "give one of objective"),
        ({"objective": []}, "no objective was given"),
        ({"channel": 8}, "channel 8 is out of range: this layer has channels 0 to 7"),
        ({"channel": 1, "preset": "besst"}, "no preset 'besst'; did you mean: best"),
        ({"channel": 1, "layout": "cnvas"}, "no layout 'cnvas'"),
        ({"channel": 1, "diversity": 1.0}, "at least 2 restarts"),
        ({"objective": 3.5}, "expected a channel's number, .* got 3.5"),
        ({"objective": [0.2, 0.5]}, "expected a channel's number, .* got 0.2"),
        ({"objective": "1 - 2", "layout": "canvas"}, "layout canvas is for whole channels"),
    ],
)
def test_wrong_use_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(pi.UsageError, match=words):
        pi.maximize(maps(), iterations=2, **options)


def test_a_direction_may_be_a_tensor() -> None:
    direction = torch.arange(8.0)
    results = [one(maps(), each) for each in (direction, direction.bfloat16(), direction.numpy())]
    assert len({result.image.tobytes() for result in results}) == 1
    assert results[0].record["objective"] == {"words": "direction", "terms": None}


def test_maxima_of_another_layer_are_refused() -> None:
    with pytest.raises(pi.PreimageError, match="of 3 channels, toy:relu1 has 8"):
        one(maps(), 1, maxima=known(maps(), 1.0, 3))


def test_the_grid_keeps_squares_apart_and_within_the_image() -> None:
    grid = Grid.of(maps())
    assert grid.spacing % 2 == 1
    assert grid.spacing * 2 >= 1.1 * 5
    across, places = grid.layout(7)
    assert (across, places[-1]) == (3, (2, 0))
    side, cells = grid.side(across), [grid.cell(place) for place in places]
    assert (side - SIDE) % 2 == 0
    taken = np.zeros((side, side), int)
    for cell in cells:
        rows, columns = square(grid.geometry, cell, (side, side))
        assert rows.stop - rows.start == columns.stop - columns.start == 5
        taken[rows, columns] += 1
    assert taken.sum() == 7 * 25
    assert taken.max() == 1


def test_many_channels_on_one_canvas_answer_as_their_squares_say() -> None:
    phi = maps()
    results = pi.maximize(phi, list(range(5)), layout="canvas", iterations=40)
    assert isinstance(results, list)
    assert [r.name for r in results] == [f"channel {i}" for i in range(5)]
    for i, result in enumerate(results):
        assert result.canvas.shape == (3, 5, 5)
        padded = torch.zeros(1, 3, SIDE, SIDE)
        rows, columns = square(phi.geometry, (8, 8), (SIDE, SIDE))
        padded[0, :, rows, columns] = torch.from_numpy(result.canvas)
        here = float(phi(padded)[0, i, 8, 8])
        assert result.record["activation"] == pytest.approx(here, rel=1e-4)
        assert result.record["canvas"]["channels"] == [0, 1, 2, 3, 4]


def test_a_vector_has_no_canvas_to_share() -> None:
    with pytest.raises(pi.UsageError, match="needs cells that see a part of the image"):
        pi.maximize(scores(), [0, 1], layout="canvas", iterations=2)


@pytest.mark.parametrize(
    "options", [{}, {"layout": "canvas"}, {"diversity": 1.0}], ids=["batch", "canvas", "diverse"]
)
def test_a_record_is_enough_to_do_it_again(options: dict[str, Any]) -> None:
    phi = maps()
    results = pi.maximize(phi, [1, 4], iterations=6, restarts=2, seed=3, **options)
    assert isinstance(results, list)
    last = results[3]
    record = json.loads(json.dumps(last.record, allow_nan=False))
    settings = MaximizationSettings.from_dict(record["settings"])
    once_more = again(phi, record, None, settings, 4)
    np.testing.assert_allclose(once_more.canvas, last.canvas, atol=1e-2)
    assert once_more.record["activation"] == pytest.approx(last.record["activation"], rel=1e-4)


def test_diversity_makes_the_codes_of_restarts_less_alike() -> None:
    def likeness(diversity: float) -> float:
        phi = scores()
        options = {"maxima": known(phi, 10.0), "restarts": 3, "iterations": 80}
        found = pi.maximize(phi, 2, diversity=diversity, **options)
        assert isinstance(found, list)
        codes = [scores()(torch.from_numpy(r.canvas)[None])[0] for r in found]
        others = torch.stack([torch.cat([code[:2], code[3:]]) for code in codes])
        unit = others / others.norm(dim=1, keepdim=True)
        return float((unit @ unit.T).sum() - 3) / 6

    assert likeness(2.0) < likeness(0.0) - 0.05


def test_the_network_is_left_as_it_was() -> None:
    network = small_network()
    before = fingerprint(network)
    phi = small_layer("fc")
    phi = NetworkLayer(network, "fc", input_size=SIDE, mean=phi.mean)
    pi.maximize(phi, 1, iterations=3)
    assert fingerprint(network) == before


def test_many_results_make_a_mosaic(tmp_path: Path) -> None:
    results = pi.maximize(maps(), [*range(8)], layout="canvas", iterations=2, restarts=3)
    assert isinstance(results, list)
    save_all(results, tmp_path / "out")
    folders = sorted(p.name for p in (tmp_path / "out").iterdir() if p.is_dir())
    assert len(folders) == 24
    assert folders[1] == "001-channel-0-restart1"
    assert (tmp_path / "out" / "figure.png").is_file()


def test_a_large_ratio_is_written_out():
    headline = records.HEADLINES["maximize"]
    assert headline({"activation": 229.3, "ratio": 172.4}) == (
        "activation",
        "229, 172 x photos' largest",
    )
    few = {"activation": 2.0, "ratio": 1.54, "M_source": "estimate"}
    assert headline(few) == ("activation", "2, 1.5 x estimated max")
