"""Items without a precomputed vector are in no list, whatever the strategy; everything else about them counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.features.signals import Signals
from firstday.model.folder import load_model, save_model
from firstday.ranking import rank_scores
from firstday.recommend.answers import answer_query
from firstday.recommend.query import Answer, Query
from firstday.recommend.questionnaire import Answers, Questionnaire, recommend_after_questions
from firstday.recommend.recommender import Recommender
from firstday.recommend.support import value_type
from firstday.training.fit import fit
from tests.synthetic import N_ITEMS as N_WORLD_ITEMS
from tests.synthetic import brief_config
from tests.tiny import N_ITEMS, D, make_model, with_learned

UNLISTED = np.array([0, 2], np.int32)
"""i1 and i3, which are used by more people than all others."""
USERS = [
    Signals(),
    Signals(age=40, country="DE"),
    Signals(interactions=[("stream", "item", "i1")]),
    Signals(interactions=[("stream", "item", "i5"), ("ban", "item", "i2")]),
    Signals(friends=["u1", "u2"]),
]


@pytest.fixture(scope="module")
def bare() -> Recommender:
    model = make_model()
    return Recommender(
        replace(
            with_learned(model, input_clusters=model.learned["input_clusters"].without(UNLISTED)),
            unlisted=UNLISTED,
            segments=model.segments.without(UNLISTED),
        )
    )


def rank_past_the_query(query: Query) -> Answer:
    """A stranger's strategy, which knows of excluded items alone."""
    scores = np.tile(np.arange(N_ITEMS, 0, -1, dtype=np.float32), (query.n_users, 1))
    everyone = np.ones(query.n_users, dtype=bool)
    return Answer.from_lists(everyone, "mine", *rank_scores(lambda rows: scores[rows], query.excluded, query.k))


@pytest.mark.parametrize("keep_used", [False, True])
def test_no_list_of_a_strangers_has_an_item_without_a_vector(bare: Recommender, *, keep_used: bool) -> None:
    """Those of registered strategies neither: see `firstday.testing`."""
    batch, _ = bare.model.catalogue.read(USERS)
    for k in (2, N_ITEMS):
        answer = answer_query(Query(bare.model, batch, k, keep_used), rank_past_the_query)
        assert not np.isin(answer.items, UNLISTED).any()
        assert answer.items[0].tolist() == ([1, 3] if k == 2 else [1, 3, 4, 5, -1, -1])


def test_a_list_by_answers_has_none_either(bare: Recommender) -> None:
    questionnaire = Questionnaire.of(bare.model)
    assert questionnaire.warm is not None
    for strategy in (None, "segment"):
        answer = recommend_after_questions(bare, questionnaire, Answers(yes=(1,)), N_ITEMS, strategy)
        assert sorted(item.item_id for item in answer.items) == ["i4", "i5", "i6"]


def test_segments_without_items_keep_what_they_counted() -> None:
    segments = make_model().segments
    left = segments.without(UNLISTED)
    assert left.top_items.tolist() == [[1, -1, -1], [3, 4, -1]]
    np.testing.assert_allclose(left.top_shares, [[2 / 3, 0, 0], [1, 0.5, 0]], rtol=1e-6)
    assert left.items is segments.items
    assert segments.without(np.zeros(0, np.int32)).top_items.tolist() == segments.top_items.tolist()


def test_a_model_of_vectors_brought_along_says_which_items_have_none(
    world: Dataset, split: Split, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(0)
    users = rng.normal(size=(len(world.users), D)).astype(np.float32)
    items = rng.normal(size=(N_WORLD_ITEMS, D)).astype(np.float32)
    items[[3, 5, 7, 11]] = np.nan
    brought = replace(world, user_vectors=users, item_vectors=items)
    recommender = fit(brought, split, brief_config()).recommender
    model = recommender.model
    assert model.unlisted.tolist() == [3, 5, 7, 11]
    assert model.facts["data"]["items_without_vector"] == 4
    assert model.facts["data"]["vectors"] == "precomputed"  # while embedding.method is still als
    assert np.isfinite(model.fold_in.item_vectors).all()
    assert not set(model.unlisted) & set(model.segments.top_items.ravel().tolist())
    folder = tmp_path_factory.mktemp("bare")
    save_model(model, folder / "model")
    assert load_model(folder / "model", types=value_type).unlisted.tolist() == [3, 5, 7, 11]
