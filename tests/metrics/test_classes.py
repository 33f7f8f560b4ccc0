"""What a network's own classifier says."""

from __future__ import annotations

import pytest
import torch

from preimage.errors import PreimageError
from preimage.metrics import ClassScore, class_consistency, top_classes
from preimage.representations import NetworkLayer
from toys import SIDE, layer_of, random_image, small_layer, small_network

LABELS = tuple(f"thing {i}" for i in range(10))


def classifying(layer: str = "relu1", labels: tuple[str, ...] | None = LABELS) -> NetworkLayer:
    return layer_of(small_network(), layer, classifier="fc", labels=labels)


@pytest.mark.parametrize("layer", ["conv1", "relu2", "fc"])
def test_classes_are_those_of_the_whole_network_whatever_the_layer(layer: str) -> None:
    image = random_image((3, 3, SIDE, SIDE))
    network = small_network()
    with torch.no_grad():
        probabilities = network(image / 60).softmax(1)
    scores = top_classes(classifying(layer), image)
    assert scores is not None
    for row, expected in zip(scores, probabilities, strict=True):
        assert [score.index for score in row] == expected.argsort(descending=True)[:5].tolist()
        for score in row:
            assert score.label == LABELS[score.index]
            assert score.probability == pytest.approx(float(expected[score.index]), rel=1e-4)


def test_scores_that_are_maps_count_by_their_mean() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 10, 4, stride=4))
    phi = layer_of(network, "0", classifier="0", labels=LABELS, input_size=None)
    image = random_image((2, 3, 8, 12))
    scores = phi.logits(image)
    assert scores is not None
    torch.testing.assert_close(scores, network(image / 60).mean((2, 3)))
    assert top_classes(phi, image, count=10) is not None


def test_probabilities_fall_and_sum_to_one() -> None:
    (row,) = top_classes(classifying(), random_image((1, 3, SIDE, SIDE)), count=10) or [[]]
    probabilities = [score.probability for score in row]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(("count", "length"), [(1, 1), (5, 5), (50, 10)])
def test_as_many_as_asked_for_or_as_there_are(count: int, length: int) -> None:
    (row,) = top_classes(classifying(), random_image((1, 3, SIDE, SIDE)), count) or [[]]
    assert len(row) == length


def test_without_names_the_numbers_serve() -> None:
    (row,) = top_classes(classifying(labels=None), random_image((1, 3, SIDE, SIDE))) or [[]]
    assert all(isinstance(score, ClassScore) for score in row)
    assert [score.label for score in row] == [str(score.index) for score in row]


def test_without_a_classifier_there_are_none() -> None:
    assert top_classes(small_layer(), random_image((1, 3, SIDE, SIDE))) is None


def row(*indices: int) -> list[ClassScore]:
    return [ClassScore(index, LABELS[index], 0.1) for index in indices]


@pytest.mark.parametrize(("top", "fraction"), [(1, 0.25), (2, 0.5), (3, 0.75)])
def test_consistency_counts_the_references_first_class_among_the_results_first(
    top: int, fraction: float
) -> None:
    results = [row(1, 2, 3), row(2, 1, 3), row(2, 3, 1), row(4, 5, 6)]
    references = [row(1, 4, 5)] * 4
    assert class_consistency(results, references, top) == fraction


def test_consistency_of_images_with_themselves_is_whole() -> None:
    scores = top_classes(classifying(), random_image((4, 3, SIDE, SIDE)))
    assert scores is not None
    assert class_consistency(scores, scores) == 1.0


@pytest.mark.parametrize(
    ("results", "references", "top"),
    [([], [], 1), ([row(1)], [], 1), ([row(1)], [row(1)], 2), ([row(1)], [row(1)], 0)],
)
def test_consistency_of_nothing_is_refused(
    results: list[list[ClassScore]], references: list[list[ClassScore]], top: int
) -> None:
    with pytest.raises(PreimageError):
        class_consistency(results, references, top)
