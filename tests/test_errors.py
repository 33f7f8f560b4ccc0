from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preimage.errors import PreimageError, UsageError, counted, nearest, one_line


def test_exit_codes() -> None:
    assert PreimageError.exit_code == 1
    assert UsageError.exit_code == 2
    assert issubclass(UsageError, PreimageError)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("alexnt", "did you mean: alexnet?"),
        ("ALEXNET", "did you mean: alexnet?"),
        ("qqq", "known: alexnet, vgg16, HOG"),
        ("hogg", "did you mean: HOG?"),
    ],
)
def test_nearest_names(typed: str, said: str) -> None:
    assert nearest(typed, ["alexnet", "vgg16", "HOG"]) == said


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (1, ("photo",), "1 photo"),
        (2, ("photo",), "2 photos"),
        (0, ("photo",), "0 photos"),
        (1, ("class", "classes"), "1 class"),
        ("no", ("class", "classes"), "no classes"),
    ],
)
def test_numbers_with_their_nouns(count: object, words: tuple[str, ...], said: str) -> None:
    assert counted(count, *words) == said


def test_a_name_typed_in_part_is_the_beginning_of_what_was_meant() -> None:
    known = ["alexnet-conv", "alexnet-torchvision-with-all-layers", "vgg16-conv"]
    assert nearest("alexnet", known) == f"did you mean: {known[0]}, {known[1]}?"
    assert nearest("vg", known) == f"known: {', '.join(known)}"


def test_long_lists_are_cut() -> None:
    assert nearest("zzz", ["a1", "b2", "c3"], n=2) == "known: a1, b2, ..."
    assert nearest("zzz", []) == "none are known"


@given(name=st.text(), known=st.lists(st.text(min_size=1)), n=st.integers(1, 5))
def test_any_text_gets_an_answer(name: str, known: list[str], n: int) -> None:
    assert nearest(name, known, n).startswith(("did you mean: ", "known: ", "none are known"))


@given(known=st.lists(st.from_regex(r"[a-z]{3,9}", fullmatch=True), min_size=1, unique=True))
def test_a_right_name_is_its_own_nearest(known: list[str]) -> None:
    answer = nearest(known[0], known)
    assert answer.removeprefix("did you mean: ").rstrip("?").split(", ")[0] == known[0]


@given(text=st.text(), limit=st.integers(1, 50))
def test_foreign_words_are_made_harmless(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable()
    assert len(line.splitlines()) <= 1
