"""Light users: too few items to be warm, but friends all the same; nothing is learned from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from firstday.config import SignalConfig, parse_config
from firstday.data.dataset import Dataset
from firstday.data.events import Events
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.split import Split
from firstday.embed.embeddings import Embeddings, compute_affinity
from firstday.features.signals import Signals
from firstday.ranking import unit_rows
from firstday.recommend.neighbors import score_neighbors
from firstday.recommend.query import Query
from firstday.recommend.questionnaire import Questionnaire
from firstday.recommend.recommender import Recommender, open_model
from firstday.sparse import SparseRows
from firstday.training.fit import fit, keep_people
from tests.synthetic import SEED, brief_config
from tests.timed import LOG, make_log

K = 20
CONFIG = brief_config(sampled={"min_items": 17})
"""More than half of the users have 14 to 16 items."""


@pytest.fixture(scope="module")
def light_split(world: Dataset) -> Split:
    return split_for_training(world, CONFIG, SEED, with_cold=True)


@pytest.fixture(scope="module")
def befriended(world: Dataset, light_split: Split) -> Recommender:
    return fit(world, light_split, CONFIG)


def test_all_others_who_use_anything_are_light(world: Dataset, light_split: Split) -> None:
    used = unite_uses(world.all_actions(), SignalConfig()).lengths()
    assert light_split.light.tolist() == np.flatnonzero(used < 17).tolist()
    gone = int(light_split.light[0])
    idle = replace(world, events=Events.of(world.events.whole().filter(~LOG.user(gone))))
    assert gone not in split_for_training(idle, CONFIG, SEED, with_cold=True).light


def test_light_users_of_a_log_have_what_they_did_in_it() -> None:
    log = make_log()
    config = parse_config({"registration": {"target_days": 5, "min_items": 25}})
    split = split_for_training(log, config, SEED)
    assert len(split.light)
    assert not set(split.light) & set(split.warm)
    rows = log.events.whole().filter(LOG.pair("stream", "item"))
    for row, user in enumerate(split.light.tolist()):
        assert split.light_actions["stream", "item"].row(row).tolist() == LOG.targets(rows.filter(LOG.user(user)))


def test_they_are_kept_behind_the_warm_ones_with_solved_vectors(
    world: Dataset, light_split: Split, befriended: Recommender
) -> None:
    model = befriended.model
    assert model.warm is not None
    n_warm, n_light = len(light_split.warm), len(light_split.light)
    assert (model.warm.n_light, len(model.warm), len(model.warm.neighbor_vectors)) == (
        n_light,
        n_warm + n_light,
        n_warm,
    )
    assert model.warm.ids.values.to_list() == world.users.take(np.append(light_split.warm, light_split.light)).to_list()
    affinity = compute_affinity(light_split.light_actions, CONFIG.signals, n_light, model.n_items)
    np.testing.assert_allclose(
        model.warm.vectors[n_warm:], unit_rows(model.fold_in.solve(affinity)), rtol=1e-4, atol=1e-6
    )
    used = unite_uses(world.all_actions(), CONFIG.signals)
    for place in (0, n_light // 2, n_light - 1):
        assert model.warm.uses.row(n_warm + place).tolist() == used.row(light_split.light[place]).tolist()


def test_they_are_no_neighbours_and_answer_no_question(
    world: Dataset, light_split: Split, befriended: Recommender
) -> None:
    model = befriended.model
    assert model.warm is not None
    batch, _ = model.catalogue.translate(world, light_split.cold.users, light_split.cold.day_one)
    query, rows = Query(model, batch, K), np.arange(5)
    elsewhere = replace(model.warm, uses=_only_first(model.warm.uses, len(model.warm.neighbor_vectors)))
    np.testing.assert_array_equal(
        score_neighbors(query, rows), score_neighbors(Query(replace(model, warm=elsewhere), batch, K), rows)
    )
    answering = Questionnaire.of(model).warm
    assert answering is not None
    assert answering.n_users == len(light_split.warm)


def _only_first(uses: SparseRows, n: int) -> SparseRows:
    """Empty all rows but the first n."""
    return uses.keep(uses.row_of_entry() < n)


def test_nothing_is_learned_from_them(world: Dataset, light_split: Split, befriended: Recommender) -> None:
    without = fit(
        replace(world, friends=None),
        replace(light_split, light=light_split.light[:0], light_actions={}),
        CONFIG,
        weigh=False,
    )
    for name in ("popularity", "scoring_vectors"):
        np.testing.assert_array_equal(getattr(without.model, name), getattr(befriended.model, name), err_msg=name)
    np.testing.assert_array_equal(without.model.segments.centroids, befriended.model.segments.centroids)
    assert befriended.model.warm is not None
    assert without.model.warm is not None
    np.testing.assert_array_equal(without.model.warm.neighbor_vectors, befriended.model.warm.neighbor_vectors)


def test_a_saved_model_knows_them_again(befriended: Recommender, tmp_path: Path, light_split: Split) -> None:
    again = open_model(befriended.save(tmp_path / "model"))
    assert again.model.warm is not None
    assert again.model.warm.n_light == len(light_split.light)
    friends = again.model.warm.ids.values.to_list()[-3:]
    one, other = (found.recommend(Signals(friends=friends), K, "blend") for found in (befriended, again))
    assert one.items == other.items


@pytest.mark.parametrize(("most", "kept"), [(0, 0), (7, 7)])
def test_a_model_keeps_so_many_and_no_more(
    world: Dataset, light_split: Split, befriended: Recommender, most: int, kept: int
) -> None:
    config, model = CONFIG.override("recommend.light_users", most), befriended.model
    assert model.warm is not None
    vectors = model.warm.neighbor_vectors
    embeddings = Embeddings(vectors, model.fold_in.item_vectors, model.fold_in, model.similarity)
    warm = keep_people(world, light_split, config, embeddings, model.warm.used_by_neighbors)
    assert warm is not None
    assert (warm.n_light, len(warm)) == (kept, len(light_split.warm) + kept)
