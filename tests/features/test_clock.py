"""Nothing after the cut-off reaches a model: what happened then could not be known when users registered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset, Group
from firstday.data.events import Events
from firstday.data.impressions import IMPRESSION_TYPES
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out, split_for_training
from firstday.data.user_rows import UserRows
from firstday.evaluation.run import evaluate
from firstday.model.folder import read_manifest
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.recommender import Recommender
from firstday.training.fit import fit, train
from tests.data.test_cut_offs import change_future
from tests.networks import networks_of, statistics_of
from tests.synthetic import SEED, THREADS
from tests.timed import DAY, LOG, N_ITEMS, make_log

MARKER = 58
"""An item that few use."""


CONFIG = parse_config(
    {
        "seed": SEED,
        "threads": THREADS,
        "embedding": {"dimensions": 8},
        "segments": {"n_segments": 4, "top_items": 60},
        "cold_model": {"hidden": [8], "epochs": 1, "batch_size": 64},
        "ranker": {"hidden": [8], "epochs": 1, "batch_size": 64},
        "recommend": {"k": 20},
        "registration": {"cut_offs": 2, "target_days": 5},
    }
)
BARE = parse_config({**CONFIG.model_dump(), "ranker": {"enabled": False}})


def first_holdout(log: Dataset, config: Config = CONFIG) -> Holdout:
    return next(hold_out(log, config, SEED, find_cut_offs(log, config)))


def learn(log: Dataset, config: Config = CONFIG, *, choose_settings: bool = True) -> Recommender:
    """Train what is judged at the first cut-off."""
    holdout = first_holdout(log, config)
    fitted = fit(holdout.dataset, holdout.split, config, choose_settings=choose_settings, moment_us=holdout.cut_off)
    return fitted.recommender


def version_of(recommender: Recommender, folder: Path) -> str:
    """Return the hash of all that a model holds."""
    return str(read_manifest(recommender.save(folder))["version"])


@pytest.fixture(scope="module")
def before() -> Recommender:
    return learn(make_log())


def show(log: Dataset, at: int) -> Dataset:
    """Show everybody items 2 and 3 at a moment; they use these a little later, as their lists'."""
    n = len(log.users)
    rows = {
        "user_ix": np.repeat(np.arange(n), 2),
        "item_ix": np.tile([2, 3], n),
        "timestamp": at,
        "list_id": "a",
        "position": 1,
        "propensity": None,
        "policy": None,
        "is_used": True,
        "used_at": at + 1,
    }
    typed = pl.DataFrame(rows).cast(IMPRESSION_TYPES)  # type: ignore[arg-type]
    return replace(log, impressions=UserRows((typed,)))


def cut_off_of(log: Dataset) -> int:
    cut_off = first_holdout(log).cut_off
    assert cut_off is not None
    return cut_off


def test_what_comes_after_the_cut_off_changes_no_byte(before: Recommender, tmp_path: Path) -> None:
    """Everybody uses an item, is shown two, befriends a newcomer, and newcomers come from a new country."""
    log = make_log()
    until = cut_off_of(log)
    changed = LOG.add(change_future(log, until), [(user, until + 1, MARKER) for user in range(len(log.users))])
    assert log.registered_at is not None
    codes = log.groups["country"].codes.copy()
    codes[log.registered_at >= until] = 2
    changed = replace(show(changed, until), groups={"country": Group(("BR", "FR", "ZZ"), codes)})
    assert cut_off_of(changed) == until
    assert version_of(learn(changed), tmp_path / "other") == version_of(before, tmp_path / "one")


def test_what_may_not_be_listed_now_changes_no_byte(before: Recommender, tmp_path: Path) -> None:
    """Half of the items expired after the log ended, and the others are not recommendable now."""
    log = make_log()
    is_even = np.arange(N_ITEMS) % 2 == 0
    expires_at = np.where(is_even, (log.events.last or 0) + 1, -1)
    closed = replace(log, expires_at=expires_at, columns={"recommendable": pl.Series(is_even)})
    model = learn(closed).model
    model = replace(model, catalogue=replace(model.catalogue, columns={}), facts=before.model.facts)
    assert version_of(Recommender(model), tmp_path / "other") == version_of(before, tmp_path / "one")
    open_now, closed_now = (train(one, BARE, progress=None).model for one in (log, closed))
    assert len(closed_now.unlisted) > len(open_now.unlisted)
    assert closed_now.facts["metrics"] == open_now.facts["metrics"]  # of past newcomers' lists, in training


