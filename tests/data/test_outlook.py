"""What `check` says that training and evaluation would make of tables, and that they do make that of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset
from firstday.data.events import Events
from firstday.data.splits.outlook import Outlook, Roles, foresee, outlook
from firstday.data.splits.registration import Log
from firstday.data.splits.roles import Protocol, RoleCounts
from firstday.errors import ConfigError, DataError
from firstday.training.fit import split_for
from tests.data.test_roles import some_vectors
from tests.data.test_splits_by_hand import ACTS, LOG, make_dataset
from tests.timed import make_log

THIRTY_DAYS = Log(0, 60 * 24 * 3_600_000_000)
"""A log from 1 January to 1 March 1970."""


def sampled(users: int, eligible: int, used: int | None = None, config: Config | None = None) -> Outlook:
    counts = RoleCounts(users, 10_000, 9_000, eligible if used is None else used, eligible, eligible)
    return outlook(counts, config or Config(), "sampled", None)


def dated(**counts: int) -> Outlook:
    """Return the outlook for 1,000 users, of whom 600 used enough."""
    everyone = RoleCounts(
        **{
            "users": 1_000,
            "interactions": 50_000,
            "uses": 40_000,
            "used": 1_000,
            "eligible": 600,
            "warm": 600,
            "complete": 500,
            "complete_warm": 250,
            "complete_judged": 400,
            "early_warm": 450,
            "cold": 400,
            **counts,
        }
    )
    return outlook(everyone, Config(), "registration", THIRTY_DAYS)


def test_5_of_202_users_are_too_few() -> None:
    foreseen = sampled(202, 5, used=180)
    assert not foreseen.trainable
    assert foreseen.training == Roles(
        5,
        0,
        0,
        "interactions: 5 of 202 users have at least 20 used items, too few to train on; bring more data or lower "
        "sampled.min_items in the configuration.",
    )
    assert foreseen.sentences == (
        "5 of 202 users used at least 20 items.",
        "Not warm: 175 with fewer items, too light to learn from (sampled.min_items is a setting); 22 with none.",
    )


def test_few_cold_users_leave_wide_intervals() -> None:
    foreseen = sampled(202, 178, used=190)
    assert (foreseen.training, foreseen.evaluation) == (Roles(160, 18), Roles(125, 18, 35))
    assert foreseen.sentences == (
        "178 of 202 users used at least 20 items: 160 would be warm, in 8 segments, and 18 held out for validation.",
        "Not warm: 12 with fewer items, too light to learn from; 12 with none.",
        "Evaluation would learn from 125 warm users and 18 for validation, and report on 35 cold ones.",
        "With 35 cold users the 95 % interval of P@50 is about plus or minus 7 points, too wide to tell most "
        "strategies apart; bring more users or evaluate with several seeds (--seeds 5).",
    )


@pytest.mark.parametrize(
    ("n_cold", "width", "is_wide"), [(10, "14", True), (149, "4", True), (150, "4", False), (1_000, "1.4", False)]
)
def test_below_150_cold_users_an_interval_reaches_four_points(n_cold: int, width: str, *, is_wide: bool) -> None:
    last = dated(cold=2 * n_cold).sentences[-1]
    assert last.startswith(
        f"With {n_cold:,} cold users the 95 % interval of P@50 is about plus or minus {width} points"
    )
    assert last.endswith(", too wide to tell most strategies apart; bring more users or a longer log.") == is_wide


def test_plenty_of_users_are_told_in_three_sentences() -> None:
    foreseen = sampled(100_000, 100_000, config=Config().override("recommend.k", 20))
    assert foreseen.sentences == (
        "100,000 of 100,000 users used at least 20 items: 90,000 would be warm, in 1,000 segments, and 10,000 held out "
        "for validation.",
        "Evaluation would learn from 70,000 warm users and 10,000 for validation, and report on 20,000 cold ones.",
        "With 20,000 cold users the 95 % interval of P@20 is about plus or minus 0.3 points.",
    )
    limited = sampled(100_000, 100_000, config=Config().override("training.most_users", 50_000))
    assert limited.sentences[1] == (
        "Vectors, segments and networks would be learned from 50,000 of the warm users (training.most_users), and all "
        "of them counted."
    )


def test_one_segment_is_no_segment() -> None:
    assert sampled(40, 40).sentences[1] == (
        "With one segment, every list by segment is the list of the most popular items; bring more users."
    )


def test_a_log_with_a_clock() -> None:
    foreseen = dated(undated=20, used=900, idle=30, warm=590)
    assert (foreseen.training, foreseen.evaluation) == (Roles(565, 40), Roles(450, 200, 200))
    assert foreseen.sentences == (
        "600 of 1,000 users used at least 20 items: about 565 would be warm, in 28 segments, and about 40 held out for "
        "validation.",
        "Not warm: 300 with fewer items, too light to learn from; 80 with none; 20 with neither a registration nor an "
        "interaction with a time; 10 with enough items but no precomputed vector.",
        "Evaluation (cut-off 1970-01-24T00:00:00Z) would learn from 450 warm users and 200 for validation, and report "
        "on 200 cold ones, who registered in the 7 days after it; 30 more who registered then used nothing new.",
        "With 200 cold users the 95 % interval of P@50 is about plus or minus 3 points.",
    )


@pytest.mark.parametrize(
    ("counts", "refusal"),
    [
        ({"warm": 1, "complete_warm": 0}, "users: 1 registered before 1970-03-02T00:00:00Z and used 20 items until"),
        ({"warm": 9, "complete_warm": 9, "complete": 9, "complete_judged": 9}, "users: 1 are for validation: a first"),
        ({"complete": 0, "complete_warm": 0, "complete_judged": 0}, "users: 0 are for validation: a first day and a"),
    ],
)
def test_a_log_with_a_clock_that_training_refuses(counts: dict[str, int], refusal: str) -> None:
    foreseen = dated(**counts)
    assert foreseen.training.refusal.startswith(refusal)
    assert not foreseen.trainable
    assert foreseen.sentences[0] == "600 of 1,000 users used at least 20 items."


def test_what_the_draw_decides_is_said() -> None:
    foreseen = dated(complete=20, complete_warm=10, complete_judged=10)
    assert foreseen.training.validation == 1
    assert foreseen.trainable
    assert foreseen.sentences[2] == (
        "Training needs 2 warm users and 2 for validation: whether it gets them is drawn; bring a longer log."
    )


@pytest.mark.parametrize(
    ("counts", "refusal"),
    [
        (
            {"early_warm": 1},
            "users: 1 registered before 1970-01-24T00:00:00Z and used 20 items until then, in a log of",
        ),
        ({"cold": 2}, "users: 1 are for validation, of those who registered in the 7 days after 1970-01-24T00:00:00Z"),
    ],
)
def test_evaluation_may_be_refused_where_training_is_not(counts: dict[str, int], refusal: str) -> None:
    foreseen = dated(**counts)
    assert foreseen.trainable
    assert foreseen.evaluation.refusal.startswith(refusal)
    assert foreseen.sentences[-1] == f"Evaluation would be refused: {foreseen.evaluation.refusal}"


def test_as_json() -> None:
    values = sampled(202, 178, used=190).to_json()
    assert values["protocol"] == "sampled"
    assert values["counts"]["light"] == 12
    assert values["training"] == {"warm": 160, "validation": 18, "cold": 0, "refusal": ""}
    assert values["evaluation"] == {
        "warm": 125,
        "validation": 18,
        "cold": 35,
        "refusal": "",
        "interval_points": 7.3,
    }
    assert len(values["sentences"]) == 4
    assert sampled(202, 5).to_json()["evaluation"]["interval_points"] is None


def try_splits(dataset: Dataset, config: Config) -> list[Roles]:
    """Return what training and evaluation do make of a dataset."""
    made = []
    for with_cold in (False, True):
        try:
            split = split_for(dataset, config, config.seed, with_cold=with_cold)
        except (DataError, ConfigError) as error:
            made.append(Roles(refusal=str(error)))
            continue
        made.append(Roles(len(split.warm), len(split.validation), len(split.cold)))
    return made


@pytest.mark.parametrize("min_items", [8, 16, 18, 19, 20, 1_000])
def test_sampled_users_get_the_roles_that_were_foreseen(world: Dataset, min_items: int) -> None:
    config = parse_config({"sampled": {"min_items": min_items, "day_ones": 1}})
    foreseen = foresee(world, config, "sampled")
    for roles, made in zip((foreseen.training, foreseen.evaluation), try_splits(world, config), strict=True):
        assert (roles.refusal, roles.refusal or roles) == (made.refusal, made.refusal or made)
    assert foreseen.trainable == (min_items < 1_000)


DATED: list[dict[str, Any]] = [
    {},
    {"target_days": 15.0},
    {"cold_days": 60.0},
    {"min_items": 500},
    {"target_days": 29.5},
    {"target_days": 60.0},
    {"cut_off": "2030-01-01T00:00:00Z"},
    {"day_one": "calendar-day", "time_zone": "Mars/Olympus"},
]


@pytest.mark.parametrize("rules", DATED, ids=str)
@pytest.mark.parametrize("with_vectors", [False, True])
def test_users_of_a_log_get_about_the_roles_that_were_foreseen(rules: dict[str, Any], *, with_vectors: bool) -> None:
    settings = {"cold_days": 5.0, "target_days": 5.0, "min_items": 12, "held_out": 0.3, **rules}
    config = parse_config({"protocol": "registration", "registration": settings})
    dataset = some_vectors(make_log()) if with_vectors else make_log()
    foreseen = foresee(dataset, config, "registration")
    training, evaluation = try_splits(dataset, config)
    assert foreseen.training.refusal == training.refusal
    if foreseen.trainable:
        assert abs(foreseen.training.warm - training.warm) <= 12
        assert abs(foreseen.training.validation - training.validation) <= 6
    expected = evaluation.refusal or evaluation
    assert (foreseen.evaluation.refusal or foreseen.evaluation) == expected


def test_tables_without_what_is_needed_are_refused_as_a_split_refuses_them() -> None:
    timed, timeless = make_dataset(LOG), make_dataset(ACTS)
    no_use = parse_config({"signals": {"use": ["hum"], "affinity": {"hum": 1.0}}})
    empty = replace(timed, events=Events.of(timed.events.whole().clear()))
    cases: list[tuple[Dataset, Config, Protocol, str]] = [
        (timeless, no_use, "sampled", "interactions.signal: no interaction with an item is a use (hum); name the"),
        (timed, no_use, "registration", "interactions.signal: no interaction with an item is a use (hum); name the"),
        (timeless, Config(), "registration", "interactions.timestamp: no interaction has a time, which the protocol"),
        (empty, Config(), "sampled", "interactions: no row is left to learn from (rows in the future are left out);"),
        (empty, Config(), "registration", "interactions: no row is left to learn from (rows in the future are left"),
    ]
    for dataset, config, protocol, sentence in cases:
        foreseen = foresee(dataset, config, protocol)
        assert foreseen.training.refusal.startswith(sentence)
        assert try_splits(dataset, config.override("protocol", protocol))[0].refusal == foreseen.training.refusal
        assert foreseen.sentences == ()
        assert foreseen.half_width is None
