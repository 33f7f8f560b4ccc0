"""What every preset promises, and the published numbers of `paper`."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from preimage.energy import BoundedRange, TotalVariation
from preimage.errors import PreimageError, UsageError
from preimage.recipes import PRESETS, Settings, invert, settings_for
from preimage.recipes.presets import representation_for
from preimage.representations import Defaults, Geometry, NetworkLayer, representation
from preimage.representations.catalogue import layer_defaults, layers_of
from preimage.search import (
    Adam,
    FrameCanvas,
    NormalizedMomentum,
    PixelCanvas,
    PyramidCanvas,
    Result,
    Stage,
    UniformNoise,
    WindowedAdaGrad,
)
from toys import MEAN, small_network

NAMES = [preset.name for preset in PRESETS]

every_preset = pytest.mark.parametrize("name", NAMES)


def phi_with(
    fidelity: float = 20.0, jitter: int = 4, side: int | None = 224, layer: str = "conv2"
) -> NetworkLayer:
    """A representation whose suggestions are known; nothing is ever run through it."""
    network = small_network()
    return NetworkLayer(
        network, layer, input_size=side, mean=MEAN, defaults=Defaults(fidelity, jitter)
    )


def through_json(settings: Settings) -> Settings:
    return Settings.from_dict(json.loads(json.dumps(settings.to_dict(), allow_nan=False)))


def test_the_table_has_the_three_presets_of_the_design_and_each_says_where_it_is_from() -> None:
    assert set(NAMES) >= {"best", "paper", "quick"}
    assert len(set(NAMES)) == len(NAMES)
    assert all(preset.source.strip() for preset in PRESETS)


@every_preset
@pytest.mark.parametrize("fidelity", [1.0, 300.0])
@pytest.mark.parametrize("jitter", [1, 8])
def test_settings_come_back_from_json(name: str, fidelity: float, jitter: int) -> None:
    settings = settings_for(phi_with(fidelity, jitter), name)
    assert through_json(settings) == settings
    narrowed = replace(settings, neighbourhood=5, channels=(0, 48), beta=1.5)
    assert through_json(narrowed) == narrowed


@every_preset
def test_the_record_of_settings_is_whole_and_plain(name: str) -> None:
    settings = settings_for(phi_with(), name)
    record = settings.to_dict()
    derived = ("jitter", "B_plus", "iterations")
    assert set(record) == {field.name for field in fields(Settings)} | set(derived)
    assert all(record[name] == getattr(settings, name) for name in derived)
    assert record["preset"] == name
    assert all(part["kind"] for part in (record["canvas"], record["step_rule"], *record["stages"]))


@every_preset
@given(iterations=st.integers(1, 3000), jitter=st.integers(1, 9))
def test_stages_scale_to_any_total(name: str, iterations: int, jitter: int) -> None:
    phi = phi_with(jitter=jitter)
    whole = settings_for(phi, name)
    settings = settings_for(phi, name, iterations=iterations)
    assert settings.iterations == iterations
    assert settings == whole.scaled_to(iterations)
    assert replace(settings, stages=whole.stages) == whole
    assert through_json(settings) == settings


@every_preset
def test_it_takes_what_the_representation_suggests_unless_told_otherwise(name: str) -> None:
    phi = phi_with(fidelity=20.0, jitter=4)
    suggested = settings_for(phi, name)
    assert (suggested.fidelity, suggested.jitter) == (20.0, 4)
    assert max(stage.jitter for stage in suggested.stages) == 4
    told = settings_for(phi, name, fidelity=7.0, jitter=2, alpha=3.0, beta=1.5)
    assert (told.fidelity, told.jitter, told.alpha, told.beta) == (7.0, 2, 3.0, 1.5)
    assert max(stage.jitter for stage in told.stages) == 2
    assert told.priors == (
        BoundedRange(alpha=3.0, B=told.B),
        TotalVariation(beta=1.5, V=told.V),
    )


@every_preset
def test_a_suggestion_of_no_jitter_is_kept(name: str) -> None:
    assert all(stage.jitter == 1 for stage in settings_for(phi_with(jitter=1), name).stages)


@every_preset
def test_the_last_stage_has_no_jitter(name: str) -> None:
    """What is measured, without jitter, is what was searched for last."""
    assert settings_for(phi_with(jitter=8), name).stages[-1].jitter == 1


@every_preset
def test_the_settings_of_all_catalogue_layers_can_be_made(name: str) -> None:
    for model in ("alexnet", "vgg16", "efficientnet-lite0"):
        for layer, defaults in layer_defaults(model).items():
            settings = settings_for(phi_with(defaults.fidelity, defaults.jitter), name)
            assert settings.fidelity == defaults.fidelity, (model, layer)
            assert settings.jitter == defaults.jitter, (model, layer)


@every_preset
def test_settings_are_frozen(name: str) -> None:
    settings = settings_for(phi_with(), name)
    with pytest.raises(FrozenInstanceError):
        settings.fidelity = 1.0  # type: ignore[misc]
    hash(settings)


@every_preset
@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"iterations": 0}, "iterations must be a whole number of at least 1, got 0"),
        ({"iterations": -5}, "iterations must be a whole number of at least 1, got -5"),
        ({"jitter": 0}, "jitter T must be at least 1"),
        ({"fidelity": -1.0}, "fidelity C must be a number of at least 0, got -1"),
        ({"fidelity": float("nan")}, "fidelity C must be a number of at least 0, got nan"),
        ({"alpha": 1.0}, r"alpha of Eq\. 5 must be a number of at least 2, got 1"),
        ({"beta": 0.5}, r"beta of TV\^beta must be a number of at least 1, got 0\.5"),
    ],
)
def test_numbers_out_of_range_are_refused(name: str, override: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        settings_for(phi_with(), name, **override)


@pytest.mark.parametrize(
    ("wrong", "right"), [("bset", "best"), ("Paper", "paper"), ("qick", "quick")]
)
def test_an_unknown_preset_is_refused_with_the_nearest_name(wrong: str, right: str) -> None:
    with pytest.raises(UsageError, match=rf"no preset '{wrong}'.*{right}"):
        settings_for(phi_with(), wrong)


@pytest.mark.parametrize(
    "damage",
    [
        {"canvas": {"kind": "NoSuchCanvas"}},
        {"canvas": {"kind": "PixelCanvas", "colour": 1}},
        {"canvas": {"B_plus": 160.0}},
        {"canvas": {"kind": "PixelCanvas", "B_plus": "x"}},
        {"canvas": {"kind": "PixelCanvas", "B_plus": -1.0}},
        {"stages": [{"kind": "Stage", "iterations": 0}]},
        {"step_rule": {"kind": "WindowedAdaGrad"}},
        {"fidelity": float("nan")},
        {"fidelity": "much"},
        {"beta": 0.0},
    ],
)
def test_damaged_settings_are_refused_in_one_line(damage: dict[str, Any]) -> None:
    record = {**settings_for(phi_with(), "paper").to_dict(), **damage}
    with pytest.raises(PreimageError, match="settings are not from this version"):
        Settings.from_dict(record)


def test_parts_that_no_record_could_hold_are_refused_at_once() -> None:
    @dataclass(frozen=True)
    class MyCanvas(PixelCanvas):
        pass

    class MyRule(Adam):
        def __init__(self) -> None:
            pass

    settings = settings_for(phi_with())
    with pytest.raises(UsageError, match=r"with MyCanvas can't be saved: .*KINDS"):
        replace(settings, canvas=MyCanvas())
    with pytest.raises(UsageError, match=r"with MyRule can't be saved: .*KINDS"):
        replace(settings, step_rule=MyRule())
    with pytest.raises(UsageError, match=r"with Tensor can't be saved: "):
        replace(settings, step_rule=Adam(rate=torch.tensor(0.1)))


@pytest.mark.parametrize("field", [field.name for field in fields(Settings)])
def test_settings_with_a_part_missing_are_refused(field: str) -> None:
    record = settings_for(phi_with(), "paper").to_dict()
    del record[field]
    with pytest.raises(PreimageError, match=field):
        Settings.from_dict(record)


# The published settings: Sect. 3.3, 3.4 and 5.2.1 of the paper, and the authors' program.


@pytest.mark.parametrize("side", [224, 227])
@pytest.mark.parametrize("jitter", [1, 4])
def test_paper_has_the_published_numbers(side: int, jitter: int) -> None:
    settings = settings_for(phi_with(300.0, jitter, side), "paper")
    assert (settings.alpha, settings.B, settings.B_plus) == (6.0, 80.0, 160.0)
    assert (settings.beta, settings.V) == (2.0, 80.0 / 6.5)
    assert settings.canvas == PixelCanvas(B_plus=160.0, noise=UniformNoise(B=80.0, scale=1.0))
    assert isinstance(settings.step_rule, WindowedAdaGrad)
    assert settings.step_rule.rho == 0.9
    assert settings.step_rule.eta == pytest.approx(side * side * 0.05 * 80.0**2 / 6)
    assert settings.stages == (Stage(300, jitter=jitter), Stage(50, jitter=1, rate=0.1))
    assert settings.neighbourhood is None
    assert settings.channels is None


GREY = ("hog", "hogb", "hog-relu", "dsift")
"""Hand-crafted representations (Sect. 5.1)."""


@pytest.mark.parametrize("model", GREY)
def test_paper_inverts_hand_crafted_codes_as_published(model: str) -> None:
    """Pixels, 300 iterations, C = 100, no jitter."""
    settings = settings_for(representation(model), "paper", view=(256, 192))
    assert settings.canvas == PixelCanvas(B_plus=160.0)
    assert settings.stages == (Stage(300),)
    assert settings.fidelity == 100.0
    assert settings.step_rule == WindowedAdaGrad(eta=256 * 192 * 0.05 * 80.0**2 / 6)


@pytest.mark.parametrize("model", GREY)
def test_the_other_presets_search_hand_crafted_codes_for_the_same_energy(model: str) -> None:
    phi = representation(model)
    paper, best, quick = (settings_for(phi, name) for name in ("paper", "best", "quick"))
    assert best.iterations == paper.iterations
    assert quick.iterations == 100
    for settings in (best, quick):
        assert isinstance(settings.canvas, PyramidCanvas)
        assert (settings.fidelity, settings.priors) == (paper.fidelity, paper.priors)
        assert through_json(settings) == settings


@every_preset
@pytest.mark.parametrize("model", GREY)
def test_hand_crafted_codes_are_searched_with_jitter_where_it_is_asked_for(
    name: str, model: str
) -> None:
    stages = settings_for(representation(model), name, jitter=3).stages
    assert (stages[0].jitter, stages[-1].jitter) == (3, 1)


@every_preset
def test_only_paper_searches_hog_with_the_derivative_of_its_hard_bins(name: str) -> None:
    phi = representation_for(representation("hog", cell=4), name)
    wanted = "exact" if name == "paper" else "straight-through"
    assert phi.options == {"cell": 4, "gradient": wanted}


@every_preset
def test_a_gradient_asked_for_by_name_and_other_representations_stay(name: str) -> None:
    for phi in (
        representation("hog", gradient="straight-through"),
        representation("hog", gradient="exact"),
        representation("dsift"),
        phi_with(),
    ):
        assert representation_for(phi, name) is phi


def test_the_record_says_which_gradient_was_used() -> None:
    code = np.random.default_rng(0).random((31, 4, 4)).astype(np.float32)
    for preset, gradient in (("paper", "exact"), ("best", "straight-through")):
        result = invert(representation("hog"), code=code, preset=preset, iterations=1)
        assert isinstance(result, Result)
        assert result.record["representation"]["options"]["gradient"] == gradient


@pytest.mark.parametrize("name", ["best", "quick"])
def test_what_is_searched_goes_by_what_is_seen_and_whether_the_layer_comes_early(
    name: str,
) -> None:
    def searched(early: bool, sees: float, **changes: Any) -> tuple[float, str, float, float]:
        phi = NetworkLayer(
            small_network(),
            "conv2",
            mean=MEAN,
            geometry=Geometry(100, 4, 0.0),
            defaults=Defaults(20.0, jitter=1, early=early),
        )
        side = round(100 / sees)
        settings = settings_for(phi, name, view=(side, side), **changes)
        canvas, rule = settings.canvas, settings.step_rule
        assert isinstance(canvas, FrameCanvas)
        assert isinstance(rule, NormalizedMomentum)
        assert settings.softening is not None
        return canvas.exponent, canvas.range, rule.rate, settings.softening.pooling[0]

    shallow, deep = (1.5, "sigmoid", 0.0225, 10), (1.0, "sigmoid", 0.015, 1)
    for early in (True, False):
        assert searched(early, 0.1) == (1.5, "linear", 0.015, 10)
        assert searched(early, 0.3) == (1.5, "sigmoid", 0.03, 10)
        assert searched(early, 0.5) == shallow
    assert [searched(False, sees) for sees in (0.51, 0.65)] == [(1.35, *shallow[1:])] * 2
    assert [searched(False, sees) for sees in (0.67, 0.8)] == [(1.2, "sigmoid", 0.0225, 1)] * 2
    assert searched(False, 1.0) == (1.2, "sigmoid", 0.0225, 0.03)
    assert [searched(False, sees) for sees in (1.01, 5.0)] == [deep] * 2
    assert [searched(True, sees) for sees in (0.51, 1.0, 1.68)] == [(1.5, *deep[1:])] * 3
    assert [searched(True, sees) for sees in (1.73, 5.0)] == [(1.2, *deep[1:])] * 2
    assert searched(True, 1.0, fidelity=1.0) == searched(True, 1.0)


PAPERS_FIDELITY = {
    "alexnet": {
        300.0: ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "conv3", "relu3"],
        100.0: ["conv4", "relu4"],
        20.0: ["conv5", "relu5"],
        1.0: ["pool5", "fc6", "relu6", "fc7", "relu7", "fc8", "prob"],
    },
    "vgg16": {
        300.0: ["conv1_1", "pool1", "conv2_2", "pool3", "conv4_1", "relu4_2", "conv4_3"],
        100.0: ["conv5_1"],
        20.0: ["conv5_2", "relu5_2", "conv5_3"],
        1.0: ["pool5", "fc6", "relu6", "fc7", "relu7", "fc8", "prob"],
    },
}
"""Sect. 5.2.1."""


@pytest.mark.parametrize("model", PAPERS_FIDELITY)
def test_fidelity_of_the_papers_networks_is_the_papers(model: str) -> None:
    defaults = layer_defaults(model)
    got = {name: defaults[name].fidelity for c in PAPERS_FIDELITY[model].values() for name in c}
    wanted = {name: c for c, names in PAPERS_FIDELITY[model].items() for name in names}
    assert got == wanted


@pytest.mark.parametrize("model", ["alexnet", "vgg16", "efficientnet-lite0"])
def test_jitter_is_the_integer_closest_to_a_quarter_of_the_stride(model: str) -> None:
    defaults = layer_defaults(model)
    for layer in layers_of(model):
        wanted = layer.geometry.stride / 4
        assert defaults[layer.name].jitter >= 1
        assert abs(defaults[layer.name].jitter - wanted) <= 0.5 or wanted < 0.5


@pytest.mark.parametrize("layer", ["pool", "logits", "prob"])
def test_fidelity_is_one_from_the_last_pooling_of_the_embedded_network_on(layer: str) -> None:
    assert layer_defaults("efficientnet-lite0")[layer].fidelity == 1.0
    assert layer_defaults("efficientnet-lite0")["head"].fidelity > 1.0


def test_fidelity_of_the_embedded_networks_blocks_goes_by_depth_where_they_see_everything() -> None:
    defaults = layer_defaults("efficientnet-lite0")
    got = [defaults[f"block{i:02}"].fidelity for i in range(1, 17)]
    assert got == [300.0] * 13 + [100.0] + [20.0] * 2


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("canvas", None, "canvas must be a canvas, got None"),
        ("stages", [], "stages must be one or more stages"),
        ("stages", 5, "stages must be one or more stages, got 5"),
        ("channels", [1], "channels must be two whole numbers"),
        ("neighbourhood", 2.5, "neighbourhood must be a whole number, got 2.5"),
        ("alpha", 1e9, "alpha = 1e\\+09 is too large"),
        ("fidelity", 1e40, "at most 1e\\+30"),
        ("B", "wide", "B must be a number, got 'wide'"),
    ],
)
def test_parts_from_a_damaged_file_are_refused(part: str, value: Any, words: str) -> None:
    record = {**settings_for(phi_with(), "best").to_dict(), part: value}
    with pytest.raises(PreimageError, match=words):
        Settings.from_dict(record)
