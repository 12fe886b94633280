"""Impressions per segment and item, and which of them were used: by hand on a few users, and in whole trainings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.config import Config, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.ids import Ids
from firstday.data.impressions import IMPRESSION_TYPES
from firstday.data.load import load
from firstday.data.newcomers import load_newcomers
from firstday.data.splits.split import Split
from firstday.data.user_rows import UserRows
from firstday.engine.shown_to_others import count_shown_to_others
from firstday.impressions.counts import add_shown, count_shown
from firstday.recommend.recommender import Recommender, open_model
from firstday.sparse import SparseRows
from firstday.training.fit import fit
from tests.matrices import to_matrix
from tests.synthetic import UNUSED_ITEM, brief_config
from tests.training.test_learners import configure, without_settings

Row = tuple[str, str, str, datetime | None, str | None]
NOBODY = Ids.of([])


def noon(day: int) -> datetime:
    return datetime(2024, 5, day, 12, tzinfo=UTC)


ROWS: list[Row] = [
    ("u1", "i1", "shown", noon(1), "a"),
    ("u1", "i1", "shown", noon(2), "b"),
    ("u1", "i1", "stream", noon(3), None),  # an answer to list b, where it was shown last
    ("u1", "i2", "shown", noon(1), "a"),
    ("u1", "i2", "shown", noon(2), "b"),
    ("u1", "i2", "stream", noon(20), "a"),  # an answer to list a, which it names, however late
    ("u1", "i3", "shown", noon(1), "a"),
    ("u1", "i3", "shown", noon(2), "b"),
    ("u1", "i3", "favorite", noon(3), "a"),  # and not one to list b, although that was shown later
    ("u2", "i1", "shown", noon(1), None),
    ("u2", "i1", "stream", noon(8), None),  # 7 days later, and so in time
    ("u2", "i2", "shown", noon(1), "a"),
    ("u2", "i2", "stream", noon(8) + timedelta(microseconds=1), None),
    ("u2", "i3", "stream", noon(1), None),
    ("u2", "i3", "shown", noon(2), "a"),
    ("u2", "i4", "shown", noon(1), "a"),
    ("u3", "i4", "stream", noon(2), None),  # somebody else's
    ("u3", "i1", "shown", None, "a"),
    ("u3", "i1", "stream", noon(2), None),
    ("u3", "i2", "shown", None, "b"),
    ("u3", "i2", "stream", None, "b"),
    ("u3", "i3", "shown", noon(1), "a"),
    ("u3", "i3", "skip", noon(2), "a"),
    ("u4", "i1", "shown", noon(1), "a"),
    ("u4", "i1", "stream", noon(1), "a"),
]
SEGMENTS = np.array([0, 0, 1])
SHOWN = [[3, 3, 3, 1], [1, 1, 1, 0]]
USED = [[2, 1, 1, 0], [0, 1, 0, 0]]


@pytest.fixture
def dataset() -> Dataset:
    names = ["user_id", "item_id", "signal", "timestamp", "list_id"]
    return load({"interactions": pl.DataFrame(ROWS, names, orient="row")})


def dense(counts: SparseRows) -> list[list[float]]:
    matrix: list[list[float]] = to_matrix(counts).tolist()
    return matrix


def test_uses_are_answers_to_the_list_they_name_or_to_the_last_one(dataset: Dataset) -> None:
    counts = count_shown(dataset, np.arange(3), SEGMENTS, 2, SignalConfig())
    assert counts is not None
    assert dense(counts.shown) == SHOWN
    assert dense(counts.used) == USED
    turned = counts.keep_segments(np.array([1, 0]))
    assert dense(turned.shown) == SHOWN[::-1]


def test_how_late_an_answer_may_be_is_a_setting(dataset: Dataset) -> None:
    later = count_shown(dataset, np.arange(3), SEGMENTS, 2, SignalConfig(response_days=8))
    sooner = count_shown(dataset, np.arange(3), SEGMENTS, 2, SignalConfig(response_days=0.5))
    assert later is not None
    assert sooner is not None
    assert dense(later.used) == [[2, 2, 1, 0], [0, 1, 0, 0]]
    assert dense(sooner.used) == [[0, 1, 1, 0], [0, 1, 0, 0]]


def test_what_comes_after_a_cut_off_is_not_known(dataset: Dataset) -> None:
    """Until noon of the third day: u1 had been shown all and used nothing; what has no time is in no window."""
    start = np.zeros(4, dtype=np.int64)
    window = Window(start, start + int(noon(3).timestamp()) * 1_000_000)
    counts = count_shown(dataset, np.arange(3), SEGMENTS, 2, SignalConfig(), window)
    assert counts is not None
    assert dense(counts.shown) == [[3, 3, 3, 1], [0, 0, 1, 0]]
    assert counts.used.n_entries == 0


def test_counts_of_parts_add_up(dataset: Dataset) -> None:
    parts = [count_shown(dataset, np.array([user]), SEGMENTS[[user]], 2, SignalConfig()) for user in range(3)]
    total = add_shown([None, *parts])
    assert total is not None
    assert (dense(total.shown), dense(total.used)) == (SHOWN, USED)
    assert add_shown([None, None]) is None
    bare = replace(dataset, impressions=None)
    assert count_shown(bare, np.arange(3), SEGMENTS, 2, SignalConfig()) is None


def test_who_is_not_warm_counts_by_the_predicted_vector(tiny: Recommender) -> None:
    """Of n1 and n2 only the country is known: the network sends one east, one north; n3 is held out, n4 is warm."""
    users = ["n1", "n2", "n3", "n4", "n5"]
    rows = [(user, item, "shown", "a") for user in users[:4] for item in ("i1", "i6", "gone")]
    dataset = load_newcomers(
        {
            "interactions": pl.DataFrame(rows, ["user_id", "item_id", "signal", "list_id"], orient="row"),
            "users": pl.DataFrame({"user_id": users, "country": ["FR", "DE", "FR", "FR", "DE"]}),
        }
    )
    warm = dataset.users.lookup(pl.Series(["n4"])).astype(np.int64)
    held_out = Ids.of(["n3"])
    counts = count_shown_to_others(dataset, tiny.model, warm, dataset.actions(), held_out, None)
    assert counts is not None
    items = dataset.items.values.to_list()
    assert dense(counts.shown) == [[1] * len(items), [1] * len(items)]
    everyone = count_shown_to_others(dataset, tiny.model, warm[:0], dataset.actions(), NOBODY, None)
    assert everyone is not None
    assert dense(everyone.shown) == [[3] * len(items), [1] * len(items)]


def show_to_all(world: Dataset) -> Dataset:
    """Show every user the item that nobody uses, and the first item, which some use, in one list."""
    n = len(world.users)
    rows = pl.DataFrame(
        {
            "user_ix": np.repeat(np.arange(n), 2),
            "item_ix": np.tile([UNUSED_ITEM, 0], n),
            "position": np.tile([1, 2], n),
            "is_used": np.tile([False, True], n),
        }
    ).with_columns(timestamp=None, list_id=pl.lit("a"), propensity=None, policy=None, used_at=None)
    typed = rows.select(pl.col(name).cast(kind) for name, kind in IMPRESSION_TYPES.items())
    return replace(world, impressions=UserRows((typed,)))


@pytest.mark.parametrize("settings", [brief_config(), configure()], ids=["all learned from", "some learned from"])
def test_training_counts_what_was_shown_and_is_the_same_otherwise(
    world: Dataset, split: Split, settings: Config, tmp_path: Path
) -> None:
    shown = show_to_all(world)
    recommender = fit(shown, split, settings, choose_settings=False).recommender
    model = recommender.model
    plain = fit(world, split, settings, choose_settings=False).model
    counts = model.shown_counts
    assert counts is not None
    assert plain.shown_counts is None
    held_out = len(split.validation) + len(split.cold)
    n_counted = len(world.users) - held_out
    assert counts.shown.n_rows == len(model.segments)
    assert counts.shown.column_sums()[[UNUSED_ITEM, 0]].tolist() == [n_counted, n_counted]
    assert counts.used.column_sums()[[UNUSED_ITEM, 0]].tolist() == [0, n_counted]
    assert model.facts["data"]["impressions"] == 2 * n_counted
    assert model.facts["data"]["impressions_used"] == n_counted
    facts = {**model.facts, "data": {k: v for k, v in model.facts["data"].items() if "impressions" not in k}}
    assert without_settings(replace(model, shown_counts=None, facts=facts)) == without_settings(plain)
    kept = open_model(recommender.save(tmp_path / "model")).model.shown_counts
    assert kept is not None
    assert (dense(kept.shown), dense(kept.used)) == (dense(counts.shown), dense(counts.used))
