"""What is told of each thing known of a user: whether it moves the list, keeps items out of it, or is ignored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.features.signals import Signals
from firstday.recommend.answers import answer_query
from firstday.recommend.effects import find_effects
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from tests.tiny import D, make_model, make_network

MOVES = (True, False)
EXCLUDES = (False, True)
NOTHING = (False, False)


def make_blind(*, with_fold_in: bool) -> Recommender:
    """Make the model of five users in which no signal has a block of features."""
    model = make_model()
    encoder = replace(model.encoder, pairs=(), config=model.config.features.override("fold_in", with_fold_in))
    network = make_network(np.ones((encoder.n_inputs, D)))
    return Recommender(replace(model, signal_encoder=encoder, cold=network))


FOLDING = make_blind(with_fold_in=True)
PLAIN = make_blind(with_fold_in=False)
LIKED_AND_SKIPPED = Signals(interactions=[("search", "item", "i1"), ("skip", "item", "i1"), ("skip", "item", "i2")])


@pytest.mark.parametrize(
    ("recommender", "user", "strategy", "does"),
    [
        (FOLDING, LIKED_AND_SKIPPED, "segment", [MOVES, MOVES, NOTHING]),  # a skip counts if the item is liked too
        (PLAIN, Signals(interactions=[("favorite", "item", "i1")]), "segment", [EXCLUDES]),
        (PLAIN, Signals(age=70), "segment", [NOTHING]),
        (PLAIN, Signals(friends=["u1"]), "friends", [MOVES]),
    ],
)
def test_what_one_thing_does(
    recommender: Recommender, user: Signals, strategy: str, does: list[tuple[bool, bool]]
) -> None:
    model = recommender.model
    query = Query(model, model.catalogue.read([user])[0], 4)
    found = find_effects(query, strategy, answer_query(query, strategy).routes)
    pairs = [pair for effect in found for pair in zip(effect.informs, effect.excludes & ~effect.informs, strict=True)]
    assert pairs == does


def test_what_does_nothing_is_told_as_ignored() -> None:
    (sentence,) = FOLDING.recommend(LIKED_AND_SKIPPED).ignored
    assert sentence.startswith("skip x item (1 of 2)")
    assert PLAIN.recommend(Signals(age=70, country="FR")).ignored == ()
