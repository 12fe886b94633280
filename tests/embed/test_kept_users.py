"""Who is kept of warm and of light users, and with which vector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset, PrecomputedVectors
from firstday.data.ids import Ids
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.split import Split
from firstday.embed.embeddings import Embeddings, FoldIn, compute_affinity
from firstday.embed.kept_users import find_light_users, keep_warm_users
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows
from tests.synthetic import SEED, small_config
from tests.tiny import USES

CONFIG = small_config(sampled={"min_items": 17, "day_ones": 1})
D = 6


@pytest.fixture(scope="module")
def light_split(world: Dataset) -> Split:
    return split_for_training(world, CONFIG, SEED, with_cold=True)


def make_embeddings(n_items: int) -> Embeddings:
    items = np.random.default_rng(0).normal(size=(n_items, D)).astype(np.float32)
    return Embeddings(np.zeros((0, D), dtype=np.float32), items, FoldIn(items, "mean"), "cosine")


def check_rows(world: Dataset, split: Split, config: Config, embeddings: Embeddings, *, n: int) -> list[int]:
    """Check that ids, vectors and items are of the same people; return who they are, as rows of `split.light`."""
    found = find_light_users(world, split, config, embeddings)
    assert (len(found), found.n_light, len(found.vectors), found.uses.n_rows) == (n, n, n, n)
    ids = world.users.take(split.light).to_list()
    rows = [ids.index(one) for one in found.ids.values.to_list()]
    assert rows == sorted(rows)
    used = unite_uses(world.all_actions(), config.signals)
    everyone = find_light_users(world, split, CONFIG, embeddings)
    places = everyone.ids.values.to_list()
    for place, row in enumerate(rows):
        assert found.uses.row(place).tolist() == used.row(split.light[row]).tolist()
        np.testing.assert_allclose(found.vectors[place], everyone.vectors[places.index(ids[row])], rtol=1e-6)
    return rows


def test_some_are_drawn_with_all_that_is_theirs(world: Dataset, light_split: Split) -> None:
    embeddings = make_embeddings(len(world.items))
    n = len(light_split.light)
    assert check_rows(world, light_split, CONFIG, embeddings, n=n) == list(range(n))
    few = small_config(sampled={"min_items": 17, "day_ones": 1}, recommend={"light_users": 7})
    rows = check_rows(world, light_split, few, embeddings, n=7)
    assert rows != list(range(7))


def test_who_only_used_what_no_warm_user_does_has_no_vector_and_is_left_out(world: Dataset, light_split: Split) -> None:
    embeddings = make_embeddings(len(world.items))
    lonely = 3
    affinity = compute_affinity(light_split.light_actions, CONFIG.signals, len(light_split.light), len(world.items))
    items = embeddings.item_vectors.copy()
    items[affinity.row(lonely)] = 0
    rows = check_rows(
        world,
        light_split,
        CONFIG,
        replace(embeddings, item_vectors=items, fold_in=FoldIn(items, "mean")),
        n=len(light_split.light) - 1,
    )
    assert lonely not in rows


def test_who_disliked_all_that_they_used_is_left_out(world: Dataset, light_split: Split) -> None:
    hater, n_items = 2, len(world.items)
    config = small_config(sampled={"min_items": 17, "day_ones": 1}, signals={"affinity": {"ban": -100}})
    bans: list[list[int]] = [[] for _ in light_split.light]
    bans[hater] = list(range(n_items))
    actions = {**light_split.light_actions, ("ban", "item"): SparseRows.from_lists(bans, n_items)}
    found = find_light_users(world, replace(light_split, light_actions=actions), config, make_embeddings(n_items))
    others = np.delete(light_split.light, hater)
    assert found.ids.values.to_list() == world.users.take(others).to_list()


def test_a_vector_that_was_brought_is_taken_before_a_solved_one(world: Dataset, light_split: Split) -> None:
    embeddings = make_embeddings(len(world.items))
    own = np.full((len(world.users), D), np.nan, dtype=np.float32)
    own[light_split.light[4]] = np.arange(1, D + 1)
    brought = replace(world, precomputed=PrecomputedVectors(own, embeddings.item_vectors))
    found, solved = (find_light_users(data, light_split, CONFIG, embeddings) for data in (brought, world))
    np.testing.assert_allclose(found.vectors[4], unit_rows(own[light_split.light[4]][None])[0], rtol=1e-6)
    others = np.arange(len(found)) != 4
    np.testing.assert_array_equal(found.vectors[others], solved.vectors[others])


def test_so_many_warm_users_are_kept_and_no_more() -> None:
    ids = Ids.of([f"u{ix}" for ix in range(1, 6)])
    vectors = np.arange(10, dtype=np.float32).reshape(5, 2)
    kept = keep_warm_users(ids, vectors, USES, 3, seed=1)
    assert len(kept) == len(set(kept.ids.values.to_list())) == 3
    for place, user_id in enumerate(kept.ids.values):
        at = ids.index_of(user_id)
        np.testing.assert_array_equal(kept.vectors[place], vectors[at])
        np.testing.assert_array_equal(kept.uses.row(place), USES.row(at))
    assert keep_warm_users(ids, vectors, USES, 5, seed=1).ids is ids
