from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import dpm_toy
import preimage as pi
from preimage.errors import PreimageError, UsageError
from preimage.recipes.rerun import rerun
from preimage.recipes.template import template_settings
from preimage.recipes.template_subject import Layout
from preimage.representations.hog import Hog
from preimage.representations.octaves import HogOctaves
from preimage.weights.dpm import Component, Part, read_dpm


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return dpm_toy.save(tmp_path / "toy_final.mat")


def image_of(result: pi.Result) -> torch.Tensor:
    return torch.from_numpy(result.canvas)[None]


def score_by_hand(component: Component, image: torch.Tensor) -> float:
    """Root on the image at half its size, parts at their anchors on the image itself."""
    hog = Hog("hog")
    coarse, fine = hog(F.avg_pool2d(image, 2))[0], hog(image)[0]
    total = float((coarse * torch.tensor(component.root)).sum())
    for part in component.parts:
        column, row = part.anchor
        _, height, width = part.filter.shape
        seen = fine[:, row : row + height, column : column + width]
        total += float((seen * torch.tensor(part.filter)).sum())
    return total


@pytest.mark.parametrize("preset", ["best", "paper"])
@pytest.mark.parametrize("joint", [True, False])
def test_the_score_grows(file, preset, joint):
    scores = [
        pi.template(file, 1, joint=joint, preset=preset, iterations=n).record["score"]
        for n in (1, 40)
    ]
    assert scores[1] > scores[0] + 1
    assert scores[1] > 2 * pi.template(file, 1, iterations=1).record["noise_score"]


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("number", [1, 2])
def test_the_score_is_the_detectors(file, joint, number):
    result = pi.template(file, number, joint=joint, iterations=5)
    component = read_dpm(file).component(number)
    expected = score_by_hand(component, image_of(result))
    assert result.record["score"] == pytest.approx(expected, rel=1e-4)
    height, width = (16 * side for side in dpm_toy.ROOT)
    assert result.canvas.shape == (1, height, width)


def test_equation_9(file):
    record = pi.template(file, 1, part=2, iterations=2).record
    (entry,) = record["filters"]
    weights = torch.tensor(read_dpm(file).component(1).parts[1].filter)
    noise = pi.UniformNoise().draw((1, 24, 24), [torch.Generator().manual_seed(2)])
    M = float((weights.abs() * Hog("hog")(noise)[0]).sum())
    assert entry["rho"] == 24
    assert entry["M"] == pytest.approx(M, rel=1e-5)
    assert entry["Z"] == pytest.approx(M * 24**2, rel=1e-5)
    assert record["energy"]["loss"] == pytest.approx(-entry["score"] / entry["Z"], rel=1e-4)
    energy = record["energy"]
    total = record["settings"]["fidelity"] * energy["loss"]
    total += energy["bounded_range"] + energy["total_variation"]
    assert energy["total"] == pytest.approx(total, rel=1e-4)


def test_a_part_alone_is_the_part_in_the_component(file):
    alone = pi.template(file, 1, part=2, iterations=10, seed=5)
    among = pi.template(file, 1, joint=False, iterations=10, seed=5)
    (own,) = alone.record["filters"]
    assert [entry["name"] for entry in among.record["filters"]] == ["root", "part 1", "part 2"]
    assert among.record["filters"][2]["score"] == pytest.approx(own["score"], rel=1e-3)
    assert alone.record["score"] == own["score"]
    assert alone.image.size == (24, 24)
    # The last part lies on top, with the contrast of the root's image.
    column, row = (8 * place for place in dpm_toy.ANCHORS[1][:2])
    shown = among.canvas[0, row : row + 24, column : column + 24].ravel()
    assert np.corrcoef(shown, alone.canvas.ravel())[0, 1] > 0.999


def test_joint_by_default_but_not_as_published(file):
    joint = [
        pi.template(file, 1, iterations=1, **options).record["template"]["joint"]
        for options in ({}, {"preset": "paper"}, {"part": 1})
    ]
    assert joint == [True, False, False]


def test_the_joint_image_scores_more_than_the_composition(file):
    scores = [
        pi.template(file, 1, joint=joint, iterations=60).record["score"] for joint in (True, False)
    ]
    assert scores[0] > scores[1]


