"""What goes with an item, counted by hand: bread and butter on one day, jam by the same people on another."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.load import load
from firstday.data.splits.split import Cohort, Split
from firstday.embed.embeddings import select_uses
from firstday.methods import item_links
from firstday.methods.item_links import MAX_LINKS, MAX_SET_ITEMS, RARITY, SMOOTHING, link_items
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US

CONFIG = Config()
USES = [
    ("u0", "bread", 1), ("u0", "butter", 1), ("u0", "jam", 2),
    ("u1", "bread", 4), ("u1", "butter", 4), ("u1", "jam", 5),
    ("u2", "pen", 1),
]  # fmt: skip


def load_uses(uses: list[tuple[str, str, int]], *, have_times: bool = True) -> Dataset:
    rows = pl.DataFrame(uses, ["user_id", "item_id", "day"], orient="row")
    time = pl.from_epoch(pl.col("day") * 86_400 + 3_600).dt.replace_time_zone("UTC")
    dataset = load({"interactions": rows.select("user_id", "item_id", *[time.alias("timestamp")] * have_times)})
    assert isinstance(dataset, Dataset)
    return dataset


def split_of(dataset: Dataset, warm: list[int], window: Window | None = None) -> Split:
    nobody = Cohort(np.zeros(0, np.int64), {}, SparseRows.empty(0, len(dataset.items)), np.zeros(0, np.int64))
    return Split(np.array(warm), {}, (), nobody, nobody, warm_window=window)


def link(dataset: Dataset, warm: list[int], window: Window | None = None) -> dict[str, dict[str, float]]:
    """Return the weights of the links of each item, best first."""
    actions = {pair: rows.take(np.array(warm)) for pair, rows in dataset.actions(window).items()}
    uses = select_uses(actions, CONFIG.signals, len(warm), len(dataset.items))
    links = link_items(dataset, split_of(dataset, warm, window), uses, CONFIG)
    rows = {}
    for ix, item in enumerate(dataset.items.values):
        weights = dict(zip(dataset.items.take(links.row(ix)), links.row_weights(ix).tolist(), strict=True))
        rows[item] = dict(sorted(weights.items(), key=lambda one: -one[1]))
    return rows


def weigh(together: int, sets: int, popularity: float) -> float:
    return (together + SMOOTHING * popularity) / (sets + SMOOTHING) / popularity**RARITY


def test_a_shared_day_counts_in_addition_to_a_shared_user() -> None:
    links = link(load_uses(USES), [0, 1, 2])
    assert list(links["bread"]) == ["butter", "jam"]
    assert links["bread"]["butter"] == pytest.approx(weigh(4, 4, 4 / 8))  # of 5 days and 3 users
    assert links["bread"]["jam"] == pytest.approx(weigh(2, 4, 4 / 8))
    assert links["jam"]["butter"] == pytest.approx(weigh(2, 4, 4 / 8))
    assert links["pen"] == {}


def test_without_times_users_alone_count() -> None:
    links = link(load_uses(USES, have_times=False), [0, 1, 2])
    assert links["bread"] == pytest.approx(dict.fromkeys(("butter", "jam"), weigh(2, 2, 2 / 3)))


def test_only_warm_users_count_and_only_in_their_window() -> None:
    dataset = load_uses(USES)
    assert link(dataset, [0, 2])["bread"]["butter"] == pytest.approx(weigh(2, 2, 2 / 5))
    window = Window(np.zeros(3, np.int64), np.full(3, 2 * DAY_US))
    assert link(dataset, [0, 1, 2], window)["jam"] == {}
    assert list(link(dataset, [0, 1, 2], window)["bread"]) == ["butter"]


def test_an_item_has_its_strongest_links_and_long_days_are_sampled() -> None:
    names = [f"i{number:03}" for number in range(MAX_SET_ITEMS + 50)]
    crowd = [("u0", name, 1) for name in names]
    pair = [(user, name, 1) for user in ("u1", "u2") for name in ("i000", "i149")]
    links = link(load_uses([*crowd, *pair]), [0, 1, 2])
    assert max(map(len, links.values())) == MAX_LINKS
    assert next(iter(links["i000"])) == "i149"
    assert sum(map(bool, links.values())) > MAX_SET_ITEMS  # other items are drawn of the day than of the user
    assert links == link(load_uses([*crowd, *pair]), [0, 1, 2])


def test_of_too_many_uses_days_and_users_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load_uses(USES)
    monkeypatch.setattr(item_links, "MAX_USES", 1)  # of 14 in 8 sets
    assert link(dataset, [0, 1, 2]) == {item: {} for item in ("bread", "butter", "jam", "pen")}
    monkeypatch.setattr(item_links, "MAX_USES", 14)
    assert link(dataset, [0, 1, 2])["bread"]


def test_dates_are_those_of_each_user() -> None:
    """The same day of two users, and two days in a row of one user, are different sets."""
    links = link(load_uses([("u0", "a", 1), ("u1", "b", 1), ("u1", "c", 2)]), [0, 1])
    assert links["a"] == {}
    assert links["b"] == pytest.approx({"c": weigh(1, 2, 2 / 5)})