def test_evaluation_lists_what_had_not_expired_and_a_model_what_has_not_expired_now() -> None:
    """Item 2 expired long after the log, item 3 in it; item 4 is not recommendable now."""
    log = make_log()
    assert log.registered_at is not None
    registered_at: np.ndarray = log.registered_at
    ends = dict(zip(log.users.values, registered_at + DAY, strict=True))
    expiry = registered_at.max() - 2 * DAY
    expires_at = np.array([-1, -1, expiry + 300 * DAY, expiry, *[-1] * (N_ITEMS - 4)])
    log = replace(log, expires_at=expires_at, columns={"recommendable": pl.Series(np.arange(N_ITEMS) != 4)})
    config = BARE.override("registration.cut_offs", 1)
    results = evaluate(log, config, k=N_ITEMS, progress=None)
    assert any(note.startswith("items.recommendable: 1 of") for note in results.notes)
    lists = results.lists().filter(strategy="popular")
    last = [max(ends[user] for user in lists.filter(item_id=item)["user_id"]) for item in ("i02", "i03", "i04")]
    assert last[1] < expiry <= min(last[0], last[2])
    assert train(log, config, progress=None).model.unlisted.tolist() == [2, 3, 4]


def test_items_that_did_not_exist_are_closed_by_name_in_a_model_of_other_items(before: Recommender) -> None:
    """The model knows item 2; in the cohort's log nobody used it before the cut-off."""
    log = make_log()
    late = log.events.whole().filter((pl.col("target_ix") != 2) | (LOG.at() >= cut_off_of(log)))
    log = replace(log, events=Events.of(late))
    cohort = split_for_training(log, CONFIG, SEED).validation
    assert cohort.unavailable is not None
    unavailable = cohort.unavailable
    known = before.model.catalogue.items
    assert len(known) < len(log.items)
    closed = cohort_query(before, log, cohort, 20).excluded
    items = known.lookup(log.items.take(unavailable.columns))
    expected = zip(unavailable.row_of_entry()[items >= 0], items[items >= 0], strict=True)
    assert set(expected) <= set(zip(closed.row_of_entry(), closed.columns, strict=True))
    assert items.max() >= 0


def test_options_of_methods_are_chosen_on_what_came_before_the_first_cut_off() -> None:
    log = make_log()
    found = []
    for dataset in (log, change_future(log, cut_off_of(log))):
        holdout = first_holdout(dataset)
        config = BARE.override("methods", ("ease",))
        tunings = fit(holdout.dataset, holdout.split, config).tunings
        found.append({name: (tuning.options, tuning.precision) for name, tuning in tunings.items()})
    assert found[0] == found[1]


def test_what_a_validation_user_did_changes_no_score_that_judges_them() -> None:
    """Users of one fold use other items than they did: the model that judges them is the same."""
    log = make_log()
    split = split_for_training(log, CONFIG, SEED)
    fold = split.fold(split.folds[0])
    rows = log.events.whole()
    is_theirs = pl.col("user_ix").is_in(fold.validation.users.tolist())
    other = pl.when(is_theirs).then((pl.col("target_ix") * 7 + 1) % 57).otherwise("target_ix").cast(pl.Int32)
    changed = replace(log, events=Events.of(rows.with_columns(target_ix=other)))
    one = fit(log, fold, CONFIG, choose_settings=False).model
    again = split_for_training(changed, CONFIG, SEED)
    assert again.validation.users[again.folds[0]].tolist() == fold.validation.users.tolist()
    other_fold = replace(again.fold(again.folds[0]), validation=fold.validation)
    two = fit(changed, other_fold, CONFIG, choose_settings=False).model
    assert statistics_of(one) == statistics_of(two)
    assert networks_of(one) == networks_of(two)
