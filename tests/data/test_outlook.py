"""What `check` says that training and evaluation would make of tables, and that they do make that of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset
from firstday.data.events import Events
from firstday.data.splits.histories import Protocol
from firstday.data.splits.holdout import find_cut_offs, hold_out, split_for_training
from firstday.data.splits.outlook import Outlook, preview
from firstday.data.splits.target_uses import TargetUses
from firstday.data.summary import Summary
from firstday.engine.protocol import read_facts, read_target_uses
from firstday.errors import DataError
from tests.data.test_cut_offs import make_histories
from tests.data.test_roles import some_vectors
from tests.data.test_splits_by_hand import ACTS, LOG, make_dataset
from tests.timed import make_log

USES = TargetUses({"item": np.array([25, 25, 50]), "show": np.array([90, 5, 5])}, np.array([40, 20, 0, 40]))
"""Half of what newcomers used was one day old at most."""


def look_at(dataset: Dataset, config: Config) -> Outlook:
    return preview(*read_facts(dataset, config), config, partial(read_target_uses, dataset, config))


def test_a_log_with_a_clock() -> None:
    """900 users, three a day, who come back after two days; see the test of cut-offs."""
    histories = make_histories(np.repeat(np.arange(300), 3) + 0.5)
    outlook = preview(Summary(), histories, Config(), lambda _: USES)
    assert outlook.sentences[1:4] == (
        "900 of 900 users used an item: 900 would be warm, in 30 segments, 648 of them for cross-fitting in 4 folds.",
        "Evaluation would train at 6 cut-offs (1970-06-15 to 1970-09-10) and report on 315 newcomers who used "
        "something new within 30 days of registration.",
        "With 315 cold users the 95 % interval of P@50 is about plus or minus 2.4 points.",
    )
    assert [at["users"] for at in outlook.evaluation["cut_offs"]] == [51, 54, 51, 54, 51, 54]
    assert outlook.evaluation["target_days"] == 30
    assert outlook.training["folds"] == 4
    assert outlook.evaluation["later_uses"] == {"at_training": 25, "by_day_one": 25, "later": 50}
    assert outlook.evaluation["median_age_days"] == 1
    assert "show (90 %)" in outlook.sentences[-1]


@pytest.mark.parametrize(
    ("n_existed", "target_days", "is_advised"), [(25, 30, True), (85, 30, False), (25, 1, False), (25, 2, True)]
)
def test_advice_where_items_live_shorter_than_the_target_window(
    n_existed: int, target_days: float, *, is_advised: bool
) -> None:
    uses = replace(USES, by_state={**USES.by_state, "item": np.array([n_existed, 0, 100 - n_existed])})
    assert bool(uses.advise(target_days)) == is_advised


def test_evaluation_may_be_refused_where_training_is_not() -> None:
    histories = make_histories(np.linspace(0, 5, 60), n_days=50 + 1e-9)
    outlook = preview(Summary(), histories, Config(), lambda _: USES)
    assert not outlook.refusal
    assert outlook.evaluation["refusal"].startswith("users: nobody registered after")
    assert outlook.sentences[-1] == f"Evaluation would be refused: {outlook.evaluation['refusal']}"
    assert outlook.evaluation["interval_points"] is None


RULES: list[dict[str, Any]] = [{}, {"target_days": 60.0}, {"target_days": 15.0}]


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("with_vectors", [False, True])
@pytest.mark.parametrize("protocol", ["sampled", "registration"])
def test_users_get_the_roles_that_were_foreseen(
    rules: dict[str, Any], protocol: Protocol, *, with_vectors: bool
) -> None:
    registration = {"cut_offs": 2, "target_days": 5.0, **rules}
    config = parse_config(
        {"protocol": protocol, "registration": registration, "sampled": {"min_items": 12, "day_ones": 1}}
    )
    dataset = some_vectors(make_log()) if with_vectors else make_log()
    outlook = look_at(dataset, config)
    if outlook.refusal:
        with pytest.raises(DataError) as caught:
            split_for_training(dataset, config, config.seed)
        assert str(caught.value) == outlook.refusal
        return
    split = split_for_training(dataset, config, config.seed)
    found = (len(split.warm), len(split.validation), len(split.folds))
    assert found == tuple(outlook.training[name] for name in ("warm", "validation", "folds"))
    if outlook.evaluation["refusal"]:
        with pytest.raises(DataError) as caught:
            find_cut_offs(dataset, config)
        assert str(caught.value) == outlook.evaluation["refusal"]
        return
    holdouts = list(hold_out(dataset, config, config.seed, find_cut_offs(dataset, config)))
    assert sum(len(holdout.cold) for holdout in holdouts) == outlook.evaluation["cold"]


def test_tables_without_what_is_needed_are_refused_as_a_split_refuses_them() -> None:
    timed = make_dataset(LOG)
    timeless = make_dataset(ACTS)
    no_use = parse_config({"signals": {"use": ["hum"], "affinity": {"hum": 1.0}}})
    empty = replace(timed, events=Events.of(timed.events.whole().clear()))
    cases: list[tuple[Dataset, Config, Protocol, str]] = [
        (timeless, no_use, "sampled", "interactions: 0 of "),
        (timed, no_use, "registration", "users: 0 can be trained on "),
        (timeless, Config(), "registration", "interactions.timestamp: no interaction has a time, which the protocol"),
        (empty, Config(), "sampled", "interactions: 0 of "),
        (empty, Config(), "registration", "interactions.timestamp: no interaction has a time, which the protocol"),
    ]
    for dataset, config, protocol, sentence in cases:
        config = config.override("protocol", protocol)
        outlook = look_at(dataset, config)
        assert outlook.refusal.startswith(sentence)
        with pytest.raises(DataError) as caught:
            split_for_training(dataset, config, 0)
        assert str(caught.value) == outlook.refusal
        assert outlook.evaluation["interval_points"] is None
