"""What a network's own classifier says about an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from preimage.errors import PreimageError, counted
from preimage.representations import Representation


@dataclass(frozen=True)
class ClassScore:
    """One class with its probability.

    Attributes:
        index: number of the class, from 0.
        label: its name.
        probability: softmax of the logits, a fraction.
    """

    index: int
    label: str
    probability: float


def top_classes(
    representation: Representation, image: Tensor, count: int = 5
) -> list[list[ClassScore]] | None:
    """The most probable classes of each image, best first, or None without a classifier.

    Args:
        representation: any layer of a network whose weights hold a classifier.
        image: `[N, C, H, W]` on the canvas scale, at the network's input size.
        count: how many classes to name.

    Example:
        >>> import torch, preimage as pi
        >>> phi = pi.representation("efficientnet-lite0", layer="block05")
        >>> len(top_classes(phi, torch.zeros(1, 3, 224, 224))[0])
        5
    """
    logits = representation.logits(image)
    if logits is None:
        return None
    labels = representation.class_labels or tuple(str(i) for i in range(logits.shape[1]))
    best = logits.softmax(1).topk(min(count, logits.shape[1]))
    return [
        [ClassScore(i, labels[i], p) for i, p in zip(indices, probabilities, strict=True)]
        for indices, probabilities in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def class_consistency(
    results: Sequence[Sequence[ClassScore]],
    references: Sequence[Sequence[ClassScore]],
    top: int = 1,
) -> float:
    """Fraction of results that the classifier gives their reference's class.

    |{i : c(x₀ᵢ) among the first `top` classes of xᵢ}| / N; top = 1 is the right of Fig. 6.

    Args:
        results: the classes of each pre-image, best first, as `top_classes` gives them.
        references: those of its reference; only the first class of each counts.
        top: how many classes of a result are looked at.

    Raises:
        PreimageError: if there are no results, not as many references, or fewer than `top`
            classes of a result.

    Source: Sect. 5.2.2, "Classification consistency"; top-5 is ours, after the ImageNet challenge.

    Example:
        >>> fox, dog = ClassScore(277, "red fox", 0.6), ClassScore(207, "retriever", 0.3)
        >>> class_consistency([[fox, dog], [dog, fox]], [[fox], [fox]])
        0.5
        >>> class_consistency([[fox, dog], [dog, fox]], [[fox], [fox]], top=2)
        1.0
    """
    if not results or len(results) != len(references):
        raise PreimageError(
            f"expected a reference for each of one or more results, got "
            f"{counted(len(results), 'result')} and {counted(len(references), 'reference')}"
        )
    if top < 1 or min(map(len, results)) < top or not all(references):
        raise PreimageError(f"expected at least top = {top} classes of each result, and top >= 1")
    kept = [
        reference[0].index in {score.index for score in result[:top]}
        for result, reference in zip(results, references, strict=True)
    ]
    return sum(kept) / len(kept)
