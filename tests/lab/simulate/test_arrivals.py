"""Users who arrive, see lists from the top and use what they like, on the five users' service, by arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from simulated_arrivals import (
    ORACLE,
    WITH_NEW,
    Arrivals,
    ArrivalSettings,
    Course,
    TrueTastes,
    chance_of_seeing,
    describe_arrivals,
    draw_arrivals,
    draw_new_items,
    make_service,
    run_service,
)

from firstday.features.signals import SignalBatch
from firstday.lab.replay.replay import ONCE
from firstday.lab.replay.replay_results import ReplaySettings
from firstday.lab.simulate import behavior
from firstday.lab.simulate.behavior import FAVORITE_ARTISTS
from firstday.lab.simulate.people import TASTE_SCENES, People
from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.model.trained_model import TrainedModel
from tests.tiny import N_ITEMS, make_model

SCENES = np.array([[0.5, 0.25, 0.25, 0, 0, 0], [0, 0, 0, 0.5, 0, 0.5]], np.float32)
"""How likely each of the six items is of a stream of two scenes: only the second has the new item, i6."""
SIMULATION = SimulationSettings(20, 60)
SETTINGS = ArrivalSettings(days=2, newcomers=1, lists_on_day_one=1, appetite=2.0, meeting=ReplaySettings(slate=2))
N_USERS = 3
Run = Callable[..., Mapping[str, Course]]


@pytest.fixture
def _scenes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let streams come from the scenes of the taste alone."""
    for share in ("FAVORITE_ARTIST_SHARE", "CHART_SHARE", "STRANGE_SHARE"):
        monkeypatch.setattr(behavior, share, 0)


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return make_model()


@pytest.fixture
def told() -> SignalBatch:
    return SignalBatch(N_USERS, N_ITEMS, groups={"country": np.array([1, 1, 0], np.int32)}, user_ids=np.arange(N_USERS))


def make_tastes(luck: float = 1, new_since: int = -1) -> TrueTastes:
    """Three users: the first and the second like the first scene, the third the other one.

    The first and the third come on both days, the second on the second day alone. On the second day the first user
    has turned to the other scene.
    """
    codes = np.zeros(N_USERS, np.int16)
    certain = np.ones((N_USERS, 2, TASTE_SCENES), np.float32)  # all weight is on the first place of the taste
    scenes = np.zeros((2, N_USERS, TASTE_SCENES), np.int16)
    scenes[:, 2] = 1
    scenes[1, 0] = 1
    people = People(codes, codes, codes, codes, codes == 0, scenes[0], certain)
    since = np.full(N_ITEMS, -1)
    since[5] = new_since
    arrivals = Arrivals(
        day=np.array([0, 1, 0]),
        people=people,
        favorites=np.zeros((N_USERS, FAVORITE_ARTISTS), np.int64),
        scenes=scenes,
        visits=np.array([[1, 0, 1], [1, 1, 1]]),
        luck=np.full((N_USERS, N_ITEMS), luck, np.float32),
        depths=np.full((N_USERS, 2), SETTINGS.meeting.slate),
        new_since=since,
    )
    nowhere = np.zeros((1, N_ITEMS), np.float32)
    return TrueTastes(arrivals, SETTINGS, SCENES, nowhere, nowhere)


@pytest.fixture
def run(model: TrainedModel, told: SignalBatch, _scenes_alone: None) -> Run:
    """Let the users meet policies, nobody using anything unless there is more luck."""

    def meet(*policies: str, luck: float = 1, new_since: int = -1) -> Mapping[str, Course]:
        return run_service(model, told, make_tastes(luck, new_since), policies)

    return meet


def chance(share: float) -> float:
    """How likely an item is used that has a share of the streams, with an appetite of 2."""
    return float(1 - np.exp(-2 * share))


@pytest.mark.usefixtures("_scenes_alone")
def test_what_is_used_follows_from_the_taste_of_the_day() -> None:
    tastes = make_tastes()
    everyone = np.arange(N_USERS)
    first, other = 1 - np.exp(-2 * SCENES)
    np.testing.assert_allclose(tastes.of_day(everyone, 0), [first, first, other], rtol=1e-6)
    np.testing.assert_allclose(tastes.of_day(everyone, 1), [other, first, other], rtol=1e-6)


def test_the_oracle_shows_what_is_used_most_likely(run: Run) -> None:
    """Nobody uses anything, so that what was passed over is not expected to be used; the first user's taste changed."""
    course = run(ORACLE)[ORACLE]
    half = chance(0.5)
    quarter = chance(0.25)
    first_day = [half + quarter, 0, half + half]
    # The first user meets the other scene for the first time. The third one has nothing left.
    second_day = [half + half, half + quarter, 0]
    np.testing.assert_allclose(course.expected, [first_day, second_day], rtol=1e-5)
    assert not course.hits.any()


