"""The two-choice human study of Sect. 5.2.3: which of two pictures is easier to understand?"""

from preimage.study.manifest import Item, Made, Study, load_study, make_study
from preimage.study.tally import Tally, tally
from preimage.study.votes import Ballots, Vote, cast_votes

__all__ = [
    "Ballots",
    "Item",
    "Made",
    "Study",
    "Tally",
    "Vote",
    "cast_votes",
    "load_study",
    "make_study",
    "tally",
]
