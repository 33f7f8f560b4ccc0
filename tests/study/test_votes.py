"""Votes are kept once, in order, and through a kill."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from preimage.errors import PreimageError
from preimage.study import Ballots, Study, cast_votes
from preimage.study.manifest import VOTES
from preimage.study.questions import questions_for

SUBJECT = "00000000000000aa"


def test_a_vote_says_what_was_asked_and_chosen(study: Study):
    ballots = Ballots(study)
    asked = questions_for(study, SUBJECT)
    assert ballots.cast(SUBJECT, 0, "left")
    assert ballots.cast(SUBJECT, 1, "right")
    votes = ballots.all()
    assert [vote.question for vote in votes] == list(asked[:2])
    assert [vote.choice for vote in votes] == [asked[0].left, asked[1].right]
    assert [(vote.subject, vote.number) for vote in votes] == [(SUBJECT, 0), (SUBJECT, 1)]
    assert cast_votes(study) == votes


def test_only_the_next_question_can_be_answered_and_once(study: Study):
    ballots = Ballots(study)
    assert not ballots.cast(SUBJECT, 1, "left")
    assert not ballots.cast(SUBJECT, -1, "left")
    assert ballots.cast(SUBJECT, 0, "left")
    assert not ballots.cast(SUBJECT, 0, "right")
    assert ballots.count(SUBJECT) == 1
    for number in range(1, study.questions):
        assert ballots.cast(SUBJECT, number, "left")
    assert not ballots.cast(SUBJECT, study.questions, "left")
    assert ballots.count(SUBJECT) == len(ballots.all()) == study.questions


def test_of_votes_cast_at_once_one_counts(study: Study):
    ballots = Ballots(study)
    with ThreadPoolExecutor(8) as pool:
        cast = list(pool.map(lambda side: ballots.cast(SUBJECT, 0, side), ["left", "right"] * 8))
    assert cast.count(True) == 1
    assert ballots.count(SUBJECT) == 1


def test_tokens_are_sealed(study: Study):
    ballots = Ballots(study)
    token, other = ballots.new_token(), ballots.new_token()
    subject, _, seal = token.partition(".")
    assert ballots.subject_of(token) == subject
    assert Ballots(study).subject_of(token) == subject  # also after a restart
    assert len(subject) == 16
    assert subject != other.partition(".")[0]
    forged = ["", ".", subject, f"{subject}.", f"{SUBJECT}.{seal}", token + "0", f"é.{seal}"]
    assert [ballots.subject_of(text) for text in forged] == [None] * len(forged)


def test_another_studys_tokens_and_votes_are_not_taken(study: Study):
    token = Ballots(study).new_token()
    changed = replace(study, seed=study.seed + 1)
    with pytest.raises(PreimageError, match="votes of another study"):
        Ballots(changed)
    (study.folder / VOTES).unlink()
    assert Ballots(changed).subject_of(token) is None


def test_a_file_that_holds_no_votes(study: Study):
    (study.folder / VOTES).write_bytes(b"no database" * 100)
    with pytest.raises(PreimageError, match=r"votes\.sqlite"):
        Ballots(study)


def test_never_served_is_no_votes_and_no_file(study: Study):
    assert cast_votes(study) == []
    assert not (study.folder / VOTES).exists()


def test_the_file_is_in_write_ahead_mode_and_holds_no_identity(study: Study):
    Ballots(study).cast(SUBJECT, 0, "left")
    connection = sqlite3.connect(study.folder / VOTES)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(votes)")]
    assert columns == ["subject", "number", "item", "left", "right", "choice"]
    connection.close()


PROGRAM = """
import sys
from preimage.study import Ballots, load_study
ballots = Ballots(load_study(sys.argv[1]))
for subject in range(10**6):
    for number in range(ballots.study.questions):
        assert ballots.cast(f"{subject:016x}", number, "left")
        print(subject, number, flush=True)
"""


def test_a_killed_process_loses_no_vote_that_it_acknowledged(study: Study):
    words = [sys.executable, "-c", PROGRAM, str(study.folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    acknowledged = [tuple(map(int, line.split())) for line in lines if line.endswith("\n")]
    kept = [(int(vote.subject, 16), vote.number) for vote in Ballots(study).all()]
    assert len(acknowledged) >= 40
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) <= len(acknowledged) + 1  # one may have been committed, not yet acknowledged
