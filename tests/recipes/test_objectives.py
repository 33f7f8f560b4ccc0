"""Objectives: how they are typed, added up, and put on a code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from preimage import Channel, Direction, Label, PreimageError, UsageError
from preimage.recipes.objectives import find_class, from_dict, parse

LABELS = ("goose", "black swan", "water snake", "green snake", "crane", "crane bird")


def test_sums_differences_and_factors() -> None:
    objective = 2 * (Channel(0) - 0.5 * Channel(2)) + Channel(2) * 3
    assert objective.weights((4,)).tolist() == [2, 0, 2, 0]
    assert str(Channel(12) - 0.5 * Channel(7)) == "12 - 0.5*7"
    assert str(-Channel(3)) == "-3"


def test_a_channel_of_a_map_is_its_central_cell_unless_told_otherwise() -> None:
    assert Channel(1).weights((2, 5, 4)).nonzero().tolist() == [[1, 2, 2]]
    assert Channel(0, (4, 1)).weights((2, 5, 4)).nonzero().tolist() == [[0, 4, 1]]


@pytest.mark.parametrize(
    "text",
    ["12", "12 - 0.5*7", "-3 + 2*4", "12@3,4 - 7@0,0", '"black swan" - "goose"', "0.25*1"],
)
def test_what_is_typed_is_what_is_shown(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize("text", ["", "12 7", "12 -", "x", "12 ** 7", "1.5", '"goose', "12@3"])
def test_what_cannot_be_read_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"can't be read: expected channels .* '12 - 0.5\*7'"):
        parse(text)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("goose", 0),
        ("Black Swan", 1),
        ("swan", 1),
        ("crane", 4),
        ("bird", 5),
        ("swa", 1),
        ("ter sn", 2),
    ],
)
def test_a_class_is_found_by_its_name_or_a_part_that_only_it_has(name: str, index: int) -> None:
    assert find_class(name, LABELS) == index


def test_unknown_classes_list_the_nearest_and_ambiguous_ones_are_named() -> None:
    with pytest.raises(UsageError, match="no class 'gose'; did you mean: goose"):
        find_class("gose", LABELS)
    with pytest.raises(UsageError, match=r"may be water snake \(2\), green snake \(3\): give"):
        find_class("snake", LABELS)
    with pytest.raises(UsageError, match=r"'sna' may be water snake \(2\), green snake \(3\)"):
        find_class("sna", LABELS)
    with pytest.raises(UsageError, match="no class ''; known: goose"):
        find_class("", LABELS)
    with pytest.raises(UsageError, match=r"no class 'go\.se'"):
        find_class("go.se", LABELS)


def test_labels_become_channels_where_there_are_class_scores() -> None:
    resolved = (Label("goose") - Label("swan")).resolved((6,), LABELS)
    assert str(resolved) == "0 - 1"
    with pytest.raises(UsageError, match="this layer has no class scores"):
        Label("goose").resolved((6, 2, 2), LABELS)
    with pytest.raises(UsageError, match="hold no classifier"):
        Label("goose").resolved((6,), None)


def test_a_direction_is_put_on_the_central_cell() -> None:
    weights = Direction(np.array([1.0, -2.0])).weights((2, 3, 3))
    assert weights[:, 1, 1].tolist() == [1, -2]
    assert weights.abs().sum() == 3
    whole = np.ones((2, 3, 3))
    assert torch.equal(Direction(whole).weights((2, 3, 3)), torch.ones(2, 3, 3))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(2), "points nowhere"),
        (np.array([1.0, np.nan]), "finite real numbers"),
        (np.array(["a", "b"]), "finite real numbers"),
        (np.ones(5), r"has shape \[2\] or \[2, 3, 3\], this one is \[5\]"),
    ],
)
def test_directions_that_point_nowhere_are_refused(values: np.ndarray, words: str) -> None:
    with pytest.raises(PreimageError, match=words):
        Direction(values).weights((2, 3, 3))


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (Channel(2), "channel 2 is out of range: this layer has channels 0 to 1"),
        (Channel(-1), "out of range"),
        (Channel(0, (3, 0)), "position 3,0 is out of range: this layer has 3 rows"),
        (Channel(0) - Channel(0), "is zero"),
    ],
)
def test_what_the_code_does_not_have_is_refused(objective: Channel, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        objective.weights((2, 3, 3))


def test_a_vector_has_no_positions() -> None:
    with pytest.raises(UsageError, match="has no positions"):
        Channel(0, (0, 0)).weights((3,))


@pytest.mark.parametrize("text", ["12", "12@3,4", "12 - 0.5*7@1,1"])
def test_objectives_come_back_from_records(text: str) -> None:
    record = parse(text).to_dict()
    assert record is not None
    assert str(from_dict(record)) == text


def test_a_direction_has_no_words_in_the_record() -> None:
    assert (Channel(1) + Direction(np.ones(3))).to_dict() is None
