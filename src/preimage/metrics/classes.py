"""What a network's own classifier says about an image."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

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
