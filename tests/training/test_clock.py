"""The log's clock: chosen on newcomers whose tastes are obvious, and what the lists make of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.config import Config
from firstday.data.first_uses import FirstUses
from firstday.data.splits.split import Cohort
from firstday.features.signals import Signals
from firstday.methods.calibrate import DRIFT_SMOOTHING, measure_drift
from firstday.methods.clock import (
    CAUTIOUS_WEIGHT,
    MAX_CHANCE,
    MODEL_AGE_US,
    SETTINGS,
    SMOOTHING,
    Clock,
    choose_clock,
    go_back,
    judge,
    mean_by_week,
    measure_gains,
    measure_newest,
    measure_terms,
    score_settings,
)
from firstday.methods.popularity import rank_recent
from firstday.methods.trending import N_DAYS, choose_trend, count_use, score_days
from firstday.recommend.fold import Fold
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from tests.tiny import N_ITEMS, make_clock, with_learned

N_WEEKS = 30
N_NEW = 60
"""Number of items that replace each other every week, more than a list has."""
SIGNALS = Config().signals


def make_uses(weekly: np.ndarray) -> FirstUses:
    """Make first uses from numbers per week and item, shape (N_WEEKS, n_items), all on the last day of the week."""
    weeks, items = np.nonzero(weekly)
    days = 7 * (N_WEEKS - 1 - weeks)
    counts = SparseRows.from_pairs(days, items, weekly[weeks, items], 7 * N_WEEKS, weekly.shape[1])
    return FirstUses(counts, 7 * N_WEEKS * DAY_US)


def make_newcomers(liked: list[tuple[int, list[int]]], n_items: int) -> Cohort:
    """Make newcomers from the week of the first day and the items used later."""
    ends = np.array([week * 7 * DAY_US + DAY_US for week, _ in liked], dtype=np.int64)
    truth = SparseRows.from_lists([items for _, items in liked], n_items)
    nothing = {("stream", "item"): SparseRows.empty(len(liked), n_items)}
    return Cohort(np.arange(len(liked)), nothing, truth, np.zeros(len(liked), np.int64), ends)


def new_items_of(week: int) -> list[int]:
    return list(range(week * N_NEW, (week + 1) * N_NEW))


@pytest.fixture(scope="module")
def fashion() -> FirstUses:
    """Each week, 60 new items are used by ten people each; those of the first week by twenty."""
    weekly = np.zeros((N_WEEKS, N_WEEKS * N_NEW), np.float32)
    for week in range(N_WEEKS):
        weekly[week, new_items_of(week)] = 10
    weekly[0] *= 2
    return make_uses(weekly)


def newcomers_who_like(age: int) -> Cohort:
    """Make three newcomers a week, from the sixth on, who like what was new so many weeks before; 0: the first week."""
    liked = [(week, new_items_of(week - age if age else 0)) for week in range(6, N_WEEKS) for _ in range(3)]
    return make_newcomers(liked, N_WEEKS * N_NEW)


def test_terms_are_weighted_log_ratios_of_shares() -> None:
    """The first item is used by 30 people 70 days ago, the second by 10 on the last day."""
    counts = SparseRows.from_pairs(np.array([70, 0]), np.array([0, 1]), np.array([30.0, 10.0]), 80, 2)
    recent = np.array([30 * 2.0**-10, 10])
    n_pseudo = 2 * SMOOTHING
    shares = np.array([0.75, 0.25])
    expected = 0.5 * np.log((recent + n_pseudo * shares) / (recent.sum() + n_pseudo) / shares)
    assert measure_terms(FirstUses(counts, 80 * DAY_US), 7, 0.5) == pytest.approx(expected, abs=1e-6)


def test_a_log_of_fashions_has_a_clock(fashion: FirstUses) -> None:
    """A list by all uses has nothing but the first week's items, a list of recent ones all that a newcomer likes."""
    clock = choose_clock(fashion, newcomers_who_like(2), SIGNALS)
    assert clock.is_kept
    assert clock.gain == pytest.approx(100)
    assert clock.n_weeks == N_WEEKS - 6
    assert clock.n_users == 3 * clock.n_weeks
    assert clock.recent_factor > 1
    last_week = (N_WEEKS - 1) * N_NEW
    assert clock.terms[last_week:].min() > clock.terms[:last_week].max()
    assert clock.terms.dtype == np.float32


def test_newcomers_who_like_what_was_always_used_need_no_clock(fashion: FirstUses) -> None:
    clock = choose_clock(fashion, newcomers_who_like(0), SIGNALS)
    assert not clock.is_kept
    assert clock.gain <= 0


