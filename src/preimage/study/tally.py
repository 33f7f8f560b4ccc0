"""What the votes say: how often each setting won where it was shown, as Fig. 8 plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from preimage.metrics.intervals import Interval, wilson_interval
from preimage.study.manifest import WARM_UP, Study
from preimage.study.questions import questions_for
from preimage.study.votes import Vote


@dataclass(frozen=True)
class Row:
    """One setting at one layer.

    Attributes:
        model, layer: where the pictures come from.
        setting: name of the setting.
        won: votes for it.
        shown: votes that had the choice.
        fraction: won / shown, or None if it was never shown.
        interval: 95 % of `fraction` (Wilson), or None.
    """

    model: str
    layer: str | None
    setting: str
    won: int
    shown: int
    fraction: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Subject:
    """One subject.

    Attributes:
        subject: its id.
        votes: how many it has cast.
        counted: how many of them count.
        finished: whether it has answered all questions.
        left: fraction of counted votes for the left picture; far from a half, it did not look.
        won: fraction of counted votes for each setting where it was shown, in the study's order.
    """

    subject: str
    votes: int
    counted: int
    finished: bool
    left: float | None
    won: tuple[float | None, ...]


@dataclass(frozen=True)
class Tally:
    """The result of a study.

    Attributes:
        settings: names of the settings.
        rows: one for each layer and setting.
        subjects: one for each subject.
    """

    settings: tuple[str, ...]
    rows: tuple[Row, ...]
    subjects: tuple[Subject, ...]

    @property
    def votes(self) -> int:
        """Votes cast."""
        return sum(subject.votes for subject in self.subjects)

    @property
    def counted(self) -> int:
        """Votes that count: all but each subject's first five."""
        return sum(subject.counted for subject in self.subjects)


def tally(study: Study, votes: Sequence[Vote]) -> Tally:
    """Count the votes, all but each subject's first five.

    Args:
        study: the study.
        votes: as `Ballots.all` gives them.

    Returns:
        The fraction of votes that each setting won at each layer, of those that had it to choose,
        with its 95 % interval; and the same by subject. A vote that does not answer one of its
        subject's questions is not counted.

    Source: Sect. 5.2.3, "Interpretability", and Fig. 8; the intervals are ours.
    """
    by_subject: dict[str, list[Vote]] = {}
    for vote in votes:
        by_subject.setdefault(vote.subject, []).append(vote)
    cast = {subject: _genuine(study, subject, own) for subject, own in by_subject.items()}
    counted = {
        subject: [vote for vote in own if vote.number >= WARM_UP] for subject, own in cast.items()
    }
    everyone = [vote for own in counted.values() for vote in own]
    rows = tuple(
        _row(place, setting, name, [v for v in everyone if _place(study, v) == place])
        for place in dict.fromkeys((item.model, item.layer) for item in study.items)
        for setting, name in enumerate(study.settings)
    )
    subjects = tuple(
        _subject(study, subject, len(own), counted[subject]) for subject, own in cast.items()
    )
    return Tally(study.settings, rows, subjects)


def _genuine(study: Study, subject: str, votes: Sequence[Vote]) -> list[Vote]:
    """The votes that answer what the subject was asked: the file may have been written to."""
    asked = dict(enumerate(questions_for(study, subject)))
    return [vote for vote in votes if asked.get(vote.number) == vote.question]


def _place(study: Study, vote: Vote) -> tuple[str, str | None]:
    item = study.items[vote.question.item]
    return item.model, item.layer


def _row(place: tuple[str, str | None], setting: int, name: str, votes: Sequence[Vote]) -> Row:
    won, shown = _won(setting, votes)
    interval = wilson_interval(won, shown) if shown else None
    return Row(*place, name, won, shown, won / shown if shown else None, interval)


def _won(setting: int, votes: Sequence[Vote]) -> tuple[int, int]:
    shown = [v for v in votes if setting in (v.question.left, v.question.right)]
    return sum(vote.choice == setting for vote in shown), len(shown)


def _subject(study: Study, subject: str, cast: int, counted: Sequence[Vote]) -> Subject:
    left = sum(vote.choice == vote.question.left for vote in counted)
    shares = [_won(setting, counted) for setting in range(len(study.settings))]
    return Subject(
        subject=subject,
        votes=cast,
        counted=len(counted),
        finished=cast >= study.questions,
        left=left / len(counted) if counted else None,
        won=tuple(won / shown if shown else None for won, shown in shares),
    )
