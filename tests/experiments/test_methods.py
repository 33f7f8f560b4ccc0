"""Methods that are no inversion: what tells their cases apart, and that they do as the recipes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dpm_toy
import preimage as pi
from preimage.experiments.cases import Case
from preimage.experiments.methods import (
    Caricature,
    ComponentTarget,
    Maximization,
    Templating,
    Wanted,
)
from preimage.experiments.photos import photo_target
from preimage.recipes import maximization_settings_for
from preimage.recipes.caricature import caricature_settings
from toys import photo_file, small_layer


def maximization(together: tuple[int, ...] = (), **overrides: Any) -> Maximization:
    toy = small_layer("relu1")
    chosen = {"iterations": 2, **overrides}
    return Maximization(toy, maximization_settings_for(toy, is_map=True, **chosen), together)


def test_an_objective_is_known_by_its_words():
    assert Wanted(pi.Label("tree frog")).name == "tree frog"
    assert Wanted(pi.Channel(3)).name == "3"
    assert Wanted(pi.Channel(3)).digest != Wanted(pi.Label("3")).digest


def test_an_id_changes_with_what_a_maximization_depends_on():
    case = Case(maximization(), Wanted(pi.Channel(0)))
    measured = maximization()
    measured.__dict__["maxima"] = replace(measured.maxima, source="photos", images=200)
    others = [
        replace(case, method=maximization(iterations=3)),
        replace(case, method=maximization((0, 1))),
        replace(case, method=measured),
        replace(case, target=Wanted(pi.Channel(1))),
        replace(case, seed=1),
    ]
    assert len({case.id, *(other.id for other in others)}) == 6
    assert Case(maximization(), Wanted(pi.Channel(0))).id == case.id


@pytest.mark.parametrize("together", [(), (0, 1)])
def test_images_are_those_of_maximize(together):
    method = maximization(together)
    found = method.results([Wanted(pi.Channel(0)), Wanted(pi.Channel(1))], seed=4)
    expected = pi.maximize(
        method.representation,
        [0, 1],
        settings=method.settings,
        layout="canvas" if together else "batch",
        seed=4,
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(one.image), np.asarray(other.image))
        assert one.record["activation"] == other.record["activation"]
        assert ("canvas" in one.record) == bool(together)


def test_a_caricature_is_that_of_the_recipe(tmp_path):
    toy = small_layer("relu1")
    method = Caricature(toy, caricature_settings(toy, iterations=2))
    photo = photo_target(photo_file(tmp_path))
    (found,) = method.results([photo], seed=0)
    expected = pi.caricature(toy, photo.path, settings=method.settings)
    assert isinstance(expected, pi.Result)
    assert found.record["growth"] == expected.record["growth"]
    faster = Caricature(toy, caricature_settings(toy, iterations=1))
    assert Case(method, photo).id != Case(faster, photo).id


def test_a_component_is_known_by_its_file_and_number(tmp_path):
    target = ComponentTarget.of(dpm_toy.save(tmp_path / "toy_final.mat"), 2)
    assert target.name == "toy, component 2"
    assert target.digest != ComponentTarget.of(target.path, 1).digest
    (found,) = Templating("paper", iterations=2).results([target], seed=3)
    expected = pi.template(target.path, 2, preset="paper", iterations=2, seed=3)
    assert found.record["score"] == expected.record["score"]
    assert Templating("paper", 2).identity != Templating("best", 2).identity
    copy = Path(tmp_path, "copy_final.mat")
    copy.write_bytes(target.path.read_bytes())
    assert ComponentTarget.of(copy, 2).digest == target.digest