def test_what_was_used_is_not_used_again(run: Run) -> None:
    course = run(ORACLE, luck=0)[ORACLE]
    assert course.hits.tolist() == [[2, 0, 2], [2, 2, 0]]
    assert course.shown.sum() == 2 * 5  # lists of two
    assert course.used.sum() == course.hits.sum()


def test_an_item_is_shown_to_nobody_before_it_appears(run: Run) -> None:
    half = chance(0.5)
    for policy in (ORACLE, "popular", "explore" + WITH_NEW):
        assert run(policy, new_since=1)[policy].shown[0, 5] == 0
    oracle = run(ORACLE, new_since=1)[ORACLE]
    np.testing.assert_allclose(oracle.expected[:, 2], [half, half], rtol=1e-5)  # the new item, a day later


def test_policies_meet_users_by_themselves(run: Run) -> None:
    """What one policy showed is no news to another."""
    names = [ORACLE, "segment", "segment" + ONCE, "explore" + WITH_NEW]
    together = run(*names, luck=0.3)
    for name in names:
        alone = run(name, luck=0.3)[name]
        np.testing.assert_array_equal(alone.hits, together[name].hits)
        np.testing.assert_array_equal(alone.expected, together[name].expected)


def test_one_long_list_is_shown_part_by_part(run: Run) -> None:
    """The popular items are i1, i3, i2, i4: two on the first visit, two on the second; all are used where luck is 0."""
    course = run("popular" + ONCE)["popular" + ONCE]
    assert course.shown.tolist() == [[2, 0, 2, 0, 0, 0], [1, 2, 1, 2, 0, 0]]


def test_each_night_counts_what_was_shown_by_the_predicted_segment(run: Run) -> None:
    """Users from FR are predicted to be of segment 0, those from DE of segment 1; explore passes nothing else on."""
    course = run("explore" + WITH_NEW)["explore" + WITH_NEW]
    assert course.counts is not None
    assert course.counts.shown.column_sums().tolist() == course.shown.sum(axis=0).tolist()
    by_segment = [course.counts.shown.row_weights(segment).sum() for segment in range(2)]
    assert by_segment == [6, 4]  # three lists and two lists of two
    assert course.counts.used.n_entries == 0
    assert run("explore")["explore"].counts is None


def test_places_are_seen_from_the_top() -> None:
    meeting = ReplaySettings(slate=4, visible=2, persistence=0.5)
    np.testing.assert_allclose(chance_of_seeing(meeting), [1, 1, 0.5, 0.25])
    assert chance_of_seeing(ReplaySettings(slate=3)).tolist() == [1, 1, 1]


def test_new_items_are_a_share_of_the_known_ones_each_day() -> None:
    since = draw_new_items(1_200, ArrivalSettings(days=10, new_share=0.02))
    assert (since == -1).sum() == 1_000
    assert np.bincount(since[since >= 0]).tolist() == [20] * 10


@pytest.mark.parametrize("drift", [0, 1])
def test_arrivals_are_as_they_are_set(drift: int) -> None:
    settings = ArrivalSettings(days=4, newcomers=30, lists_on_day_one=3, return_share=1, drift=drift, appetite=1)
    world, catalogue = make_service(SIMULATION)
    arrivals = draw_arrivals(world, catalogue, SIMULATION, settings)
    assert np.bincount(arrivals.day).tolist() == [30] * 4
    age = np.arange(4)[:, None] - arrivals.day
    assert (arrivals.visits == np.where(age < 0, 0, np.where(age == 0, 3, 1))).all()
    changed = (arrivals.scenes != arrivals.people.scenes).any(axis=2)
    assert not changed[age <= 0].any()  # until the first day's end
    assert changed[age > 0].any() == drift
    assert changed[age > 0].mean() >= 0.9 * drift
    tastes = TrueTastes.of(arrivals, catalogue, settings)
    for table in (tastes.by_scene, tastes.by_chart, tastes.by_artist):
        np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-4)
    streams = -np.log1p(-tastes.of_day(np.arange(120), 3).astype(np.float64))
    np.testing.assert_allclose(streams.sum(axis=1), 1, atol=1e-3)  # shares of all that a user streams


def test_newcomers_tell_their_profile_and_some_of_their_favorites(model: TrainedModel) -> None:
    settings = ArrivalSettings(days=2, newcomers=30)
    arrivals = draw_arrivals(*make_service(SIMULATION), SIMULATION, settings)
    told = describe_arrivals(arrivals, model, seed=0)
    assert told.n_users == 60
    assert set(np.unique(told.groups["country"])) <= {-1, 0, 1}  # DE and FR are known
    assert told.ages is not None
    assert ((told.ages >= 13) == arrivals.people.has_age).all()
