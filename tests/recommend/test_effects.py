"""What is told of each thing known of a user is true: held against the features, the prediction and the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstday.data.events import ITEM
from firstday.embed.embeddings import FoldIn
from firstday.features.signals import Signals
from firstday.methods.blend import KNOTS, Blending
from firstday.model.trained_model import TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.effects import find_effects
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import register
from firstday.recommend.spec import StrategySpec
from firstday.recommend.support import strategies_of
from tests.synthetic import COLD_MODELS
from tests.tiny import ITEM_VECTORS, PAIRS, D, make_model, make_network

Thing = tuple[str, Any]
"""A pair's name and a target; a column's name, or ``friends``, and nothing."""

K = 4
MOVES = "moves"
EXCLUDES = "excludes"
NOTHING = "nothing"
SIGNAL_NAMES = ("stream", "favorite", "onboarding", "search", "skip", "ban", "hum")


def make_variant(blocks: str, *, with_fold_in: bool, with_friends: bool) -> TrainedModel:
    """Make the model of five users with other features, and networks that heed every column of them."""
    model = make_model()
    pairs = {"all": PAIRS, "none": (), "artists": (("skip", "artist"), ("favorite", "artist"))}[blocks]
    rule = "least-squares" if blocks == "all" else "mean"
    fold_in = FoldIn(ITEM_VECTORS, rule, 15.0, 1.0)  # type: ignore[arg-type]
    encoder = replace(
        model.encoder,
        pairs=pairs,
        fold_in=fold_in,
        config=model.config.features.override("fold_in", with_fold_in),
        friend_vectors=model.encoder.friend_vectors if with_friends else None,
    )
    rng = np.random.default_rng(len(pairs))
    network, wide = (make_network(rng.normal(size=(n, D))) for n in (encoder.n_inputs, encoder.n_inputs + D))
    ranker = model.learned["direct"]
    clusters = model.learned["input_clusters"]
    centroids = rng.normal(size=(2, encoder.n_inputs)).astype(np.float32)
    everything = {"direct": 0.5, "personal": 1.0, "soft_segments": 0.5, "popular": 0.5, "edlae": 0.5}
    others = {"dropoutnet": {"network": wide}, "melu": {"body": network}}
    return replace(
        model,
        signal_encoder=encoder,
        fold_in=fold_in,
        cold=network,
        learned={
            **model.learned,
            "direct": replace(ranker, body=network),
            "input_clusters": replace(clusters, centroids=centroids),
            **{name: replace(model.learned[name], **others[name]) for name in COLD_MODELS},
            "blend": Blending((everything,) * len(KNOTS)),
        },
    )


VARIANTS = [
    make_variant(blocks, with_fold_in=fold_in, with_friends=friends)
    for blocks, fold_in, friends in product(("all", "none", "artists"), (True, False), (True, False))
]

USERS = st.builds(
    Signals,
    age=st.sampled_from([None, 20, 30, 40, 70]),
    country=st.sampled_from([None, "FR", "DE", "ZZ", "XX"]),
    interactions=st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(SIGNAL_NAMES),
                st.just("item"),
                st.sampled_from(["i1", "i2", "i3", "i4", "i5", "i6", "i9"]),
            ),
            st.tuples(st.sampled_from(SIGNAL_NAMES), st.just("artist"), st.sampled_from(["a1", "a2", "a9"])),
        ),
        max_size=7,
    ),
    friends=st.lists(st.sampled_from(["u1", "u4", "nobody"]), max_size=2),
)


def query_of(model: TrainedModel, user: Signals, *, keep_used: bool) -> Query:
    return Query(model, model.catalogue.read([user])[0], K, keep_used)


def things_of(model: TrainedModel, user: Signals, strategy: str, *, keep_used: bool) -> dict[Thing, str]:
    """Return what each thing that the model understands does."""
    query = query_of(model, user, keep_used=keep_used)
    routes = answer_query(query, strategy).routes
    found: dict[Thing, str] = {}
    for effect in find_effects(query, strategy, routes):
        does = np.where(effect.informs, MOVES, np.where(effect.excludes, EXCLUDES, NOTHING)).tolist()
        if " x " in effect.name:
            signal, entity = effect.name.split(" x ")
            targets = query.signals.actions[signal, entity].columns.tolist()
            ids = model.catalogue.ids_of(entity)
            found |= {(effect.name, ids[at]): one for at, one in zip(targets, does, strict=True)}
        elif does:
            (found[effect.name, None],) = set(does)
    return found


def strip(user: Signals, things: Mapping[Thing, Any]) -> Signals:
    """Return the user without some things."""
    age = None if ("age", None) in things else user.age
    groups: dict[str, Any] = {name: value for name, value in user.groups.items() if (name, None) not in things}
    interactions = [
        action for action in user.interactions if (f"{action.signal} x {action.entity}", action.entity_id) not in things
    ]
    friends = () if ("friends", None) in things else user.friends
    return Signals(age=age, interactions=interactions, friends=friends, **groups)


def outcome(model: TrainedModel, user: Signals, strategy: str, *, keep_used: bool) -> list[Any]:
    """Return everything that a user gets, and the features and the prediction behind it, to the last bit."""
    query = query_of(model, user, keep_used=keep_used)
    answer = answer_query(query, strategy)
    known = bool(query.has_features[0])
    behind = (query.features.tobytes(), query.predicted.tobytes()) if known else None
    return [answer.items.tolist(), answer.scores.tobytes(), answer.routes.tolist(), known, behind]


def check_truth(model: TrainedModel, user: Signals, strategy: str, *, keep_used: bool, some: int) -> None:
    things = things_of(model, user, strategy, keep_used=keep_used)
    before = outcome(model, user, strategy, keep_used=keep_used)

    # What is ignored can go, all of it or any part, and nothing is another.
    idle = [thing for thing, does in things.items() if does == NOTHING]
    part = {thing: True for at, thing in enumerate(idle) if some >> at & 1}
    for gone in (dict.fromkeys(idle), part):
        assert outcome(model, strip(user, gone), strategy, keep_used=keep_used) == before, gone

    # What keeps items out of the list moves nothing else.
    closing = {thing: does for thing, does in things.items() if does == EXCLUDES}
    assert not (closing and keep_used)
    all_open = outcome(model, user, strategy, keep_used=True)
    assert outcome(model, strip(user, closing), strategy, keep_used=True) == all_open

    # What moves the features where there is a prediction is said to move.
    query = query_of(model, user, keep_used=keep_used)
    for thing, does in things.items():
        without = query_of(model, strip(user, {thing: does}), keep_used=keep_used)
        if query.has_features[0] and query.features.tobytes() != without.features.tobytes():
            assert does == MOVES, thing


@settings(max_examples=800)
@given(
    model=st.sampled_from(VARIANTS),
    user=USERS,
    number=st.integers(0, 100),
    keep_used=st.booleans(),
    some=st.integers(0, 255),
)
def test_what_is_ignored_can_be_left_out_and_what_moves_is_never_ignored(
    model: TrainedModel, user: Signals, number: int, some: int, *, keep_used: bool
) -> None:
    names = strategies_of(model)
    check_truth(model, user, names[number % len(names)], keep_used=keep_used, some=some)


def does_of(model: TrainedModel, user: Signals, strategy: str) -> list[str]:
    return list(things_of(model, user, strategy, keep_used=False).values())


FOLDING = VARIANTS[4]
"""No signal has a block of its own, and liked items enter by the fold-in."""
PLAIN = VARIANTS[6]
"""No signal has a block of its own, and there is no fold-in."""


LIKED_AND_SKIPPED = Signals(interactions=[("search", "item", "i1"), ("skip", "item", "i1"), ("skip", "item", "i2")])


@pytest.mark.parametrize(
    ("model", "user", "strategy", "does"),
    [
        (FOLDING, Signals(interactions=[("favorite", "item", "i1")]), "segment", [MOVES]),
        (PLAIN, Signals(interactions=[("favorite", "item", "i1")]), "segment", [EXCLUDES]),
        (PLAIN, Signals(interactions=[("search", "item", "i1")]), "segment", [NOTHING]),
        (PLAIN, Signals(interactions=[("search", "item", "i1")]), "fold_in", [MOVES]),
        (FOLDING, Signals(interactions=[("ban", "item", "i1")]), "segment", [EXCLUDES]),
        (FOLDING, LIKED_AND_SKIPPED, "segment", [MOVES, MOVES, NOTHING]),  # a skip counts if the item is liked too
        (VARIANTS[5], Signals(friends=["u1"]), "segment", [NOTHING]),
        (VARIANTS[5], Signals(friends=["u1"]), "friends", [MOVES]),
        (PLAIN, Signals(country="ZZ"), "group", [NOTHING]),
        (PLAIN, Signals(age=70), "segment", [NOTHING]),
        (PLAIN, Signals(age=70, country="FR"), "segment", [MOVES, MOVES]),  # the age is a number of any prediction
    ],
)
def test_what_one_thing_does(model: TrainedModel, user: Signals, strategy: str, does: list[str]) -> None:
    assert does_of(model, user, strategy) == does


def test_only_what_is_ignored_is_told_as_ignored() -> None:
    answer = Recommender(PLAIN).recommend(Signals(age=70, country="FR"))
    assert (answer.ignored, answer.notes) == ((), ())
    assert Recommender(FOLDING).recommend(LIKED_AND_SKIPPED).ignored == (
        "skip x item (1 of 2): no warm user has this signal on day one",
    )


def test_what_only_keeps_items_out_is_told_as_that() -> None:
    user = Signals(interactions=[("ban", "item", "i1"), ("favorite", "artist", "a1")])
    answer = Recommender(FOLDING).recommend(user)
    assert answer.notes == (
        "answered with popular: segment can use none of this user's signals",
        "ban x item: used only to exclude items, because no warm user has this signal on day one",
    )
    assert answer.ignored == ("favorite x artist: no warm user has this signal on day one",)
    kept = Recommender(FOLDING).recommend(user, keep_used=True)
    assert kept.notes == answer.notes[:1]
    assert kept.ignored == ("ban x item: no warm user has this signal on day one", *answer.ignored)


@pytest.mark.usefixtures("fresh_registry")
def test_of_a_strategy_that_says_nothing_nothing_known_is_called_ignored() -> None:
    """It may read anything, under whatever name it answers."""

    def recommend(query: Query) -> Any:
        return replace(answer_query(query, "popular"), routes=np.full(query.n_users, "my own way", dtype=object))

    register(StrategySpec(name="silent", describe="Says nothing.", recommend=recommend))
    user = Signals(age=70, country="ZZ", interactions=[("skip", ITEM, "i1"), ("search", "artist", "a1")])
    assert set(does_of(PLAIN, user, "silent")) == {MOVES}
    assert Recommender(PLAIN).recommend(user.copy(country="XX"), strategy="silent").ignored == (
        "country 'XX' was never seen",
    )


def test_a_pick_that_no_feature_reads_is_ignored_and_said() -> None:
    """Picks of an artist count as a signal with a block; without one, they do nothing."""
    user = Signals.of({"picks": [["artist", "a1"]]})
    ignored = {
        blocks: Recommender(make_variant(blocks, with_fold_in=False, with_friends=False)).recommend(user, K).ignored
        for blocks in ("artists", "none")
    }
    assert ignored["artists"] == ()
    (sentence,) = ignored["none"]
    assert " x artist" in sentence
