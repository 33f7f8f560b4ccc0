"""What every representation promises: hand-crafted ones with options, and layers of a network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from preimage.errors import PreimageError, UsageError
from preimage.representations import Geometry, Representation, representation
from preimage.representations.catalogue import HAND_CRAFTED
from toys import SIDE, random_image, small_layer

OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "hog": ({}, {"cell": 4}, {"cell": 5, "gradient": "exact"}),
    "hogb": ({}, {"cell": 3}),
    "hog-relu": ({}, {"cell": 4}),
    "dsift": ({}, {"cell": 4, "step": 3}, {"cell": 3, "window": 1.5, "renormalize": False}),
}
"""Options that every hand-crafted representation is tried with."""

HAND_CRAFTED_CASES = {
    " ".join([name, *(f"{key}={value}" for key, value in options.items())]): (name, options)
    for name, choices in OPTIONS.items()
    for options in choices
}

every_rule = pytest.mark.parametrize(
    ("name", "options"), HAND_CRAFTED_CASES.values(), ids=HAND_CRAFTED_CASES
)


def build(case: str) -> Representation:
    if case in HAND_CRAFTED_CASES:
        name, options = HAND_CRAFTED_CASES[case]
        return representation(name, **options)
    return small_layer(case)


every_representation = pytest.mark.parametrize(
    "case", [*HAND_CRAFTED_CASES, "conv1", "relu2", "fc"]
)


def image_for(phi: Representation, count: int = 1, seed: int = 0, side: int = SIDE) -> Tensor:
    return random_image((count, phi.channels, side, side), seed)


def test_every_hand_crafted_representation_is_tried_here() -> None:
    assert {entry.name for entry in HAND_CRAFTED} == set(OPTIONS)
    for entry in HAND_CRAFTED:
        tried = {option for options in OPTIONS[entry.name] for option in options}
        assert tried == set(entry.options)
        assert entry.about


@every_representation
def test_a_batch_is_its_images_one_by_one(case: str) -> None:
    phi = build(case)
    images = image_for(phi, count=3)
    with torch.no_grad():
        together, alone = phi(images), torch.cat([phi(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


@every_representation
def test_a_gradient_in_a_batch_is_the_gradient_alone(case: str) -> None:
    phi = build(case)
    images = image_for(phi, count=3)
    weights = random_image(phi(images).shape, seed=1, scale=1.0)

    def gradient(images: Tensor, weights: Tensor) -> Tensor:
        leaf = images.clone().requires_grad_()
        (found,) = torch.autograd.grad(phi(leaf), leaf, weights)
        return found

    together = gradient(images, weights)
    alone = [gradient(i[None], w[None]) for i, w in zip(images, weights, strict=True)]
    scale = float(together.abs().max())
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5 * scale)


@every_representation
def test_the_same_image_has_the_same_code_and_stays_as_it_is(case: str) -> None:
    phi = build(case)
    image = image_for(phi)
    before = image.clone()
    codes = [phi(image).detach() for _ in range(2)]
    assert torch.equal(*codes)
    assert torch.equal(image, before)
    assert bool(torch.isfinite(codes[0]).all())


@every_representation
def test_another_image_in_between_changes_nothing(case: str) -> None:
    """What is kept from call to call belongs to a size, not to an image."""
    phi = build(case)
    image = image_for(phi)
    with torch.no_grad():
        before = phi(image)
        if phi.input_size is None:
            phi(image_for(phi, side=SIDE + 9))
        phi(image_for(phi, count=2, seed=7))
        assert torch.equal(phi(image), before)


@every_representation
def test_it_says_what_it_is(case: str) -> None:
    phi = build(case)
    assert phi.name == ":".join(filter(None, (phi.model, phi.layer)))
    assert len(phi.mean) == phi.channels
    assert phi.defaults.fidelity >= 0
    assert phi.defaults.jitter >= 1


# Hand-crafted ones only


@every_rule
def test_name_and_options_are_enough_to_build_it_again(name: str, options: dict[str, Any]) -> None:
    phi = representation(name, **options)
    again = representation(phi.model, phi.layer, **phi.options)
    assert (again.model, dict(again.options)) == (phi.model, dict(phi.options))
    image = image_for(phi)
    assert torch.equal(phi(image), again(image))


@every_rule
@pytest.mark.parametrize("side", [29, 40])
def test_an_image_has_the_same_code_and_gradient_in_any_batch(
    name: str, options: dict[str, Any], side: int
) -> None:
    """To the last bit on a CPU: a search of hundreds of steps magnifies what differs."""
    phi = representation(name, **options)
    images = image_for(phi, count=3, side=side).requires_grad_()
    codes = phi(images)
    weights = random_image(codes.shape, 1, 1.0)
    (together,) = torch.autograd.grad(codes, images, weights)
    for image, code, weight, gradient in zip(images, codes, weights, together, strict=True):
        leaf = image.detach()[None].requires_grad_()
        alone = phi(leaf)
        assert torch.equal(alone[0], code)
        (found,) = torch.autograd.grad(alone, leaf, weight[None])
        assert torch.equal(found[0], gradient)


@every_rule
def test_double_precision_gives_the_same_code(name: str, options: dict[str, Any]) -> None:
    phi = representation(name, **options)
    image = image_for(phi).round()
    found = phi(image.double())
    assert found.dtype == torch.float64
    # VLFeat's arc cosine leaves an angle near a centre no better than 3e-4 rad in float32.
    torch.testing.assert_close(found.float(), phi(image), rtol=0, atol=1e-3)


def directional_error(phi: Representation, seed: int) -> float:
    """Derivative along a random direction: how far autograd is from finite differences."""
    image, direction = (random_image((2, 1, 27, 31), seed + k, 40.0, torch.float64) for k in (0, 1))
    weights = random_image(phi(image).shape, seed + 2, 1.0, torch.float64)

    def value(step: float) -> Tensor:
        return (phi(image + step * direction) * weights).sum()

    leaf = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((phi(leaf) * weights).sum(), leaf)
    step = 1e-8
    difference = float((value(step) - value(-step)) / (2 * step))
    length = float(gradient.norm() * direction.norm())
    return abs(difference - float((gradient * direction).sum())) / length


@every_rule
def test_gradients_are_those_of_finite_differences(name: str, options: dict[str, Any]) -> None:
    """In float64, at random images: kinks have no measure."""
    if name == "hog":
        options = {**options, "gradient": "exact"}
    phi = representation(name, **options)
    assert max(directional_error(phi, seed) for seed in range(0, 30, 3)) < 1e-6


@every_rule
@pytest.mark.parametrize("level", [0.0, 3.0, -127.0])
def test_a_flat_image_has_a_code_of_zeros_and_a_finite_gradient(
    name: str, options: dict[str, Any], level: float
) -> None:
    phi = representation(name, **options)
    leaf = torch.full((1, 1, 40, 44), level, requires_grad=True)
    code = phi(leaf)
    assert bool((code == 0).all())
    (gradient,) = torch.autograd.grad(code.sum(), leaf)
    assert bool(torch.isfinite(gradient).all())


@every_rule
def test_codes_do_not_depend_on_brightness(name: str, options: dict[str, Any]) -> None:
    phi = representation(name, **options)
    image = image_for(phi).round()
    torch.testing.assert_close(phi(image + 64), phi(image), rtol=0, atol=1e-6)


@every_rule
def test_the_least_image_has_a_code_and_a_smaller_one_is_refused(
    name: str, options: dict[str, Any]
) -> None:
    phi = representation(name, **options)
    least = phi.least_side
    assert 0 not in phi(image_for(phi, side=least)).shape
    for height, width in ((least - 1, least), (least, least - 1), (1, 1)):
        with pytest.raises(PreimageError, match=f"at least {least}x{least} pixels"):
            phi(torch.zeros(1, 1, height, width))


@every_rule
@pytest.mark.parametrize("shape", [(1, 3, 40, 40), (1, 40, 40), (40, 40), (0,)])
def test_only_batches_of_grey_images_are_taken(
    name: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    with pytest.raises(PreimageError, match="sees grey images"):
        representation(name, **options)(torch.zeros(shape))


@every_rule
def test_whole_numbers_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(PreimageError, match=r"torch\.uint8"):
        representation(name, **options)(torch.zeros(1, 1, 40, 40, dtype=torch.uint8))


@every_rule
@pytest.mark.parametrize("size", [(40, 40), (37, 52), (61, 45)])
def test_a_code_tells_the_size_of_an_image_it_fits(
    name: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    phi = representation(name, **options)
    shape = phi(torch.zeros(1, 1, *size)).shape[1:]
    view = phi.view_of(shape)
    assert view is not None
    assert phi(torch.zeros(1, 1, *view)).shape[1:] == shape


@every_rule
@pytest.mark.parametrize("shape", [(31,), (31, 4), (31, 0, 4), (1, 31, 4, 4)])
def test_shapes_that_are_no_codes(name: str, options: dict[str, Any], shape: tuple[int]) -> None:
    with pytest.raises(PreimageError, match="codes of shape"):
        representation(name, **options).view_of(shape)


def looked_at(phi: Representation, image: Tensor, column: int) -> tuple[int, int]:
    """First and last column of the image that a component of the middle row depends on."""
    leaf = image.clone().requires_grad_()
    code = phi(leaf)
    (gradient,) = torch.autograd.grad(code[0, :, code.shape[2] // 2, column].sum(), leaf)
    columns = gradient[0, 0].abs().sum(0).nonzero().flatten()
    return int(columns[0]), int(columns[-1])


@every_rule
def test_geometry_is_what_gradients_say(name: str, options: dict[str, Any]) -> None:
    phi = representation(name, **options)
    image = random_image((1, 1, 64, 160), dtype=torch.float64)
    middle = phi(image).shape[-1] // 2
    (first, last), (next_first, _) = (looked_at(phi, image, c) for c in (middle, middle + 1))
    stride = next_first - first
    found = Geometry(last - first + 1, stride, (first + last) / 2 - middle * stride)
    assert found == phi.geometry


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("hog", {"cell": 0}, "cell size must be"),
        ("dsift", {"cell": 2.5}, "cell size must be"),
        ("dsift", {"step": -1}, "step must be"),
        ("dsift", {"window": 0}, "window must be"),
        ("dsift", {"window": float("nan")}, "window must be"),
        ("dsift", {"window": "wide"}, "window must be"),
        ("hog", {"gradient": "straight"}, "did you mean: straight-through"),
        ("hogb", {"gradient": "exact"}, "no option 'gradient'"),
        ("hog", {"cel": 4}, "did you mean: cell"),
        ("hog", {"step": 4}, "no option 'step'"),
    ],
)
def test_options_that_are_none(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        representation(name, **options)


def test_layers_and_names_that_are_none() -> None:
    with pytest.raises(UsageError, match="hog has no layers: leave the layer 'relu3' out"):
        representation("hog", "relu3")
    with pytest.raises(UsageError, match="unknown model 'hgob'; did you mean: hogb"):
        representation("hgob")
    with pytest.raises(UsageError, match="has no option 'cell'"):
        representation("efficientnet-lite0", "stem", cell=8)
