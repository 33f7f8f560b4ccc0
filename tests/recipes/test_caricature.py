"""Caricatures: the loss of Eq. 4 with the code's own positive part, from the image itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import preimage as pi
from preimage.errors import PreimageError, UsageError
from preimage.recipes.caricature import CARICATURES, caricature_settings, excited
from preimage.recipes.presets import PRESETS
from toys import SIDE, picture, small_layer


def growth_of(phi: pi.Representation, image: np.ndarray, photo: object) -> float:
    """⟨Φ(x), Φ₀⟩/‖Φ₀‖² in NumPy."""
    code = phi(torch.from_numpy(image)[None])[0].numpy()
    weight = np.maximum(phi(phi.photo(photo))[0].numpy(), 0)
    return float((code * weight).sum() / (weight**2).sum())


def test_paper_has_the_derivative_of_hard_bins() -> None:
    hog = pi.representation("hog")
    records = [
        pi.caricature(hog, picture(), size=48, preset=preset, iterations=2).record
        for preset in ("paper", "best")
    ]
    gradients = [record["representation"]["options"]["gradient"] for record in records]
    assert gradients == ["exact", "straight-through"]


@pytest.mark.parametrize("preset", CARICATURES)
@pytest.mark.parametrize("layer", ["conv1", "relu2", "fc"])
def test_the_chosen_activations_grow_and_by_how_much_is_reported(layer: str, preset: str) -> None:
    phi, photo = small_layer(layer), picture(0)
    result = pi.caricature(phi, photo, preset=preset, strength=100, iterations=20)
    assert isinstance(result, pi.Result)
    margin = caricature_settings(phi, preset).jitter - 1
    assert result.canvas.shape == (3, SIDE + margin, SIDE + margin)
    middle = slice(margin // 2, margin // 2 + SIDE)
    growth = result.record["growth"]
    assert growth == pytest.approx(growth_of(phi, result.canvas[:, middle, middle], photo), 1e-4)
    assert growth > 1.02
    assert result.record["task"] == "caricature"
    assert result.headline == ("activations", f"{growth:.2f} times the reference's")


@pytest.mark.parametrize("preset", CARICATURES)
def test_it_starts_from_the_image(preset: str) -> None:
    phi = small_layer()
    seen: list[torch.Tensor] = []
    pi.caricature(
        phi,
        picture(0),
        preset=preset,
        iterations=1,
        jitter=1,
        callbacks=[lambda snapshot: seen.append(snapshot.image.clone())],
    )
    reference = phi.photo(picture(0))
    # The paper's ball shortens what is longer than B+; a sigmoid reaches no black.
    inside = (reference.square().sum(1, keepdim=True) < 159**2).expand_as(reference)
    assert float((seen[0] - reference).abs()[inside].max()) < 0.6


def test_the_paper_has_one_stage_of_300_with_jitter_and_the_priors_at_par() -> None:
    settings = caricature_settings(small_layer(), "paper")
    assert settings.stages == (pi.Stage(300, jitter=3),)
    assert settings.fidelity == 1
    assert isinstance(settings.canvas, pi.PixelCanvas)


def test_every_preset_of_inversion_has_one_of_caricatures() -> None:
    assert set(CARICATURES) == {preset.name for preset in PRESETS}
    with pytest.raises(UsageError, match="no preset 'papr'; did you mean: paper"):
        pi.caricature(small_layer(), picture(0), preset="papr")


def test_strength_is_the_weight_of_the_loss() -> None:
    phi = small_layer()
    weak, strong = (
        pi.caricature(phi, picture(0), strength=strength, iterations=30) for strength in (0.1, 300)
    )
    assert strong.record["growth"] > weak.record["growth"]
    assert strong.record["settings"]["fidelity"] == 300


def test_several_images_in_a_batch_come_out_as_alone() -> None:
    phi = small_layer()
    photos = [picture(0), picture(1)]
    together = pi.caricature(phi, photos, iterations=5, seed=2)
    for photo, result in zip(photos, together, strict=True):
        alone = pi.caricature(phi, photo, iterations=5, seed=2)
        np.testing.assert_allclose(result.canvas, alone.canvas, atol=0.5)


def test_negative_activations_are_ignored() -> None:
    weight, normalization = excited(torch.tensor([[3.0, -7.0, 4.0]]))
    assert weight.tolist() == [[3.0, 0.0, 4.0]]
    assert normalization.tolist() == [25.0]


def test_an_image_that_excites_nothing_is_refused() -> None:
    with pytest.raises(PreimageError, match="no activation is positive"):
        excited(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))


def test_no_image_is_refused() -> None:
    with pytest.raises(UsageError, match="no image was given"):
        pi.caricature(small_layer(), [])


def test_hand_crafted_codes_too() -> None:
    result = pi.caricature(pi.representation("hog"), picture(0), size=48, iterations=10)
    assert result.record["growth"] > 1
    assert result.image.size == (48, 48)


@pytest.mark.parametrize("preset", ["best", "quick"])
def test_a_search_from_a_photo_has_waves_alone_and_the_layers_own_derivatives(preset: str) -> None:
    settings = caricature_settings(small_layer(), preset)
    inversion = pi.settings_for(small_layer(), preset)
    assert isinstance(inversion.canvas, pi.FrameCanvas)
    assert settings.canvas == pi.SpectralCanvas(inversion.canvas.exponent, range="sigmoid")
    assert settings.softening is None
    assert settings.step_rule == pi.NormalizedMomentum(
        inversion.step_rule.rate / 0.75, rho=0.9, beta2=0.6
    )


def test_a_search_from_a_photo_is_as_steep_as_suits_what_the_layer_sees() -> None:
    """Light and colour, for which such inversions are steeper, are there from the start."""
    phi = pi.representation("efficientnet-lite0", layer="block11")
    assert pi.settings_for(phi).canvas.exponent == 1.5
    assert caricature_settings(phi).canvas == pi.SpectralCanvas(1.0, range="sigmoid")
