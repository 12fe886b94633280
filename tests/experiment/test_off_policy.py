"""How lists that were not shown would have done, by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from firstday.experiment.off_policy import estimate_lists

ShownRow = tuple[int, int, int | None, float | None, bool]


def make_shown(rows: list[ShownRow]) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={
            "user_ix": pl.Int32,
            "item_ix": pl.Int32,
            "position": pl.Int32,
            "propensity": pl.Float32,
            "is_used": pl.Boolean,
        },
        orient="row",
    )


def make_lists(rows: list[tuple[int, int, int]]) -> pl.DataFrame:
    types = {"user_ix": pl.Int32, "item_ix": pl.Int32, "position": pl.Int32}
    return pl.DataFrame(rows, schema=types, orient="row")


def test_weights_by_hand() -> None:
    """Two users match, with weights 2 and 4, and the first used the item: 2 of 6."""
    shown = make_shown(
        [
            (0, 7, 1, 0.5, True),
            (1, 7, 1, 0.25, False),
            (2, 8, 1, 0.5, True),
            (3, 8, 1, 0.5, False),
            (4, 7, None, 0.5, True),  # without a position
            (4, 7, 1, None, True),  # without a propensity
            (5, 7, 1, 0.5, True),  # of a user without a list
            (0, 9, 2, 0.5, True),  # deeper than the list
        ]
    )
    estimate = estimate_lists("top", shown, make_lists([(user, 7, 1) for user in range(5)]), least_users=1)
    assert (estimate.n_users, estimate.n_matches) == (4, 2)
    assert estimate.share_used is not None
    assert estimate.share_used.mean == pytest.approx(2 / 6)
    assert estimate.effective_users == pytest.approx(6**2 / (2**2 + 4**2))
    assert estimate.mean_weight == pytest.approx(6 / 4)
    assert estimate.shown_used == pytest.approx(2 / 4)
    assert estimate.sentence().startswith("lists top: 33.33 % of what they show would have been used (")


def test_lists_that_were_shown_do_as_they_did() -> None:
    shown = make_shown([(user, 7, 1, 1.0, user % 4 == 0) for user in range(200)])
    estimate = estimate_lists("same", shown, make_lists([(user, 7, 1) for user in range(200)]), least_users=100)
    assert estimate.share_used is not None
    assert estimate.share_used.mean == pytest.approx(0.25)
    assert estimate.shown_used == pytest.approx(0.25)
    assert estimate.effective_users == pytest.approx(200)


def test_an_estimate_is_near_the_truth_of_a_simulation() -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    item, used = rng.integers(0, 4, n), rng.random(n)
    rates = np.array([0.1, 0.2, 0.3, 0.4])
    shown = make_shown([(user, int(item[user]), 1, 0.25, bool(used[user] < rates[item[user]])) for user in range(n)])
    estimate = estimate_lists("best", shown, make_lists([(user, 3, 1) for user in range(n)]), least_users=100)
    assert estimate.share_used is not None
    error = (0.4 * 0.6 / (n / 4)) ** 0.5
    assert estimate.share_used.mean == pytest.approx(0.4, abs=5 * error)
    assert (estimate.share_used.high - estimate.share_used.low) / 2 == pytest.approx(1.96 * error, rel=0.1)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(0, 7, 1, None, True)], "no user with such a list was shown anything with a known position and propensity"),
        ([(user, 7, 1, 1.0, True) for user in range(20)], "20 effective users tell too little; 100 are needed"),
        (
            [(user, user % 2, 1, 1.0, True) for user in range(400)],
            "what was shown could never have been much of these lists (mean weight 0.50, where 1 is expected)",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(rows: list[ShownRow], reason: str) -> None:
    lists = make_lists([(row[0], 1 if row[1] < 2 else 7, 1) for row in rows])
    estimate = estimate_lists("top", make_shown(rows), lists, least_users=100)
    assert estimate.share_used is None
    assert estimate.sentence().startswith(f"lists top: no estimate: {reason}")
    assert estimate.sentence().count(". ") == 0
