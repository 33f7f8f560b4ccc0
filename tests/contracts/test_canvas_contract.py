"""What every canvas promises, with every map to the colour range."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch import Tensor

from preimage.errors import UsageError
from preimage.recipes.settings import KINDS, Settings
from preimage.search import Adam, Stage
from preimage.search.canvases import (
    BlurredCanvas,
    BoxCanvas,
    Canvas,
    FrameCanvas,
    PhaseCanvas,
    PixelCanvas,
    PyramidCanvas,
    SpectralCanvas,
)
from preimage.search.canvases.colours import EDGE, LUCID_COLOUR, RANGES, SLOPE
from preimage.search.canvases.frames import PLACES
from toys import random_image

# PyTorch's forward mode warns about its own insides.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")

CANVASES: dict[str, Canvas] = {
    "pixel": PixelCanvas(),
    "pixel, no ball": PixelCanvas(B_plus=None),
    "pyramid": PyramidCanvas(),
    "box": BoxCanvas(),
    **{f"spectral, {name}": SpectralCanvas(range=name) for name in RANGES},
    **{f"phase, {name}": PhaseCanvas(0.5, range=name) for name in RANGES},
    "blurred": BlurredCanvas(0.8),
    "blurred and clipped": BlurredCanvas(1.5, clipped=0.3),
    **{f"spectral, {name}, p = 1.3": SpectralCanvas(1.3, range=name) for name in RANGES},
    **{f"frame, {name}": FrameCanvas(range=name) for name in RANGES},
    "frame, three levels": FrameCanvas(0.8, levels=3),
    "spectral, faint colours": SpectralCanvas(range="sigmoid", chroma=0.3),
}

every_canvas = pytest.mark.parametrize("canvas", CANVASES.values(), ids=CANVASES)

FROM_AN_IMAGE = {
    name: canvas
    for name, canvas in CANVASES.items()
    if type(canvas).parameters_of is not Canvas.parameters_of
}
"""Those that can start from an image; the others say that they can't."""

SIZES = [(8, 8), (9, 8), (8, 9), (7, 7), (5, 12), (11, 13), (1, 6), (17, 1)]
"""Odd and even, prime (so that the transform is larger than the canvas), wide and high."""

every_size = pytest.mark.parametrize("size", SIZES, ids=str)

MEANS = {1: (115.0,), 3: (120.0, 110.0, 100.0), 4: (120.0, 110.0, 100.0, 90.0)}


