"""Orders, pairs and sides are random, fair, and the same on every visit."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from preimage.study import Item, Study
from preimage.study.questions import Question, questions_for


def made(settings: int = 3, items: int = 8, questions: int = 13, seed: int = 0) -> Study:
    names = tuple(f"setting {number}" for number in range(settings))
    rows = tuple(Item("toy", "relu1", f"{i}.jpg", ("0" * 32,) * settings) for i in range(items))
    return Study(Path("study"), seed, questions, names, rows)


def test_a_subject_always_gets_the_same_questions():
    first = questions_for(made(), "5eed")
    assert first == questions_for(made(), "5eed")
    assert len(first) == 13
    # Written down once: another machine or version of Python must not ask anything else.
    assert first[:3] == (Question(4, 0, 1), Question(6, 2, 0), Question(0, 0, 2))


def test_subjects_and_seeds_differ():
    orders = {questions_for(made(), f"{number:016x}") for number in range(20)}
    assert len(orders) == 20
    assert questions_for(made(seed=1), "5eed") != questions_for(made(), "5eed")


@pytest.mark.parametrize(("settings", "items", "questions"), [(2, 9, 9), (3, 8, 24), (4, 5, 17)])
def test_nothing_is_asked_twice_and_every_item_before_any_again(
    settings: int, items: int, questions: int
):
    for subject in ("a", "b", "c"):
        asked = questions_for(made(settings, items, questions), subject)
        assert len(asked) == questions
        assert len({(q.item, frozenset((q.left, q.right))) for q in asked}) == questions
        assert all(q.left != q.right for q in asked)
        for start in range(0, questions, items):
            part = [q.item for q in asked[start : start + items]]
            assert len(set(part)) == len(part)


def test_pairs_sides_and_places_are_uniform():
    study = made(items=4, questions=8)
    asked = [questions_for(study, f"{number:016x}") for number in range(3000)]
    everything = [q for order in asked for q in order]
    pairs = Counter(frozenset((q.left, q.right)) for q in everything)
    left = Counter(q.left for q in everything)
    first = Counter(order[0].item for order in asked)
    both = Counter((a.item, b.item) for a, b, *_ in asked)
    for counts, kinds in ((pairs, 3), (left, 3), (first, 4), (both, 12)):
        assert len(counts) == kinds
        expected = sum(counts.values()) / kinds
        # The 99.99 % quantile of χ² with 2, 3 and 11 degrees of freedom is at most 37.4.
        assert sum((n - expected) ** 2 / expected for n in counts.values()) < 37.4
    assert set(pairs) == {frozenset(pair) for pair in combinations(range(3), 2)}
