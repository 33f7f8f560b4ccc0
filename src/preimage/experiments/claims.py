"""What the paper states and rows can check."""

from __future__ import annotations

from dataclasses import dataclass

from preimage.experiments import checks
from preimage.experiments.checks import STATISTICS, Check
from preimage.experiments.dictionary import HOGGLE
from preimage.experiments.table2 import ENTRIES, NATURAL
from preimage.experiments.tables import percent


@dataclass(frozen=True)
class Claim:
    """One statement of the paper.

    Attributes:
        experiments: whose rows can check it.
        says: the statement.
        where: its place in the paper.
        rule: how the verdict is reached, in words.
        check: the same as a function.
        by_preset: whether every preset is judged for itself; else all rows together.
    """

    experiments: tuple[str, ...]
    says: str
    where: str
    rule: str
    check: Check
    by_preset: bool = True


CLAIMS: tuple[Claim, ...] = (
    Claim(
        experiments=("table1",),
        says="receptive field and stride of every layer",
        where="Table 1",
        rule="equal, or the paper itself looks wrong",
        check=checks.receptive_fields,
        by_preset=False,
    ),
    *(
        Claim(
            experiments=("table2",),
            says=f"{entry.method}, {entry.descriptor}: {percent(entry.printed)} ± "
            f"{percent(entry.interval)}",
            where="Table 2",
            rule="within both 95 % intervals; better or differs beyond them",
            check=checks.printed(entry.method, entry.descriptor),
            by_preset=entry.method == NATURAL,
        )
        for entry in ENTRIES
    ),
    Claim(
        experiments=("table2", "figure5"),
        says="HOGgle is faster but not as accurate (60.1% vs. 36.6% reconstruction error)",
        where="Sect. 5.1.2",
        rule="natural pre-images of HOG have the lower mean error",
        check=checks.ratio((NATURAL, "HOG"), (HOGGLE, "HOG"), lambda ratio: ratio < 1),
    ),
    Claim(
        experiments=("table2", "figure5"),
        says="bilinear gradient orientation assignments significantly reduce the reconstruction "
        "error (from 36.6% down to 11.5%)",
        where="Sect. 5.1.3",
        rule="the mean error of HOGb is at most half of HOG's (the paper's: a third)",
        check=checks.ratio((NATURAL, "HOGb"), (NATURAL, "HOG"), lambda ratio: ratio <= 0.5),
    ),
    Claim(
        experiments=("table2", "figure5"),
        says="reconstructions obtained by inverting DSIFT are quantitatively similar to HOG with "
        "bilinear orientation assignment",
        where="Sect. 5.1.3",
        rule="the mean errors of DSIFT and HOGb are within a factor of 1.5 (the paper's: 0.8)",
        check=checks.ratio(
            (NATURAL, "DSIFT"), (NATURAL, "HOGb"), lambda ratio: 2 / 3 <= ratio <= 1.5
        ),
    ),
    Claim(
        experiments=("figure3",),
        says="Selecting a small value of C results in more regularized reconstructions",
        where="Fig. 3",
        rule="the prior terms are lower at the smallest C than at the largest",
        check=checks.priors_grow,
    ),
    Claim(
        experiments=("figure6",),
        says="for a sufficiently large value of C, the reconstruction error can be maintained in "
        "the range 10-20%, including for the deepest layers",
        where="Sect. 5.2.2, Fig. 6 left",
        rule="squared error at the best C of every layer at most 20 %; better below 10 %",
        check=checks.maintained,
    ),
    Claim(
        experiments=("figure6",),
        says="Using a stronger regularization (small C) significantly deteriorates the quality of "
        "the reconstructions from earlier layers",
        where="Sect. 5.2.2, Fig. 6 left",
        rule="in the first half of the layers, 1.5 times the squared error or more at the "
        "smallest C",
        check=checks.early_layers_suffer,
    ),
    Claim(
        experiments=("figure6",),
        says="it has little to no effect on the reconstruction quality of deeper layers",
        where="Sect. 5.2.2, Fig. 6 left",
        rule="squared errors of the deepest layer within 10 percentage points over C",
        check=checks.deepest_does_not,
    ),
    Claim(
        experiments=("figure6",),
        says="for the values of C except C = 1, all pre-images have very similar reconstruction "
        "errors, with standard deviation of around 0.02 or less",
        where="Sect. 5.2.2, Fig. 6 middle",
        rule="below 0.025 everywhere",
        check=checks.spread,
    ),
    Claim(
        experiments=("figure6",),
        says="by choosing the correct amount of regularization, the classification consistency of "
        "the reconstructions can be kept above 0.8 in most cases",
        where="Sect. 5.2.2, Fig. 6 right",
        rule="at least 0.8 at the best C in more than half of the layers",
        check=checks.classes_kept,
    ),
    Claim(
        experiments=("figure6",),
        says="(not in the paper) its algorithm, the preset paper, on the same photos",
        where="preset best against preset paper",
        rule="better if no squared error is higher, of those that differ by more than 0.1 %",
        check=checks.below_the_published,
        by_preset=False,
    ),
    *(
        claim
        for statistic, reading in STATISTICS.items()
        for claim in (
            Claim(
                experiments=("figure7",),
                says="a small amount of regularization is clearly preferable for shallow layers",
                where=f"Sect. 5.2.3, Fig. 7; gradient {reading}",
                rule="in the first third of the layers, C = 100 or more is most similar",
                check=checks.similar(statistic, 0, lambda fidelity: fidelity >= 100),
            ),
            Claim(
                experiments=("figure7",),
                says="a stronger amount is clearly better for intermediate ones",
                where=f"Sect. 5.2.3, Fig. 7; gradient {reading}",
                rule="in the second third of the layers, C = 20 or less is most similar",
                check=checks.similar(statistic, 1, lambda fidelity: fidelity <= 20),
            ),
            Claim(
                experiments=("figure7",),
                says="the difference is not all that significant for the deepest layers",
                where=f"Sect. 5.2.3, Fig. 7; gradient {reading}",
                rule="similarities of the deepest layer within 0.1 over C",
                check=checks.deepest_alike(statistic),
            ),
        )
    ),
    Claim(
        experiments=("figure8",),
        says="at least a small amount of regularization is always preferable for interpretability",
        where="Sect. 5.2.3, Fig. 8",
        rule="at every layer C = 100 or C = 1 has a larger share of its votes than no prior",
        check=checks.some_prior_preferred,
        by_preset=False,
    ),
    Claim(
        experiments=("figure8",),
        says="strong regularization is highly desirable for very deep layers",
        where="Sect. 5.2.3, Fig. 8",
        rule="at the deepest layer C = 1 has the largest share of its votes",
        check=checks.strong_prior_when_deep,
        by_preset=False,
    ),
    Claim(
        experiments=("figure9", "figure10", "figure11", "compare"),
        says="The first few layers of all the networks compute a code of the image that is nearly "
        "exactly invertible",
        where="Sect. 5.2.4",
        rule="relative error of the first layer at most 10 %, so squared at most 1 %",
        check=checks.first_layers,
    ),
)
"""Only what rows can check; what pictures show is for the reader to see."""
