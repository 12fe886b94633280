"""`auto`, the classes of users by what is known, and strategies that leave the answer to their fallback."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from firstday.artifact.trained_model import KNOWLEDGE, Blending, ClassEvidence, Selection, TrainedModel
from firstday.config import Config
from firstday.data.events import ITEM
from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.recommend.blend import SHARES, score_blend
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, answer_all
from firstday.serve.service import load_served
from firstday.sparse import SparseRows
from firstday.training.selection import ENOUGH_USERS, choose_selection, select, take_class
from tests.tiny import make_model

NOBODY = Signals()
PROFILE = Signals(country="FR")
BEFRIENDED = Signals(country="FR", friends=["u4"])
SKIPPED = Signals(interactions=[("skip", ITEM, "i4")])
ONE = Signals(interactions=[("stream", ITEM, "i1")])
MANY = Signals(
    interactions=[("stream", ITEM, "i1"), ("stream", ITEM, "i2"), ("stream", ITEM, "i3"), ("stream", ITEM, "i4")]
)
MIXED = Signals(interactions=[*ONE.interactions, *(("favorite", "artist", name) for name in ("a1", "a2"))])
USERS = [NOBODY, PROFILE, BEFRIENDED, SKIPPED, ONE, MIXED, MANY]
CLASSES = ("nothing", "profile", "friends", "1-3", "1-3", "1-3", "4+")


def of_class(best: str, fallback: str = "popular", fall_back: tuple[str, ...] = ()) -> ClassEvidence:
    return ClassEvidence(500, "class", fallback, best, fall_back, {})


SELECTION = Selection(
    (
        of_class("popular"),
        of_class("group", "group", ("segment", "blend")),
        of_class("friends", "popular", ("segment",)),
        of_class("soft_segments"),
        of_class("personal"),
    )
)


@pytest.fixture
def model() -> TrainedModel:
    tiny = make_model()
    return replace(tiny, selection=SELECTION, config=tiny.config.override("recommend.strategy", "auto"))


def ask(model: TrainedModel, users: list[Signals]) -> Query:
    return Query(model, model.catalogue.read(users)[0], 3)


def test_users_are_divided_by_what_is_known_of_them(model: TrainedModel) -> None:
    assert [KNOWLEDGE[number] for number in ask(model, USERS).knowledge] == list(CLASSES)


def test_what_the_model_does_not_understand_is_nothing(model: TrainedModel) -> None:
    strangers = [
        Signals(country="ZZ"),  # nobody is from there
        Signals(interactions=[("stream", ITEM, "i99")]),
        Signals(friends=["u99"]),
    ]
    assert ask(model, strangers).knowledge.tolist() == [0, 0, 0]


def test_auto_answers_each_class_by_its_best(model: TrainedModel) -> None:
    answer = answer_all(ask(model, USERS), "auto")
    best = ["popular", "group", "friends", "soft_segments", "soft_segments", "soft_segments", "personal"]
    assert answer.routes.tolist() == best
    for row, (user, name) in enumerate(zip(USERS, best, strict=True)):
        alone = answer_all(ask(model, [user]), name)
        np.testing.assert_array_equal(answer.items[row], alone.items[0])
        np.testing.assert_allclose(answer.scores[row], alone.scores[0], rtol=1e-6)


def test_a_strategy_leaves_the_answer_to_a_better_fallback(model: TrainedModel) -> None:
    query = ask(model, USERS)
    assert answer_all(query, "segment").routes.tolist() == ["popular", "group", "popular", *["segment"] * 4]
    everywhere = answer_all(ask(replace(model, selection=Selection()), USERS), "segment")
    assert everywhere.routes.tolist() == ["popular", *["segment"] * 6]
    assert answer_all(query, "personal").routes.tolist() == ["popular", *["personal"] * 6]


def test_auto_without_a_selection_is_blend() -> None:
    query = ask(make_model(), USERS[1:])
    np.testing.assert_array_equal(answer_all(query, "auto").items, answer_all(query, "blend").items)


def test_auto_is_the_default(model: TrainedModel) -> None:
    assert Config().recommend.strategy == "auto"
    assert Recommender(model).recommend(BEFRIENDED, 3).strategy == "auto"
    assert Recommender(model).recommend(BEFRIENDED, 3).route == "friends"


def precision(*means: float) -> np.ndarray:
    """Return the precision of 400 users in two kinds of which one is .1 above and one .1 below the mean."""
    return np.concatenate([np.full(200, mean + shift) for mean in means for shift in (-0.1, 0.1)])


def test_the_fallback_answers_where_nothing_is_better_beyond_chance() -> None:
    noise = np.tile([0.5, -0.5], 200)  # its standard error is .025
    of_users = {"popular": precision(0.4), "group": precision(0.41), "segment": precision(0.45) + noise}
    of_users |= {"blend": precision(0.47) + noise, "direct": precision(0.43)}
    fallback, best, fall_back = select(of_users)
    assert (fallback, fall_back) == ("group", ("segment",))  # .04 is within two standard errors, .06 is not
    assert best == "blend"


def test_auto_takes_another_strategy_than_blend_only_beyond_chance() -> None:
    noise = np.tile([0.5, -0.5], 200)
    base = {"popular": precision(0.2), "group": precision(0.2), "blend": precision(0.4)}
    assert select(base | {"direct": precision(0.43) + noise})[1] == "blend"
    assert select(base | {"direct": precision(0.43)})[1] == "direct"
    assert select(base | {"blend": precision(0.2), "direct": precision(0.2)})[1:] == ("popular", ("blend", "direct"))


def test_few_with_a_profile_alone_are_joined_by_those_who_did_more(model: TrainedModel) -> None:
    users = [Signals(country="FR", interactions=ONE.interactions), Signals(country="DE"), MANY]
    query = ask(model, users)
    truth = SparseRows.from_lists([[1], [3], [4]], model.n_items)
    members, used, source = take_class(query, truth, KNOWLEDGE.index("profile"))
    assert (members.n_users, source) == (2, "away")  # of MANY nothing would be known
    assert members.liked.n_entries == 0
    assert members.excluded.row(0).tolist() == [0]  # used on day one, so it is not in what was used afterwards
    assert used.row(0).tolist() == [1]
    assert answer_all(members, "popular").items[0].tolist() == [2, 1, 3]
    full = replace(query, signals=query.signals.take(np.ones(ENOUGH_USERS, dtype=np.int64)))
    assert take_class(full, truth.take(np.ones(ENOUGH_USERS, dtype=np.int64)), 1)[2] == "class"


def test_few_who_did_little_are_joined_by_those_who_did_more(model: TrainedModel) -> None:
    query = ask(model, [ONE, MIXED, PROFILE] + [MANY] * 40)
    members, used, source = take_class(query, SparseRows.from_lists([[4]] * 43, model.n_items), 3)
    assert (members.n_users, source, used.n_rows) == (42, "away", 42)
    n_done = members.liked.lengths() + members.signals.actions["favorite", "artist"].lengths()
    assert n_done[:2].tolist() == [1, 3]  # they stay as they are
    assert set(n_done[2:].tolist()) == {1, 2, 3}
    assert members.excluded.row(5).tolist() == [0, 1, 2, 3]


def test_a_selection_is_made_of_what_validation_users_used(model: TrainedModel) -> None:
    """Users from FR use what those of DE do and nobody else: the popular list has it last, their segment not at all."""
    bare = replace(model, selection=Selection())
    query = ask(bare, [Signals(country="FR")] * 250)
    truth = SparseRows.from_lists([[4]] * 250, model.n_items)
    selection = choose_selection(query, truth, ["segment", "personal"])
    evidence = selection.classes[KNOWLEDGE.index("profile")]
    assert (evidence.n_users, evidence.users) == (250, "class")
    assert evidence.precision["segment"] == 0
    assert "segment" in evidence.fall_back
    assert selection.classes[0].best == "popular"
    assert selection.classes[KNOWLEDGE.index("4+")].users == "all"


@pytest.mark.parametrize("weights", [{"direct": 1.0, "personal": 0.5}, {"direct": 0.01, "personal": 3.0}])
def test_quick_blend_is_the_blend_of_all_items(weights: dict[str, float]) -> None:
    """The ranker ranks two items of six: where another one may reach the list, all of them are scored."""
    model = make_model()
    assert model.ranker is not None
    ranked = np.array([1, 4], dtype=np.int32)
    ranker = replace(model.ranker, items=ranked, weights=model.ranker.weights[ranked], bias=model.ranker.bias[ranked])
    weights = {**weights, "neighbors": 0.3, "soft_segments": 0.2, "group": 0.1, "friends": 0.1}
    model = replace(model, ranker=ranker, blending=Blending((weights,) * len(KNOWLEDGE)))
    query = ask(model, USERS)
    for k in (1, 2, 3):
        asked = replace(query, k=k)
        answer = answer_all(asked, "blend")
        full = asked.rank_scores(lambda rows, of=asked: score_blend(of, rows), "blend", asked.known)  # type: ignore[misc]
        np.testing.assert_array_equal(answer.items[1:], full.items[1:])
        np.testing.assert_allclose(answer.scores[1:], full.scores[1:], rtol=1e-4, atol=1e-5)


def test_an_unknown_default_of_the_service_is_refused(tmp_path: Path) -> None:
    place = Recommender(make_model()).save(tmp_path / "model")
    assert load_served(place, "segment").recommender.recommend(ONE, 3).strategy == "segment"
    with pytest.raises(ConfigError, match="strategy: 'segmnt' is unknown"):
        load_served(place, "segmnt")


def test_shares_of_ranked_items_are_those_of_all(model: TrainedModel) -> None:
    assert model.ranker is not None
    ranked = np.array([0, 2, 3], dtype=np.int32)
    model = replace(model, ranker=replace(model.ranker, items=ranked))
    query, rows = ask(model, USERS), np.arange(1, len(USERS))
    for name, score in SHARES.items():
        np.testing.assert_allclose(
            score(query.of_ranked_items, rows), score(query, rows)[:, ranked], rtol=1e-6, err_msg=name
        )
