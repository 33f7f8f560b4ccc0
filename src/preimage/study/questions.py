"""What a subject is asked, and in which order: drawn anew for everyone, the same on every visit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from random import Random

from preimage.study.manifest import Study


@dataclass(frozen=True)
class Question:
    """Two pictures of one item.

    Attributes:
        item: number of the item in the study.
        left, right: numbers of the two settings.
    """

    item: int
    left: int
    right: int


def questions_for(study: Study, subject: str) -> tuple[Question, ...]:
    """The questions of a subject, from nothing but the study's seed and the subject's id.

    Items come in random order, each once before any comes again. Each time, the pair of settings
    is drawn uniformly from those the subject has not yet seen of the item, and so are the sides:
    no setting is asked about more often than another, or stands on one side more often.

    Source: Sect. 5.2.3, "Interpretability".

    Example:
        >>> from pathlib import Path
        >>> from preimage.study import Item
        >>> items = tuple(Item("toy", "relu1", f"{n}.jpg", ("0" * 32,) * 3) for n in range(4))
        >>> study = Study(Path("study"), 0, 9, ("a", "b", "c"), items)
        >>> asked = questions_for(study, "0123456789abcdef")
        >>> len(asked), asked == questions_for(study, "0123456789abcdef")
        (9, True)
    """
    # Seeded with a text, Random hashes it with SHA-512: the same on every machine and version.
    random = Random(f"{study.seed}/{subject}")
    pairs = list(combinations(range(len(study.settings)), 2))
    unseen = [random.sample(pairs, len(pairs)) for _ in study.items]
    asked: list[Question] = []
    while len(asked) < study.questions:
        for item in random.sample(range(len(study.items)), len(study.items)):
            left, right = random.sample(unseen[item].pop(), 2)
            asked.append(Question(item, left, right))
    return tuple(asked[: study.questions])