def lively(canvas: Canvas, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
    """Parameters of an image with as much colour as a photo, in the range maps' bends too."""
    parameters = canvas.start(shape, seeds)
    if isinstance(canvas, FrameCanvas | SpectralCanvas):
        parameters *= 1.0 / canvas.amplitude
    return parameters


def noise_like(tensor: Tensor, seed: int = 0) -> Tensor:
    return random_image(tensor.shape, seed, scale=1.0, dtype=tensor.dtype)


def test_all_canvases_can_be_saved_in_settings_and_are_checked_here() -> None:
    kinds = {kind for kind in KINDS.values() if issubclass(kind, Canvas)}
    assert kinds == {k for k in Canvas.__subclasses__() if k.__module__.startswith("preimage.")}
    assert kinds == {type(canvas) for canvas in CANVASES.values()}
    assert {c.range for c in CANVASES.values() if isinstance(c, SpectralCanvas)} == set(RANGES)


@every_canvas
@every_size
@pytest.mark.parametrize("channels", MEANS)
def test_it_renders_a_finite_image_of_the_shape_asked_for(
    canvas: Canvas, size: tuple[int, int], channels: int
) -> None:
    shape = (channels, *size)
    for parameters in (canvas.start(shape, [3, 4]), lively(canvas, shape, [3, 4])):
        image = canvas.render(parameters.clone(), shape, MEANS[channels])
        assert image.shape == (2, *shape)
        assert image.dtype == torch.float32
        assert torch.isfinite(image).all()
        assert not torch.equal(image[0], image[1])


def photo_like(shape: Sequence[int], mean: Sequence[float]) -> Tensor:
    """An image on the canvas scale whose pixels fill 0 to 255, its corners black and white."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, *shape, generator=generator) * 255
    pixels[..., 0, 0], pixels[..., -1, -1] = 0.0, 255.0
    return pixels - torch.tensor(mean).view(1, -1, 1, 1)


@pytest.mark.parametrize("canvas", FROM_AN_IMAGE.values(), ids=FROM_AN_IMAGE)
@every_size
@pytest.mark.parametrize("channels", MEANS)
def test_the_parameters_of_an_image_render_it(
    canvas: Canvas, size: tuple[int, int], channels: int
) -> None:
    shape, mean = (channels, *size), MEANS[channels]
    image = photo_like(shape, mean)
    before = image.clone()
    parameters = canvas.parameters_of(image, mean)
    assert torch.equal(image, before)
    assert parameters.shape == canvas.start(shape, [0, 1]).shape
    # A sigmoid reaches neither black nor white.
    near = EDGE if getattr(canvas, "range", "") == "sigmoid" else 0.0
    rendered = canvas.render(parameters, shape, mean)
    torch.testing.assert_close(rendered, image, rtol=0, atol=near + 0.05)


def test_a_canvas_without_an_inverse_says_so() -> None:
    class NoWayBack(PixelCanvas):
        parameters_of = Canvas.parameters_of

    with pytest.raises(UsageError, match="a NoWayBack can't start from an image"):
        NoWayBack().parameters_of(torch.zeros(1, 3, 4, 4), MEANS[3])


@every_canvas
@every_size
@pytest.mark.parametrize("channels", MEANS)
@pytest.mark.usefixtures("double_precision")
def test_pull_back_is_the_adjoint_of_the_derivative_of_render(
    canvas: Canvas, size: tuple[int, int], channels: int
) -> None:
    """⟨J·v, w⟩ = ⟨v, Jᵀ·w⟩, with J·v by forward-mode differentiation."""
    shape, mean = (channels, *size), MEANS[channels]
    parameters = lively(canvas, shape, [0, 1])
    v = noise_like(parameters)
    image, forward = torch.func.jvp(
        lambda p: canvas.render(p, shape, mean), (parameters.clone(),), (v,)
    )
    w = noise_like(image, seed=1)
    backward = canvas.pull_back(w.clone(), image, mean, parameters)
    assert backward.shape == parameters.shape
    left = (forward * w).flatten(1).sum(1)
    right = (v * backward).flatten(1).sum(1)
    scale = forward.norm() * w.norm()
    torch.testing.assert_close(left / scale, right / scale, rtol=0, atol=1e-12)


@every_canvas
@given(size=st.tuples(st.integers(2, 14), st.integers(2, 14)), seed=st.integers(0, 99))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("double_precision")
def test_pull_back_is_the_slope_of_any_function_of_the_image(
    canvas: Canvas, size: tuple[int, int], seed: int
) -> None:
    shape, mean = (3, *size), MEANS[3]
    parameters = lively(canvas, shape, [seed])
    weight = random_image((1, *shape), seed, scale=1.0, dtype=torch.float64)
    gradient = canvas.pull_back(
        weight.clone(), canvas.render(parameters.clone(), shape, mean), mean, parameters
    )
    along, h = noise_like(parameters), 1e-5
    ahead = (canvas.render(parameters + h * along, shape, mean) * weight).sum()
    behind = (canvas.render(parameters - h * along, shape, mean) * weight).sum()
    torch.testing.assert_close(
        (gradient * along).sum(), (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-5
    )


@every_canvas
def test_pull_back_in_the_loops_own_precision(canvas: Canvas) -> None:
    shape, mean = (3, 19, 16), MEANS[3]
    parameters = lively(canvas, shape, [5])
    v = noise_like(parameters)
    image, forward = torch.func.jvp(
        lambda p: canvas.render(p, shape, mean), (parameters.clone(),), (v,)
    )
    w = noise_like(image, seed=1)
    backward = canvas.pull_back(w.clone(), image, mean, parameters)
    left, right = (forward.double() * w).sum(), (v.double() * backward).sum()
    scale = forward.double().norm() * w.double().norm()
    assert abs(float((left - right) / scale)) < 1e-5


@every_canvas
def test_pull_back_leaves_the_image_as_it_is(canvas: Canvas) -> None:
    shape, mean = (3, 9, 8), MEANS[3]
    parameters = lively(canvas, shape, [0])
    image = canvas.render(parameters, shape, mean)
    before = image.clone()
    canvas.pull_back(random_image(image.shape), image, mean, parameters)
    assert torch.equal(image, before)


@every_canvas
@given(seeds=st.lists(st.integers(0, 2**31), min_size=1, max_size=5))
def test_the_start_depends_on_the_problems_seed_and_on_nothing_else(
    canvas: Canvas, seeds: list[int]
) -> None:
    shape = (3, 6, 7)
    together = canvas.start(shape, seeds)
    for problem, seed in zip(together, seeds, strict=True):
        assert torch.equal(problem, canvas.start(shape, [seed])[0])
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert torch.equal(canvas.start(shape, seeds), together)
    assert torch.equal(torch.get_rng_state(), state)


@every_canvas
def test_rendering_does_not_depend_on_the_batch(canvas: Canvas) -> None:
    shape, mean = (3, 10, 9), MEANS[3]
    parameters = lively(canvas, shape, [0, 1, 2])
    together = canvas.render(parameters.clone(), shape, mean).clone()
    for i in range(3):
        alone = canvas.render(parameters[i : i + 1].clone(), shape, mean)
        torch.testing.assert_close(together[i : i + 1], alone)


@every_canvas
def test_rendering_twice_gives_the_same_and_leaves_the_parameters(canvas: Canvas) -> None:
    shape, mean = (3, 10, 9), MEANS[3]
    parameters = lively(canvas, shape, [0])
    before = parameters.clone()
    first = canvas.render(parameters, shape, mean).clone()
    assert torch.equal(canvas.render(parameters, shape, mean), first)
    assert torch.equal(parameters, before)


@every_canvas
def test_what_is_kept_of_one_size_serves_no_other(canvas: Canvas) -> None:
    mean = MEANS[3]
    shapes = [(3, 8, 9), (3, 9, 8), (3, 8, 8), (3, 9, 9)]
    first = [canvas.render(lively(canvas, s, [0]), s, mean).clone() for s in shapes]
    for shape, image in zip(reversed(shapes), reversed(first), strict=True):
        assert torch.equal(canvas.render(lively(canvas, shape, [0]), shape, mean), image)


@every_canvas
def test_constrained_parameters_stay_where_they_are(canvas: Canvas) -> None:
    parameters = 10 * lively(canvas, (3, 6, 6), [0, 1])
    canvas.constrain_(parameters)
    again = parameters.clone()
    canvas.constrain_(again)
    torch.testing.assert_close(again, parameters)


def test_sigmoid_keeps_to_the_pixels_there_are() -> None:
    image = SpectralCanvas(range="sigmoid").render(
        random_image((1, 3, 8, 5, 2), scale=1e4), (3, 8, 8), MEANS[3]
    )
    pixels = image + torch.tensor(MEANS[3]).view(1, 3, 1, 1)
    assert float(pixels.min()) >= -1e-3
    assert float(pixels.max()) <= 255 + 1e-3


@pytest.mark.parametrize("kind", [FrameCanvas, SpectralCanvas])
def test_an_unknown_range_is_refused(kind: type[FrameCanvas | SpectralCanvas]) -> None:
    with pytest.raises(UsageError, match="no range 'sigmod'; did you mean: sigmoid"):
        kind(range="sigmod")


@pytest.mark.parametrize("kind", [FrameCanvas, SpectralCanvas])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_exponent_and_amplitude_must_be_numbers(
    kind: type[FrameCanvas | SpectralCanvas], value: float
) -> None:
    with pytest.raises(UsageError, match="exponent and amplitude must be numbers"):
        kind(exponent=value)


@pytest.mark.parametrize("value", [float("nan"), 0.0, -1.0])
def test_chroma_must_be_positive(value: float) -> None:
    with pytest.raises(UsageError, match="chroma must be a positive number"):
        SpectralCanvas(chroma=value)


def test_faint_colours_differ_from_grey_by_as_much_less() -> None:
    shape, mean = (3, 12, 10), MEANS[3]
    parameters = SpectralCanvas().start(shape, [0])
    parameters[:, 0] = 0
    full = SpectralCanvas().render(parameters, shape, mean)
    faint = SpectralCanvas(chroma=0.25).render(parameters, shape, mean)
    torch.testing.assert_close(faint, 0.25 * full)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("size", [(24, 40), (21, 38)], ids=str)
def test_a_frame_is_its_waves_and_its_enlarged_levels_added_up(size: tuple[int, int]) -> None:
    """Against SciPy: order-1 splines at half a pixel's offset enlarge bilinearly."""
    canvas, shape, mean = FrameCanvas(1.3, range="linear", levels=3), (3, *size), MEANS[3]
    parameters = lively(canvas, shape, [0])
    spectral = SpectralCanvas(1.3, range="linear")
    waves = spectral.start(shape, [0])
    expected = spectral.render(parameters[:, : waves.numel()].view(waves.shape), shape, mean)
    places = parameters[0, waves.numel() :].numpy()
    total = np.zeros(shape)
    for level in range(3):
        sides = [math.ceil(side / 2**level) for side in size]
        count = 3 * math.prod(sides)
        enlarged, places = places[:count].reshape(3, *sides), places[count:]
        for finer in range(level - 1, -1, -1):
            enlarged = enlarged_by_two(enlarged)
            enlarged = enlarged[:, : math.ceil(size[0] / 2**finer), : math.ceil(size[1] / 2**finer)]
        total += PLACES * 0.5 ** (-(level + 1) * 1.3) / 2**level * enlarged
    assert len(places) == 0
    colours = np.array(LUCID_COLOUR)
    colours /= np.linalg.norm(colours, axis=0).max()
    expected += torch.tensor(np.tensordot(colours, total, 1) * SLOPE / 4)
    torch.testing.assert_close(canvas.render(parameters, shape, mean), expected)


def enlarged_by_two(planes: np.ndarray) -> np.ndarray:
    """Bilinear, with pixel centres at half-integers and the border going on."""
    at = [(np.arange(2 * side) - 0.5) / 2 for side in planes.shape[1:]]
    grid = np.meshgrid(*at, indexing="ij")
    return np.stack([map_coordinates(p, grid, order=1, mode="nearest") for p in planes])


def test_a_frame_has_a_level() -> None:
    with pytest.raises(UsageError, match="a frame needs at least one level, got 0"):
        FrameCanvas(levels=0)


def test_the_box_keeps_levels_between_black_and_white() -> None:
    levels = torch.tensor([-3.0, 0.0, 100.0, 255.0, 300.0]).view(1, 1, 1, 5)
    BoxCanvas().constrain_(levels)
    assert levels.flatten().tolist() == [0.0, 0.0, 100.0, 255.0, 255.0]
    image = BoxCanvas().render(levels, (1, 1, 5), (100.0,))
    assert image.flatten().tolist() == [-100.0, -100.0, 0.0, 155.0, 155.0]


@pytest.mark.parametrize("name", RANGES)
def test_all_ranges_agree_near_the_middle(name: str) -> None:
    shape, mean = (3, 8, 8), (127.5,) * 3
    parameters = SpectralCanvas().start(shape, [0])
    linear = SpectralCanvas(range="linear").render(parameters.clone(), shape, mean)
    image = SpectralCanvas(range=name).render(parameters.clone(), shape, mean)
    torch.testing.assert_close(image, linear, rtol=0, atol=0.02 * float(linear.abs().max()))


@every_canvas
def test_it_comes_back_from_settings(canvas: Canvas) -> None:
    chosen = Settings("none", 1.0, canvas=canvas, step_rule=Adam(0.1), stages=(Stage(1),))
    assert Settings.from_dict(chosen.to_dict()).canvas == canvas
