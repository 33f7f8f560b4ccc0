"""Verdicts on made-up rows."""

from __future__ import annotations

import pytest

from preimage.experiments.checks import VERDICTS
from preimage.experiments.claims import CLAIMS
from preimage.experiments.reports import REPORTED
from preimage.experiments.verdicts import verdicts


def found(name, rows, words):
    """Verdicts on the claims that hold these words, by preset."""
    return {
        each.preset: each.finding.verdict
        for each in verdicts(name, rows)
        if words in each.claim.says or words in each.claim.where
    }


def hog(preset, error, interval, **more):
    row = {"method": "natural pre-image", "descriptor": "HOG", "preset": preset}
    return {**row, "relative_error": error, "interval": interval, "paper": 0.366,
            "paper_interval": 0.034, "count": 8, **more}  # fmt: skip


HOGGLE = {"method": "HOGgle", "descriptor": "HOG", "preset": None, "relative_error": 0.6}


def test_every_claim_is_about_an_experiment_and_says_how_it_is_judged():
    names = {experiment.name for experiment in REPORTED}
    for claim in CLAIMS:
        assert set(claim.experiments) <= names
        assert claim.says
        assert claim.where
        assert claim.rule


def test_without_rows_nothing_is_measured():
    for claim in CLAIMS:
        assert claim.experiments
        for name in claim.experiments:
            assert {each.finding.verdict for each in verdicts(name, [])} == {"not measured"}
            unreadable = [{"layer": "a", "preset": "best", "squared_error": "much", "spread": True}]
            got = {each.finding.verdict for each in verdicts(name, unreadable)}
            assert got == {"not measured"}
    assert verdicts("figure10", [{"preset": "paper"}])[0].preset == "paper"
    assert verdicts("nothing", []) == ()


@pytest.mark.parametrize(
    ("error", "interval", "verdict"),
    [
        (0.366, 0.01, "agrees"),
        (0.40, 0.001, "agrees"),
        (0.42, 0.02, "agrees"),
        (0.42, 0.01, "differs"),
        (0.42, None, "differs"),
        (0.31, 0.01, "better"),
    ],
)
def test_printed_errors_within_both_intervals(error, interval, verdict):
    rows = [hog("paper", error, interval), hog("best", 0.1, 0.01)]
    assert found("table2", rows, "natural pre-image, HOG:") == {"paper": verdict, "best": "better"}


def test_hoggle_is_compared_with_every_preset():
    rows = [HOGGLE, hog("paper", 0.37, 0.03), hog("best", 0.7, 0.03)]
    assert found("table2", rows, "HOGgle is faster") == {"paper": "agrees", "best": "differs"}
    photos = [{**row, "photo": "a"} for row in rows]
    assert found("figure5", photos, "HOGgle is faster") == {"paper": "agrees", "best": "differs"}
    hogb = {**hog("paper", 0.11, 0.01), "descriptor": "HOGb"}
    assert found("table2", [*rows, hogb], "bilinear gradient")["paper"] == "agrees"
    assert (
        found("table2", [*rows, {**hogb, "relative_error": 0.3}], "bilinear gradient")["paper"]
        == "differs"
    )


def layers(errors, preset="paper", **more):
    """Rows of figure6: errors by layer for C = 1 and C = 300."""
    return [
        {"preset": preset, "layer": layer, "fidelity": fidelity, "squared_error": error, **more}
        for layer, pair in errors.items()
        for fidelity, error in zip((1.0, 300.0), pair, strict=True)
    ]


@pytest.mark.parametrize(
    ("deepest", "verdict"), [(0.05, "better"), (0.15, "agrees"), (0.3, "differs")]
)
def test_errors_maintained_at_the_best_C(deepest, verdict):
    rows = layers({"conv1": (0.5, 0.001), "pool5": (deepest, 0.9)})
    assert found("figure6", rows, "10-20%") == {"paper": verdict}


def test_what_a_small_C_does():
    good = layers({"conv1": (0.3, 0.01), "conv5": (0.12, 0.11)})
    assert found("figure6", good, "significantly deteriorates") == {"paper": "agrees"}
    assert found("figure6", good, "little to no effect") == {"paper": "agrees"}
    other = layers({"conv1": (0.011, 0.01), "conv5": (0.5, 0.11)})
    assert found("figure6", other, "significantly deteriorates") == {"paper": "differs"}
    assert found("figure6", other, "little to no effect") == {"paper": "differs"}


def test_spread_counts_for_every_C_but_one():
    rows = [
        {"preset": "best", "layer": "conv1", "fidelity": 1.0, "spread": 0.5},
        {"preset": "best", "layer": "conv1", "fidelity": 20.0, "spread": 0.02},
    ]
    assert found("figure6", rows, "standard deviation") == {"best": "agrees"}
    rows[1]["spread"] = 0.03
    assert found("figure6", rows, "standard deviation") == {"best": "differs"}