def test_no_clock_without_evidence(fashion: FirstUses) -> None:
    """Newcomers of one week are no evidence, however many; nor is anyone before there are counts."""
    one_week = make_newcomers([(20, new_items_of(18))] * 50, N_WEEKS * N_NEW)
    nobody = make_newcomers([], N_WEEKS * N_NEW)
    first_day = make_newcomers([(0, new_items_of(0)), (1, new_items_of(0))], N_WEEKS * N_NEW)
    for newest in (one_week, nobody, first_day):
        clock = choose_clock(fashion, newest, SIGNALS)
        assert not clock.is_kept
        assert clock.gain == 0


def test_a_gain_within_chance_is_used_with_caution(fashion: FirstUses) -> None:
    """In three weeks, odd and even ones, newcomers like what is new, in the others what no list has."""
    liked = [(week, new_items_of(week - 2 if week in {8, 15, 22} else 3)) for week in range(6, N_WEEKS)]
    clock = choose_clock(fashion, make_newcomers(liked, N_WEEKS * N_NEW), SIGNALS)
    assert clock.is_kept
    assert clock.weight == CAUTIOUS_WEIGHT
    assert 0 < clock.gain < MAX_CHANCE * clock.error


def test_gains_are_of_items_that_were_used_before_the_newcomer_came(fashion: FirstUses) -> None:
    """A newcomer who only goes on to use items that do not exist yet is not judged."""
    liked = [(10, new_items_of(12)), (10, new_items_of(8)), *[(13, new_items_of(9))] * 2]
    later = make_newcomers(liked, N_WEEKS * N_NEW)
    gains, weeks = measure_gains(fashion, later, SIGNALS)
    assert gains.shape == (len(SETTINGS), 3)
    assert (weeks == (np.array([10, 13, 13]) * 7 + 1) // 7).all()


def test_what_others_do_after_a_newcomer_s_first_day_changes_no_gain(fashion: FirstUses) -> None:
    newest = newcomers_who_like(2)
    early = newest.take(np.arange(30))
    assert early.day_end_us is not None
    last = int(early.day_end_us.max())
    days = fashion.counts.row_of_entry()
    is_later = fashion.end_us - (days + 1) * DAY_US >= last - MODEL_AGE_US
    changed = replace(fashion, counts=replace(fashion.counts, weights=fashion.counts.weights * (1 + 99 * is_later)))
    assert is_later.any()
    for score, n_scores in ((score_settings, 1 + len(SETTINGS)), (score_days, len(N_DAYS))):
        before, after = (measure_newest(uses, early, SIGNALS, score, n_scores)[0] for uses in (fashion, changed))
        assert before.tobytes() == after.tobytes()


def test_what_had_expired_takes_no_place_in_lists_of_past_newcomers(fashion: FirstUses) -> None:
    """Newcomers like what is used most."""
    newest = newcomers_who_like(0)
    cohorts = (newest, replace(newest, unavailable=newest.truth))
    precision = [measure_newest(fashion, of, SIGNALS, lambda past: [past.n_users], 1)[0].mean() for of in cohorts]
    assert precision == [1, 0]


@pytest.mark.parametrize(("age", "n_days"), [(2, 3), (3, 14), (0, 1)])
def test_trending_items_are_of_the_days_that_serve_newcomers_best(fashion: FirstUses, age: int, n_days: int) -> None:
    """On Mondays, as of a week before, what was new two weeks ago is the latest; nothing is used on Sundays."""
    trend = choose_trend(fashion, newcomers_who_like(age), SIGNALS)
    assert trend.n_days == n_days
    assert trend.use.tolist() == count_use(fashion, n_days).tolist()


def test_a_choice_is_judged_on_weeks_that_did_not_determine_it() -> None:
    """What gains in even weeks loses in odd ones, and the reverse."""
    week = np.arange(4)
    gains = np.array([[10.0, -10.0, 10.0, -10.0], [-10.0, 10.0, -10.0, 10.0]])
    assert judge(gains, week)[1:] == (-10.0, 0.0)
    assert judge(gains[:, :1], week[:1]) == (0, 0.0, 0.0)


def test_errors_are_of_weeks_not_of_users() -> None:
    """Users of a week are alike: two weeks of a thousand users are two values."""
    mean, error = mean_by_week(np.repeat([0.0, 2.0], 1_000), np.repeat([0, 1], 1_000))
    assert mean == 1
    assert error == pytest.approx(np.std([0, 2], ddof=1) / np.sqrt(2))


def test_items_that_are_used_more_of_late_rise_in_blend_and_in_lists_for_the_unknown(tiny: Recommender) -> None:
    known = Signals(age=20, country="FR", interactions=[("stream", "item", "i1")])

    def order(strategy: str, user: Signals, clock: Clock | None) -> list[str]:
        model = tiny.model.with_learned(clock=clock)
        return [item.item_id for item in replace(tiny, model=model).recommend(user, 4, strategy=strategy).items]

    for rising in (1, 2, 3, 4):
        terms = 9 * (np.arange(N_ITEMS) == rising)
        clock = make_clock(terms.tolist())
        unused = replace(clock, is_kept=False)
        for strategy, user in (("blend", known), ("auto", Signals()), ("recent", Signals()), ("recent", known)):
            assert order(strategy, user, clock)[0] == f"i{rising + 1}"
        for strategy in ("blend", "auto"):
            assert order(strategy, known, unused) == order(strategy, known, None)
        assert order("recent", known, unused)[0] == f"i{rising + 1}"
        assert order("segment", known, clock)[:2] == order("segment", known, None)[:2]  # the rest fills the list up
        assert order("popular", known, clock) == order("popular", known, None)


def test_the_fallback_is_named_and_fills_lists(tiny: Recommender) -> None:
    clock = make_clock([0, 0, 0, 0, 9, 0])
    kept = replace(tiny, model=tiny.model.with_learned(clock=clock))
    nothing = kept.recommend(Signals(), 4, strategy="auto")
    assert nothing.route == "recent"
    assert [item.item_id for item in nothing.items][:2] == ["i5", "i1"]
    segment = kept.recommend(Signals(age=20), 6, strategy="segment", rules={"deny": ["i1", "i2", "i3"]})
    assert segment.items[segment.n_ranked].item_id == "i5"
    unused = replace(tiny, model=tiny.model.with_learned(clock=replace(clock, is_kept=False)))
    assert unused.recommend(Signals(), 4, strategy="auto").route == "popular"


@pytest.fixture
def fifty_users() -> FirstUses:
    """Fifty users who use all of i1 to i6 on day 1, but i5 on day 50 of 100."""
    days = np.where(np.arange(N_ITEMS) == 4, 49, 98)
    counts = SparseRows.from_pairs(days, np.arange(N_ITEMS), np.full(N_ITEMS, 50.0), 100, N_ITEMS)
    return FirstUses(counts, 100 * DAY_US)


def test_newcomers_are_judged_with_the_clock_as_of_their_first_day(tiny: Recommender, fifty_users: FirstUses) -> None:
    """All 24 go on to use i5, which others used on day 50: only those who come later could have been told."""
    users = np.arange(24)
    batch, _ = tiny.model.catalogue.read([Signals(interactions=[("stream", "item", "i1")]) for _ in users])
    truth = SparseRows.from_lists([[4]] * len(users), N_ITEMS)
    clock = make_clock([0] * N_ITEMS)

    def fold(day: int) -> Fold:
        return Fold(Query(tiny.model, batch, 4), truth, np.full(len(users), DAY_US * day) + users)

    def drift(folds: list[Fold], clock: Clock = clock) -> float:
        return measure_drift(go_back(folds, fifty_users, clock), fifty_users)

    for of_lists in (clock, replace(clock, is_kept=False)):
        assert drift([fold(10)], of_lists) == pytest.approx(np.log(DRIFT_SMOOTHING / (DRIFT_SMOOTHING + 24)))
        assert drift([fold(70)], of_lists) == 0
        assert drift([fold(5)], of_lists) == 0  # a week before, nobody had used anything
    parts = [fold(10).take(users[:9]), fold(70).take(users[9:])]  # the sixth of twelve periods starts with the tenth
    assert drift(parts) == pytest.approx(np.log((DRIFT_SMOOTHING + 15) / (DRIFT_SMOOTHING + 24)))
    early, *_, late = go_back(parts, fifty_users, clock)
    assert early.model.learned["clock"].terms.argmin() == 4
    assert late.model.learned["clock"].terms.argmax() == 4
    assert sum(part.query.n_users for part in go_back(parts, fifty_users, clock)) == len(users)
    sampled = Fold(fold(10).query, truth)
    assert go_back([sampled], None, None) == [sampled]
    assert measure_drift([sampled], None) == 0


def test_recent_items_follow_the_clock(tiny: Recommender) -> None:
    model = with_learned(tiny.model)
    assert rank_recent(model)[0].tolist() == model.popular_items.tolist()
    assert rank_recent(model.with_learned(clock=make_clock([0, 0, 0, 0, 9, 0])))[0][0] == 4
