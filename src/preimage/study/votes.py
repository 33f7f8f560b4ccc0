"""Votes on disk: each committed before it is acknowledged, none twice, no identities."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from preimage.errors import PreimageError
from preimage.study.manifest import VOTES, Study
from preimage.study.questions import Question, questions_for

SUBJECT_BYTES = 8
WAIT_SECONDS = 10.0
"""How long a vote waits for another one that is being written."""

TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS votes (
    subject TEXT NOT NULL,
    number INTEGER NOT NULL,
    item INTEGER NOT NULL,
    left INTEGER NOT NULL,
    right INTEGER NOT NULL,
    choice INTEGER NOT NULL CHECK (choice IN (left, right)),
    PRIMARY KEY (subject, number)
);
"""


@dataclass(frozen=True)
class Vote:
    """One answer.

    Attributes:
        subject: who gave it: 16 random hexadecimal digits.
        number: which of the subject's answers, from 0.
        question: what was asked.
        choice: number of the setting that was chosen.
    """

    subject: str
    number: int
    question: Question
    choice: int


class Ballots:
    """The votes of a study, in an SQLite file of its folder.

    Every operation has a connection of its own, so that threads and processes may share a study.

    Args:
        study: the study; its file is made if there is none.

    Raises:
        PreimageError: if the file can't be written, is damaged, or belongs to another study.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.path = study.folder / VOTES
        with self._connected() as connection:
            # Write-ahead log: readers do not stop voters, and a killed process loses no commit.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(TABLES)
            new = {"study": study.digest, "secret": secrets.token_hex(32)}
            connection.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", new.items())
            about = dict(connection.execute("SELECT name, value FROM about"))
        if about.get("study") != study.digest:
            raise PreimageError(
                f"{self.path} holds the votes of another study: {study.folder} has changed since "
                "they were cast. Move the file away to begin anew."
            )
        self._secret = bytes.fromhex(about["secret"])

    def new_token(self) -> str:
        """A new subject's token, `ID.SEAL`: nobody can make one who does not know the secret."""
        subject = secrets.token_hex(SUBJECT_BYTES)
        return f"{subject}.{self._seal(subject)}"

    def subject_of(self, token: str) -> str | None:
        """The subject's id, or None if the token was not issued by this study."""
        subject, _, seal = token.partition(".")
        genuine = hmac.compare_digest(seal.encode(), self._seal(subject).encode())
        return subject if genuine else None

    def count(self, subject: str) -> int:
        """How many votes a subject has cast."""
        with self._connected() as connection:
            return _count(connection, subject)

    def cast(self, subject: str, number: int, side: str) -> bool:
        """Record the answer to a subject's next question; it is on disk when this returns.

        Args:
            subject: a subject's id.
            number: which of its questions, from 0.
            side: `left` or `right`.

        Returns:
            Whether it was recorded: only the answer to the subject's next question is, once.
        """
        questions = questions_for(self.study, subject)
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            if number != _count(connection, subject) or number >= len(questions):
                return False
            asked = questions[number]
            choice = asked.left if side == "left" else asked.right
            row = (subject, number, asked.item, asked.left, asked.right, choice)
            connection.execute("INSERT INTO votes VALUES (?, ?, ?, ?, ?, ?)", row)
            connection.commit()
            return True

    def all(self) -> list[Vote]:
        """Every vote, by subject and number."""
        with self._connected() as connection:
            rows = connection.execute("SELECT * FROM votes ORDER BY subject, number").fetchall()
        return [Vote(row[0], row[1], Question(*row[2:5]), row[5]) for row in rows]

    def _seal(self, subject: str) -> str:
        return hmac.new(self._secret, subject.encode(), hashlib.sha256).hexdigest()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            # Left without a commit, a transaction is rolled back.
            with closing(sqlite3.connect(self.path, WAIT_SECONDS)) as connection:
                # FULL also keeps a commit when the power fails.
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
                connection.commit()
        except sqlite3.Error as error:
            raise PreimageError(f"{self.path}: the votes can't be kept there ({error}).") from error


def cast_votes(study: Study) -> list[Vote]:
    """Every vote of a study so far; none, and no file either, if it was never served.

    Raises:
        PreimageError: if the file is damaged or belongs to another study.
    """
    return Ballots(study).all() if (study.folder / VOTES).exists() else []


def _count(connection: sqlite3.Connection, subject: str) -> int:
    row = connection.execute("SELECT COUNT(*) FROM votes WHERE subject = ?", (subject,)).fetchone()
    return int(row[0])