def test_classes_need_a_classifier():
    rows = layers({"conv1": (0.1, 0.1), "conv2": (0.1, 0.1), "conv3": (0.1, 0.1)})
    (verdict,) = [v for v in verdicts("figure6", rows) if "consistency" in v.claim.says]
    assert verdict.finding.measured == "the weights hold no classifier"
    kept = [{**row, "class_consistency": 1.0} for row in rows[:4]]
    lost = [{**row, "class_consistency": 0.5} for row in rows[4:]]
    assert found("figure6", kept + lost, "consistency") == {"paper": "agrees"}
    assert found("figure6", kept[:2] + lost, "consistency") == {"paper": "differs"}


def test_the_default_preset_against_the_published():
    published = layers({"conv1": (0.4, 0.02)})
    lower = layers({"conv1": (0.3, 0.01)}, "best")
    assert found("figure6", published + lower, "not in the paper") == {None: "better"}
    tied = layers({"conv1": (0.4, 0.01)}, "best")
    assert found("figure6", published + tied, "not in the paper") == {None: "better"}
    mixed = layers({"conv1": (0.5, 0.01)}, "best")
    assert found("figure6", published + mixed, "not in the paper") == {None: "differs"}
    assert found("figure6", lower, "not in the paper") == {None: "not measured"}


def test_naturalness_by_thirds():
    best = {"conv1": 300.0, "relu3": 20.0, "pool5": 1.0}
    rows = [
        {
            "preset": "paper", "layer": layer, "fidelity": fidelity, "statistic": "magnitude",
            "similarity": 0.9 if fidelity == most else 0.85,
        }
        for layer, most in best.items()
        for fidelity in (1.0, 20.0, 300.0)
    ]  # fmt: skip
    expected = ("shallow", "agrees"), ("intermediate", "agrees"), ("deepest", "agrees")
    for words, verdict in expected:
        (magnitude, orientation) = [v for v in verdicts("figure7", rows) if words in v.claim.says]
        assert magnitude.finding.verdict == verdict
        assert orientation.finding.verdict == "not measured"
    two = [row for row in rows if row["layer"] != "relu3"]
    assert found("figure7", two, "shallow") == {"paper": "not measured"}
    wrong = [{**row, "similarity": 1.0} if row["fidelity"] == 1 else row for row in rows]
    assert [v.finding.verdict for v in verdicts("figure7", wrong)][:3] == [
        "differs", "agrees", "differs",
    ]  # fmt: skip


def vote_rows(shares, shown=30):
    settings = ("no prior", "C = 100", "C = 1")
    return [
        {"layer": layer, "setting": setting, "shown": shown, "fraction": share, "count": 2}
        for layer, three in shares.items()
        for setting, share in zip(settings, three, strict=True)
    ]


def test_votes():
    rows = vote_rows({"pool1": (0.4, 0.6, 0.5), "fc8": (0.1, 0.5, 0.9)})
    assert [v.finding.verdict for v in verdicts("figure8", rows)] == ["agrees", "agrees"]
    rows = vote_rows({"pool1": (0.7, 0.6, 0.2), "fc8": (0.1, 0.8, 0.6)})
    assert [v.finding.verdict for v in verdicts("figure8", rows)] == ["differs", "differs"]
    few = vote_rows({"pool1": (0.4, 0.6, 0.5)}, shown=19)
    assert {v.finding.verdict for v in verdicts("figure8", few)} == {"not measured"}
    assert "20 votes" in verdicts("figure8", few)[0].finding.measured


def test_first_layers_of_every_model():
    rows = [
        {"model": model, "layer": layer, "preset": "quick", "relative_error": error}
        for model, layer, error in (("a", "1", 0.05), ("a", "2", 0.5), ("b", "1", 0.09))
    ]
    assert found("compare", rows, "first few layers") == {"quick": "agrees"}
    rows[2]["relative_error"] = 0.2
    assert found("compare", rows, "first few layers") == {"quick": "differs"}


def test_priors_grow_with_C():
    rows = [{"preset": "best", "fidelity": c, "prior": p, "beta": 2.0} for c, p in ((1, 2), (9, 5))]
    spiky = {"preset": "best", "fidelity": 9, "prior": 1, "beta": 1.0}
    assert found("figure3", [*rows, spiky], "more regularized") == {"best": "agrees"}
    rows[0]["prior"] = 6
    assert found("figure3", rows, "more regularized") == {"best": "differs"}


def test_verdicts_are_of_four_kinds():
    assert VERDICTS == ("agrees", "better", "differs", "not measured")
