"""Counts, fractions and intervals."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from preimage.errors import PreimageError
from preimage.study import Ballots, Study, Vote, tally
from preimage.study.figure import figure, save_figure
from preimage.study.questions import Question, questions_for

PREFERENCE = [1, 2, 0]
"""Settings from the best liked to the least, for subjects who know what they want."""


def answers(study: Study, subject: str, count: int) -> list[Vote]:
    """Votes of a subject who always prefers by `PREFERENCE`."""
    votes = []
    for number, asked in enumerate(questions_for(study, subject)[:count]):
        choice = min((asked.left, asked.right), key=PREFERENCE.index)
        votes.append(Vote(subject, number, asked, choice))
    return votes


def test_fractions_are_of_the_votes_that_had_the_choice(study: Study):
    votes = [vote for name in "abcdef" for vote in answers(study, name, 11)]
    counted = tally(study, votes)
    assert (counted.votes, counted.counted) == (66, 36)
    for row in counted.rows:
        layer_votes = [
            v for v in votes if v.number >= 5 and study.items[v.question.item].layer == row.layer
        ]
        setting = study.settings.index(row.setting)
        shown = [v for v in layer_votes if setting in (v.question.left, v.question.right)]
        assert row.shown == len(shown) > 0
        assert row.won == sum(v.choice == setting for v in shown)
        assert row.fraction == row.won / row.shown
        exact = stats.binomtest(row.won, row.shown).proportion_ci(method="wilson")
        assert row.interval == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert [row.fraction for row in counted.rows if row.setting == "best"] == [1.0, 1.0]
    assert [row.fraction for row in counted.rows if row.setting == "paper"] == [0.0, 0.0]
    assert sum(row.won for row in counted.rows) == 36
    assert sum(row.shown for row in counted.rows) == 72


def test_the_first_five_votes_of_everyone_do_not_count(study: Study):
    counted = tally(study, [*answers(study, "a", 5), *answers(study, "b", 6)])
    assert (counted.votes, counted.counted) == (11, 1)
    first, second = counted.subjects
    assert (first.subject, first.votes, first.counted, first.left) == ("a", 5, 0, None)
    assert first.won == (None, None, None)
    assert (second.votes, second.counted, second.finished) == (6, 1, False)


def test_a_subject_who_finished_and_always_chose_left(study: Study):
    votes = [Vote("a", n, q, q.left) for n, q in enumerate(questions_for(study, "a"))]
    (subject,) = tally(study, votes).subjects
    assert subject.finished
    assert subject.left == 1.0
    assert subject.votes == 11


def test_votes_that_answer_no_question_of_their_subject_do_not_count(study: Study):
    genuine = answers(study, "a", 11)
    asked = genuine[7].question
    swapped = Question(asked.item, asked.right, asked.left)
    planted = [
        Vote("a", 7, swapped, asked.left),
        Vote("a", 99, asked, asked.left),
        Vote("a", 8, Question(99, 0, 1), 0),
    ]
    counted = tally(study, [*genuine[:7], *planted])
    assert (counted.votes, counted.counted) == (7, 2)


def test_without_votes_there_is_no_fraction_and_no_figure(study: Study):
    counted = tally(study, [])
    assert (counted.votes, counted.counted, counted.subjects) == (0, 0, ())
    assert all(row.fraction is None and row.interval is None for row in counted.rows)
    with pytest.raises(PreimageError, match="none of 0 votes counts yet"):
        figure(counted)


def test_the_figure_shows_the_fractions_with_their_intervals(study: Study):
    counted = tally(study, [vote for name in "abcd" for vote in answers(study, name, 11)])
    (axes,) = figure(counted).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["relu1", "relu2"]
    for container, setting in zip(
        [c for c in axes.containers if hasattr(c, "patches")], study.settings, strict=True
    ):
        rows = [row for row in counted.rows if row.setting == setting and row.shown]
        heights = [bar.get_height() for bar in container.patches]
        assert heights == [row.fraction for row in rows]
        (arms,) = container.errorbar.lines[2]
        ends = [tuple(segment[:, 1]) for segment in arms.get_segments()]
        assert ends == [pytest.approx(row.interval) for row in rows]


def test_a_layer_that_was_never_counted_has_no_bar(study: Study, tmp_path):
    votes = answers(study, "a", 6)
    save_figure(tally(study, votes), tmp_path / "figure.png")
    pixels = np.asarray(Image.open(tmp_path / "figure.png").convert("L"))
    assert pixels.shape[0] > 400
    assert pixels.min() < 60
    assert pixels.max() == 255
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".png"] == ["figure.png"]


def test_ballots_can_be_tallied_while_they_come_in(study: Study):
    ballots = Ballots(study)
    for number in range(7):
        ballots.cast("0" * 16, number, "right")
        assert tally(study, ballots.all()).votes == number + 1


def test_names_are_shown_as_they_are(study: Study):
    named = replace(study, settings=("_hidden", "C=$x", "$y$"))
    picture = figure(tally(named, answers(named, "a", 11)))
    picture.savefig(io.BytesIO())
    shown = [text.get_text() for text in picture.legends[0].get_texts()]
    assert shown == [" _hidden", r"C=\$x", r"\$y\$"]
