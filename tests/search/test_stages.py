"""Stages: their rates, their totals, their scaling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preimage.errors import UsageError
from preimage.search.stages import DECAYS, Stage, scale_stages, total_iterations

stage_lists = st.lists(
    st.builds(
        Stage,
        iterations=st.integers(1, 500),
        jitter=st.integers(1, 9),
        rate=st.floats(0.01, 10),
        decay=st.sampled_from(DECAYS),
    ),
    min_size=1,
    max_size=5,
)


@given(stages=stage_lists, total=st.integers(1, 5000))
def test_scaled_stages_have_the_total_asked_for(stages: list[Stage], total: int) -> None:
    scaled = scale_stages(stages, total)
    assert total_iterations(scaled) == total
    assert all(stage.iterations >= 1 for stage in scaled)


@given(stages=stage_lists, total=st.integers(1, 5000))
def test_scaled_stages_are_the_first_ones_with_their_settings(
    stages: list[Stage], total: int
) -> None:
    def settings(stage: Stage) -> tuple[Any, ...]:
        return (stage.jitter, stage.rate, stage.decay)

    scaled = scale_stages(stages, total)
    assert len(scaled) == min(len(stages), total)
    assert [settings(stage) for stage in scaled] == [settings(s) for s in stages[: len(scaled)]]


@given(stages=stage_lists, total=st.integers(1, 5000))
def test_scaled_stages_keep_their_proportions_to_an_iteration(
    stages: list[Stage], total: int
) -> None:
    """Unless a stage would have had less than the one iteration it keeps."""
    exact = [stage.iterations * total / total_iterations(stages) for stage in stages]
    if min(exact) >= 1:
        for share, after in zip(exact, scale_stages(stages, total), strict=True):
            assert abs(after.iterations - share) <= 1


@given(stages=stage_lists)
def test_scaling_to_their_own_total_changes_nothing(stages: list[Stage]) -> None:
    assert scale_stages(stages, total_iterations(stages)) == tuple(stages)


@given(stage=stage_lists.map(lambda stages: stages[0]))
def test_rates_lie_between_zero_and_the_stages_own(stage: Stage) -> None:
    rates = [stage.rate_at(i) for i in range(stage.iterations)]
    assert all(0 < rate <= stage.rate for rate in rates)
    if stage.decay == "none":
        assert set(rates) == {stage.rate}


def test_cosine_falls_from_the_rate_to_next_to_nothing() -> None:
    stage = Stage(100, rate=2.0, decay="cosine")
    rates = [stage.rate_at(i) for i in range(100)]
    assert rates[0] == 2.0
    assert rates[50] == pytest.approx(1.0)
    assert rates[-1] < 0.001
    assert rates == sorted(rates, reverse=True)


def test_a_root_falls_slowly_at_first_and_fast_at_the_end() -> None:
    stage = Stage(100, rate=2.0, decay="root")
    rates = [stage.rate_at(i) for i in range(100)]
    assert rates[0] == 2.0
    assert rates[75] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.2)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"iterations": 0}, "at least 1 iteration, got 0"),
        ({"iterations": -3}, "at least 1 iteration, got -3"),
        ({"iterations": 10**20}, "at most 10000000, got 1"),
        ({"jitter": 0}, r"jitter T must be at least 1 \(none\), got 0"),
        ({"rate": 0.0}, "rate must be a positive number, got 0"),
        ({"rate": -0.1}, "rate must be a positive number"),
        ({"rate": float("nan")}, "rate must be a positive number, got nan"),
        ({"rate": float("inf")}, "rate must be a positive number, got inf"),
        ({"decay": "linear"}, "decay must be one of none, cosine, root, got 'linear'"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Stage(**{"iterations": 10, **options})


@pytest.mark.parametrize("total", [0, -1])
def test_a_total_below_one_is_refused(total: int) -> None:
    with pytest.raises(UsageError, match=f"at least 1, got {total}"):
        scale_stages([Stage(10)], total)
