"""Wrong use of `invert`: one or two lines that say what was expected, what was got, what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import preimage as pi
from preimage.errors import PreimageError, UsageError
from toys import layer_of, small_layer, small_network

NAN = float("nan")


def refused(kind: type[PreimageError], words: str, *arguments: Any, **options: Any) -> None:
    with pytest.raises(kind, match=words) as caught:
        pi.invert(*arguments, **{"iterations": 2, **options})
    message = str(caught.value)
    assert type(caught.value) is kind, "the exit code follows from the class"
    assert len(message.splitlines()) <= 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"iters": 3}, r"^invert has no setting 'iters'; did you mean: .*iterations"),
        ({"sed": 3}, r"^invert has no setting 'sed'; did you mean: seed"),
        ({"view": (8, 8)}, r"^invert has no setting 'view'"),
        ({"fidelity": NAN}, r"fidelity C must be a number of at least 0, got nan"),
        ({"fidelity": -1.0}, r"fidelity C must be a number of at least 0, got -1"),
        ({"fidelity": float("inf")}, r"fidelity C must be .*got inf"),
        ({"alpha": 1.0}, r"alpha of Eq\. 5 must be a number of at least 2, got 1"),
        ({"alpha": NAN}, r"alpha of Eq\. 5"),
        ({"beta": 0.5}, r"beta of TV\^beta must be a number of at least 1, got 0\.5"),
        ({"beta": NAN}, r"beta of TV\^beta"),
        ({"iterations": 0}, r"iterations must be a whole number of at least 1, got 0"),
        ({"iterations": 10**20}, r"iterations must be at most 10000000, got 1"),
        ({"iterations": -5}, r"iterations must be .* got -5"),
        ({"iterations": 2.5}, r"iterations must be a whole number .* got 2\.5"),
        ({"channels": 5}, r"channels must be two whole numbers .* got 5"),
        ({"alpha": 1e9}, r"alpha = 1e\+09 is too large"),
        ({"beta": 1e9}, r"beta = 1e\+09 is too large"),
        ({"fidelity": 1e40}, r"fidelity C must be .* at most 1e\+30, got 1e\+40"),
        ({"seed": 1.5}, r"seed at least 0, got 1 and 1\.5"),
        ({"jitter": 0}, r"jitter T must be at least 1"),
        ({"restarts": 0}, r"restarts must be at least 1 .* got 0"),
        ({"restarts": -1}, r"restarts must be at least 1 .* got -1"),
        ({"seed": -1}, r"seed at least 0, got 1 and -1"),
        ({"seed": 2**63}, r"seeds must be below 2\^63, got 9223372036854775808"),
        ({"seed": 2**63 - 2, "restarts": 3}, r"seeds must be below 2\^63"),
        ({"preset": "bset"}, r"no preset 'bset'; did you mean: best"),
        ({"preset": ""}, r"no preset ''; known: best"),
        ({"neighbourhood": 0}, r"neighbourhood must be 1 to 8 cells, got 0"),
        ({"neighbourhood": -1}, r"neighbourhood must be 1 to 8 cells, got -1"),
        ({"neighbourhood": 9}, r"neighbourhood must be 1 to 8 cells, got 9"),
        ({"channels": (0, 13)}, r"channels must be a range within 0:12, got 0:13"),
        ({"channels": (5, 2)}, r"channels must be a range within 0:12, got 5:2"),
        ({"channels": (5, 5)}, r"channels must be a range within 0:12, got 5:5"),
        ({"channels": (-1, 4)}, r"channels must be a range within 0:12, got -1:4"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], words: str, photo: Path) -> None:
    refused(UsageError, words, small_layer(), photo, **options)


def test_a_vector_has_no_neighbourhood(photo: Path) -> None:
    refused(UsageError, "no positions", small_layer("fc"), photo, neighbourhood=1)


def test_neither_images_nor_a_code_or_both(photo: Path) -> None:
    phi = small_layer()
    words = "either images or a code to invert, not both and not neither"
    refused(UsageError, words, phi)
    refused(UsageError, words, phi, photo, code=pi.encode(phi, photo)[0])


@pytest.mark.parametrize("recipe", [pi.invert, pi.caricature, pi.dream, pi.texture, pi.maximize])
def test_a_name_is_no_representation_yet(recipe: Any, photo: Path) -> None:
    with pytest.raises(UsageError, match="expected a representation, got str"):
        recipe("alexnet", photo)


def test_a_name_is_no_representation_for_two_photos(photo: Path) -> None:
    for recipe in (pi.fool, pi.style):
        with pytest.raises(UsageError, match="expected a representation, got str"):
            recipe("alexnet", photo, photo)


def test_an_empty_list_of_images() -> None:
    refused(UsageError, "no image was given", small_layer(), [])


def test_neither_an_image_nor_a_list() -> None:
    refused(UsageError, "expected a path, an image or a list of them, got 3", small_layer(), 3)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (np.zeros((12, 8, 7)), r"toy:relu2 has codes of shape \[12, 8, 8\].* \[12, 8, 7\]"),
        (np.zeros((8, 8, 12)), "put the channels first"),
        (np.zeros((1, 12, 8, 8)), "leave out the dimension of the batch"),
        (np.zeros(10), r"this one is \[10\]: give the model and layer it was made with"),
        (np.float32(3), r"this one is \[\]"),
        (np.full((12, 8, 8), NAN), "NaN or infinite"),
        (np.full((12, 8, 8), np.inf), "NaN or infinite"),
        (np.full((12, 8, 8), 1e300), "infinite"),
        (torch.full((12, 8, 8), NAN), "NaN or infinite"),
        (np.zeros((12, 8, 8)), "zero wherever it counts"),
        (np.zeros((12, 8, 8), complex), "real numbers; this one holds complex128"),
        (np.zeros((12, 8, 8), bool), "real numbers; this one holds bool"),
        (np.full((12, 8, 8), "x"), "real numbers"),
        (np.full((12, 8, 8), None), "real numbers; this one holds object"),
    ],
    ids=[
        "shape",
        "channels last",
        "a batch",
        "vector",
        "scalar",
        "nan",
        "inf",
        "too large",
        "tensor of nan",
        "zero",
        "complex",
        "bool",
        "text",
        "objects",
    ],
)
@pytest.mark.filterwarnings("error")
def test_codes_that_are_none_of_this_layer(code: Any, words: str) -> None:
    refused(PreimageError, words, small_layer(), code=code)


def test_a_code_that_is_zero_in_the_channels_that_count() -> None:
    code = np.zeros((12, 8, 8), np.float32)
    code[6:] = 1
    pi.invert(small_layer(), code=code, iterations=1)
    refused(PreimageError, "zero wherever it counts", small_layer(), code=code, channels=(0, 6))


def test_an_image_that_is_missing_or_none(tmp_path: Path) -> None:
    refused(PreimageError, "nowhere.png", small_layer(), tmp_path / "nowhere.png")
    (tmp_path / "text.jpg").write_text("this is no picture")
    refused(PreimageError, r"text\.jpg", small_layer(), tmp_path / "text.jpg")
    refused(PreimageError, "folder", small_layer(), tmp_path)


def test_one_bad_image_of_several_stops_before_any_time_is_spent(
    photo: Path, tmp_path: Path
) -> None:
    calls: list[int] = []
    refused(
        PreimageError,
        "nowhere.png",
        small_layer(),
        [photo, tmp_path / "nowhere.png"],
        callbacks=[lambda s: calls.append(s.iteration)],
    )
    assert calls == []


@pytest.mark.parametrize("preset", [preset.name for preset in pi.PRESETS])
def test_a_representation_of_any_size_needs_one(preset: str) -> None:
    phi = layer_of(small_network(), "relu1", input_size=None)
    refused(UsageError, "any size", phi, code=np.ones((8, 16, 16)), preset=preset)


def test_an_unknown_setting_is_no_setting(photo: Path) -> None:
    refused(UsageError, "no setting 'temperature'; known", small_layer(), photo, temperature=3)


def test_whole_settings_and_overrides_are_not_mixed(photo: Path) -> None:
    phi = small_layer()
    settings = pi.settings_for(phi, "quick")
    refused(UsageError, "either whole settings or a preset", phi, photo, settings=settings)