@pytest.mark.parametrize("options", [{}, {"joint": False}, {"part": 1}, {"preset": "paper"}])
def test_again_from_the_folder_alone(file, tmp_path, options):
    result = pi.template(file, 2, iterations=5, seed=3, **options)
    result.save(tmp_path / "out")
    file.unlink()
    again = rerun(tmp_path / "out")
    np.testing.assert_array_equal(again.canvas, result.canvas)
    assert again.record["warnings"] == []
    for key in ("template", "score", "filters", "seed", "settings"):
        assert again.record[key] == result.record[key]
    assert again.name == result.name
    assert again.figure().tobytes() == result.figure().tobytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"root": [3, 5]}, "do not belong together"),
        ({"root": [3, 10**6]}, "the record is damaged"),
        ({"parts": None}, "the record is damaged"),
        ({"cell": 10**6}, "the record is damaged"),
        ({"part": 7}, "parts 1 to 2, got 7"),
        ({"part": "one"}, "the record is damaged"),
        ({"bias": float("nan")}, "the record is damaged"),
        ({"file": "x"}, "the record is damaged"),
    ],
)
def test_damaged_records_are_refused(file, tmp_path, changes, words):
    folder = pi.template(file, 1, joint=False, iterations=1).save(tmp_path / "out")
    path = folder / "result.json"
    record = json.loads(path.read_text())
    record["template"].update(changes)
    path.write_text(json.dumps(record))
    with pytest.raises(PreimageError, match=words):
        rerun(folder)


def test_another_representation_is_refused(file, tmp_path):
    folder = pi.template(file, 1, iterations=1).save(tmp_path / "out")
    path = folder / "result.json"
    record = json.loads(path.read_text())
    record["representation"]["options"]["cell"] = 4
    path.write_text(json.dumps(record))
    with pytest.raises(PreimageError, match="hog with cells of 8 pixels"):
        rerun(folder)


def test_a_folder_without_its_weights_is_refused(file, tmp_path):
    folder = pi.template(file, 1, iterations=1).save(tmp_path / "out")
    (folder / "code.npy").unlink()
    with pytest.raises(PreimageError, match=r"code\.npy: cannot be read"):
        rerun(folder)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"component": 3}, "components 1 to 2, got 3"),
        ({"component": 1, "part": 3}, "component 1 of toy has parts 1 to 2, got 3"),
        ({"component": 1, "part": 1, "joint": True}, "a part alone has nothing to be joined"),
        ({"component": 1, "preset": "quick"}, "no preset 'quick'"),
        ({"component": 1, "fidelity": -1.0}, "fidelity C must be"),
        ({"component": 1, "settings": template_settings((8, 8)), "iterations": 3}, "not both"),
        ({"component": 1, "seed": -1}, "seed at least 0"),
    ],
)
def test_wrong_use(file, options, words):
    with pytest.raises(UsageError, match=words):
        pi.template(file, **options)


def test_a_filter_of_zeros_is_named(tmp_path):
    blocks = dpm_toy.model()["blocks"]
    blocks[0, 1]["w"] = np.zeros((3 * 3 * 32, 1))
    path = dpm_toy.save(tmp_path / "zero.mat", blocks=blocks)
    with pytest.raises(PreimageError, match="part 1 has no weights but zeros"):
        pi.template(path, 1, joint=False, iterations=1)
    assert pi.template(path, 1, joint=True, iterations=1).record["score"] != 0


def component(anchors: list[tuple[int, int]], root: tuple[int, int] = (3, 4)) -> Component:
    zeros = np.zeros((31, 3, 3), np.float32)
    parts = tuple(Part(zeros, anchor, (0.0, 0.0, 0.0, 0.0)) for anchor in anchors)
    return Component(np.zeros((31, *root), np.float32), parts, 0.0, False)


@pytest.mark.parametrize(
    ("anchors", "expected"),
    [
        ([], Layout(6, 8, (0, 0), ())),
        ([(1, 0), (5, 3)], Layout(6, 8, (0, 0), ((0, 1), (3, 5)))),
        # What reaches out makes the whole larger, by whole cells of the root.
        ([(-1, 0)], Layout(6, 10, (0, 2), ((0, 1),))),
        ([(6, 4)], Layout(8, 10, (0, 0), ((4, 6),))),
    ],
)
def test_layout(anchors, expected):
    assert Layout.of(component(anchors)) == expected


def test_two_octaves_are_two_codes():
    hog = Hog("hog")
    image = 50 * torch.randn(2, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    code = HogOctaves(hog)(image)
    assert code.shape == (2, 31 * (3 * 4 + 6 * 8))
    torch.testing.assert_close(code[:, : 31 * 12], hog(F.avg_pool2d(image, 2)).flatten(1))
    torch.testing.assert_close(code[:, 31 * 12 :], hog(image).flatten(1))
    with pytest.raises(PreimageError, match="at half its size"):
        HogOctaves(hog)(image[..., :20])
