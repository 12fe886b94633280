"""A simulated service of several days: newcomers register each day, are shown lists by a policy, use what they like.

The world is the simulator's, so that it is known how likely each user uses each item. An oracle that knows this, too,
shows what was possible; what a policy's lists lack of the oracle's is its regret.

Each policy meets the same users on the same days, who see as many places of its lists. A user uses an item that is seen
if a number drawn once for both lies below the probability of that day: so an item that was passed over stays so while
the taste stands still, and may be used after a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from firstday.artifact.trained_model import TrainedModel
from firstday.data.events import ITEM, Pair
from firstday.evaluation.replay import ONCE, ReplaySettings, draw_depths
from firstday.features.signals import PICK_SIGNAL, SignalBatch
from firstday.ranking import NO_ITEM
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_all
from firstday.segment.shown_counts import ShownCounts, add_shown
from firstday.simulate.behavior import FAVORITE_ARTISTS, NEXT_ARTIST, ONBOARDING_ARTISTS
from firstday.simulate.choices import Choices
from firstday.simulate.music import MusicCatalogue
from firstday.simulate.people import TASTE_SCENES, People, make_people
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.world import AGES, COUNTRIES, World
from firstday.sparse import SparseRows

ORACLE = "oracle"
"""The policy that shows what the user uses most likely, knowing each probability."""
WITH_NEW = "+new"
"""After a strategy's name: what was shown is counted each night, so that `explore` gives new items places."""
LEAST_UNSEEN = 1e-9


@dataclass(frozen=True)
class ArrivalSettings:
    """How users arrive, what changes, and how they meet lists.

    Parameters
    ----------
    days
        Days of the service.
    newcomers
        Users who register on each of them.
    lists_on_day_one
        Lists that each of these is shown on the first day.
    return_share
        How likely a user comes back on each later day, for one list.
    drift
        How likely each scene of a user's taste gives way to another on each day, besides the taste's maturing.
    new_share
        Items that appear on each day, as a share of those that warm users know.
    appetite
        An item that is seen is used as likely as it is among so many streams of the user.
    meeting
        Length of lists and who sees how much of them; its rounds and its delay are not used.
    seed
        Decides all that is drawn.
    """

    days: int = 10
    newcomers: int = 100
    lists_on_day_one: int = 2
    return_share: float = 0.5
    drift: float = 0.02
    new_share: float = 0.02
    appetite: float = 40.0
    meeting: ReplaySettings = field(default_factory=lambda: ReplaySettings(visible=3))
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Who comes when, with which tastes; the same for every policy.

    Parameters
    ----------
    day
        The day, from 0, on which each user registers, int64, shape (n_users,).
    people
        The users.
    favorites
        Their favorite artists, shape (n_users, `FAVORITE_ARTISTS`).
    scenes
        The scenes of their tastes on each day, int16, shape (days, n_users, `TASTE_SCENES`).
    visits
        How many lists each user is shown on each day, int64, shape (days, n_users).
    luck
        Below which probability each user uses each item, float32, shape (n_users, n_items).
    depths
        How many places of each list each user sees, int64, shape (n_users, most lists of a user).
    new_since
        The day on which each item appears, int64, shape (n_items,); -1 for those that warm users know.
    """

    day: np.ndarray
    people: People
    favorites: np.ndarray
    scenes: np.ndarray
    visits: np.ndarray
    luck: np.ndarray
    depths: np.ndarray
    new_since: np.ndarray


def draw_new_items(n_items: int, settings: ArrivalSettings) -> np.ndarray:
    """Draw the day on which each item appears, int64, shape (n_items,); -1 for those that warm users know."""
    n_old = round(n_items / (1 + settings.new_share * settings.days))
    since = np.repeat(np.arange(settings.days), np.diff(np.linspace(0, n_items - n_old, settings.days + 1).astype(int)))
    rng = np.random.default_rng([settings.seed, 1])
    return rng.permutation(np.concatenate([np.full(n_old, -1), since])).astype(np.int64)


def draw_arrivals(
    world: World, catalogue: MusicCatalogue, simulation: SimulationSettings, settings: ArrivalSettings
) -> Arrivals:
    """Draw who comes, when, how often and with which tastes.

    Parameters
    ----------
    world, catalogue
        The scenes and items, which those who came before know, too.
    simulation
        How people are.
    settings
        How they arrive.
    """
    rng = np.random.default_rng([settings.seed, 2])
    n, days = settings.newcomers * settings.days, settings.days
    people = make_people(replace(simulation, n_users=n), world, rng)
    day = rng.permutation(np.repeat(np.arange(days), settings.newcomers))
    artists = np.repeat(np.arange(n), FAVORITE_ARTISTS)
    first = (rng.random(len(artists), dtype=np.float32)[:, None] >= people.first_taste[artists]).sum(axis=1)
    scene = people.scenes[artists, np.minimum(first, TASTE_SCENES - 1)].astype(np.int64)
    favorites = catalogue.artists_by_scene.draw(scene, rng).reshape(n, FAVORITE_ARTISTS)
    age = np.arange(days)[:, None] - day
    visits = np.where(age == 0, settings.lists_on_day_one, (age > 0) & (rng.random(age.shape) < settings.return_share))
    n_items = len(catalogue.scene)
    luck = rng.random((n, n_items), dtype=np.float32)
    depths = draw_depths(n, replace(settings.meeting, rounds=max(1, int(visits.sum(axis=0).max()))), rng)
    scenes = _drift(people, world, age, settings, rng)
    return Arrivals(day, people, favorites, scenes, visits, luck, depths, draw_new_items(n_items, settings))


def _drift(
    people: People, world: World, age: np.ndarray, settings: ArrivalSettings, rng: np.random.Generator
) -> np.ndarray:
    """Draw the scenes of tastes on each day: from the day after the first one on, some give way to others."""
    profile = people.country.astype(np.int64) * len(AGES) + people.age_ix
    scenes = np.repeat(people.scenes[None], settings.days, axis=0)
    for day in range(1, settings.days):
        changes = (rng.random(people.scenes.shape) < settings.drift) & (age[day] > 0)[:, None]
        others = world.by_profile.draw(np.repeat(profile, TASTE_SCENES), rng).reshape(people.scenes.shape)
        scenes[day] = np.where(changes, others, scenes[day - 1])
    return scenes


@dataclass(frozen=True, eq=False)
class TrueTastes:
    """How likely each user of a service uses each item that is seen.

    Parameters
    ----------
    arrivals, simulation, settings
        The users, how people stream, and what streaming means for lists.
    by_scene, by_chart, by_artist
        How likely each item is of a stream of a scene, of a country's charts, of an artist, float32, each of shape
        (n_rows, n_items).
    """

    arrivals: Arrivals
    simulation: SimulationSettings
    settings: ArrivalSettings
    by_scene: np.ndarray
    by_chart: np.ndarray
    by_artist: np.ndarray

    @classmethod
    def of(
        cls,
        arrivals: Arrivals,
        catalogue: MusicCatalogue,
        simulation: SimulationSettings,
        settings: ArrivalSettings,
    ) -> TrueTastes:
        """Make them of what the simulator draws from."""
        n_items = len(catalogue.scene)
        tables = (_spell_out(of, n_items) for of in (catalogue.by_scene, catalogue.by_chart, catalogue.by_artist))
        return cls(arrivals, simulation, settings, *tables)

    def of_day(self, users: np.ndarray, day: int) -> np.ndarray:
        """Return how likely some users use each item that is seen on a day, float32, shape (n_users, n_items).

        The same mixture as in the streams of `firstday.simulate.behavior`: autoplay, the country's charts, favorite
        artists, and scenes of the taste of that day.
        """
        arrivals, shares = self.arrivals, self.simulation
        people, n_scenes = arrivals.people, len(self.by_scene)
        mature = 1 - np.exp(-(day - arrivals.day[users]) / shares.drift_days)[:, None]
        weights = (1 - mature) * _weights(people.first_taste[users]) + mature * _weights(people.mature_taste[users])
        taste = np.zeros((len(users), n_scenes), dtype=np.float32)
        np.add.at(taste, (np.arange(len(users))[:, None], arrivals.scenes[day][users]), weights)
        ladder = NEXT_ARTIST ** np.arange(FAVORITE_ARTISTS)
        artists = np.zeros((len(users), len(self.by_artist)), dtype=np.float32)
        np.add.at(artists, (np.arange(len(users))[:, None], arrivals.favorites[users]), ladder / ladder.sum())
        favorite, chart, strange = shares.favorite_artist_share, shares.chart_share, shares.strange_share
        own = favorite * (artists @ self.by_artist) + (1 - favorite) * (taste @ self.by_scene)
        liked = chart * self.by_chart[people.country[users]] + (1 - chart) * own
        stream = strange * self.by_scene.mean(axis=0) + (1 - strange) * liked
        likely: np.ndarray = (-np.expm1(-self.settings.appetite * stream)).astype(np.float32)
        return likely


def _weights(cumulative: np.ndarray) -> np.ndarray:
    """Return the weights of scenes of cumulative ones."""
    return np.diff(cumulative, axis=1, prepend=np.float32(0))


def _spell_out(choices: Choices, n_items: int) -> np.ndarray:
    """Return choices as a table of probabilities, float32, shape (n_rows, n_items)."""
    row = np.repeat(np.arange(choices.n_rows), np.diff(choices.starts))
    table = np.zeros((choices.n_rows, n_items), dtype=np.float32)
    table[row, choices.targets] = np.diff(choices.ladder, prepend=0.0)
    return table


def describe_arrivals(
    arrivals: Arrivals, model: TrainedModel, simulation: SimulationSettings, seed: int
) -> SignalBatch:
    """Return what a model is told of the users when they register: profile, and some of them answer what they like.

    Parameters
    ----------
    arrivals
        The users.
    model
        A model of the simulator's tables, whose ids are indexes plus 1.
    simulation
        How many answer the questionnaire.
    seed
        Decides who answers, and what.
    """
    rng = np.random.default_rng([seed, 3])
    people, known = arrivals.people, model.catalogue
    n = len(people)
    groups = {}
    if "country" in known.groups:
        codes = {code: at for at, code in enumerate(known.groups["country"])}
        of_country = np.array([codes.get(country.code, -1) for country in COUNTRIES], dtype=np.int32)
        groups["country"] = of_country[people.country]
    ages = np.where(people.has_age, AGES[people.age_ix], -1).astype(np.int16)
    actions: dict[Pair, SparseRows] = {}
    if "artist" in known.entities and PICK_SIGNAL in known.signals:
        n_named = np.where(rng.random(n) < simulation.questionnaire_share, rng.integers(*ONBOARDING_ARTISTS, n), 0)
        users = np.repeat(np.arange(n), np.minimum(n_named, FAVORITE_ARTISTS))
        place = np.arange(len(users)) - np.searchsorted(users, users)
        artists = known.entities["artist"].lookup(pl.Series(arrivals.favorites[users, place] + 1))
        kept = artists >= 0
        named = SparseRows.from_pairs(users[kept], artists[kept], None, n, len(known.entities["artist"]))
        actions[PICK_SIGNAL, "artist"] = named.ones()
    ids = np.arange(n).astype(object)
    return SignalBatch(n, model.n_items, actions, groups, ages if known.has_ages else None, user_ids=ids)


@dataclass(eq=False)
class Course:
    """What became of a policy.

    Parameters
    ----------
    hits
        Items that each user used on each day, int64, shape (days, n_users).
    expected
        How many uses were to be expected of the lists of each day, by true tastes, float64, shape (days, n_users).
    shown, used
        How often each item was shown on each day, and used after that, int64, shape (days, n_items).
    counts
        The same by segment, of all days; None where nothing is counted.
    """

    hits: np.ndarray
    expected: np.ndarray
    shown: np.ndarray
    used: np.ndarray
    counts: ShownCounts | None


def run_service(
    model: TrainedModel, signals: SignalBatch, tastes: TrueTastes, policies: Sequence[str]
) -> Mapping[str, Course]:
    """Let the users meet each policy, day by day.

    Parameters
    ----------
    model
        Trained on what is known before the first day; its items are in the order of the world's.
    signals
        What the users tell when they register (`describe_arrivals`).
    tastes
        What they use.
    policies
        Names of strategies, `ORACLE`, and strategies' names with `ONCE` (one long list, made at registration, is shown
        part by part) or `WITH_NEW` after them.
    """
    arrivals, settings = tastes.arrivals, tastes.settings
    parties = {name: _Party.of(name, model, signals, tastes) for name in policies}
    for day in range(settings.days):
        released = arrivals.new_since <= day
        hidden = np.union1d(model.unlisted, np.flatnonzero(~released)).astype(np.int32)
        tonight = replace(model, unlisted=hidden)
        models = {
            name: replace(tonight, shown_counts=party.course.counts) if party.course.counts is not None else tonight
            for name, party in parties.items()
        }
        for visit in range(int(arrivals.visits[day].max(initial=0))):
            users = np.flatnonzero(arrivals.visits[day] > visit)
            likely = tastes.of_day(users, day)
            for name, party in parties.items():
                party.show(models[name], users, likely, released, day)
        for party in parties.values():
            party.add_up_counts(model)
    return {name: party.course for name, party in parties.items()}


@dataclass(eq=False)
class _Party:
    """All users, with what one policy showed them so far.

    Parameters
    ----------
    policy, signals, tastes
        See `run_service`.
    course
        What became of the policy.
    is_used
        Whether each user used each item, bool, shape (n_users, n_items).
    unseen
        Logarithm of how likely it is that the user did not see an item, as far as the service can tell, float32.
    passed_by
        The highest probability of use at which each user passed each item over, float32; 0 where it was not seen.
    n_lists
        How many lists each user was shown, int64, shape (n_users,).
    long_lists
        The lists that are shown part by part, by user.
    cells
        What was shown since the night before: users, items and whether they were used.
    """

    policy: str
    signals: SignalBatch
    tastes: TrueTastes
    course: Course
    is_used: np.ndarray
    unseen: np.ndarray
    passed_by: np.ndarray
    n_lists: np.ndarray
    long_lists: dict[int, np.ndarray] = field(default_factory=dict)
    cells: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    @classmethod
    def of(cls, policy: str, model: TrainedModel, signals: SignalBatch, tastes: TrueTastes) -> _Party:
        """Begin, before anything was shown."""
        nothing = SparseRows.empty(len(model.segments), model.n_items)
        (n_users, n_items), days = tastes.arrivals.luck.shape, tastes.settings.days
        return cls(
            policy,
            signals,
            tastes,
            Course(
                hits=np.zeros((days, n_users), dtype=np.int64),
                expected=np.zeros((days, n_users)),
                shown=np.zeros((days, n_items), dtype=np.int64),
                used=np.zeros((days, n_items), dtype=np.int64),
                counts=ShownCounts(nothing, nothing) if policy.endswith(WITH_NEW) else None,
            ),
            is_used=np.zeros((n_users, n_items), dtype=bool),
            unseen=np.zeros((n_users, n_items), dtype=np.float32),
            passed_by=np.zeros((n_users, n_items), dtype=np.float32),
            n_lists=np.zeros(n_users, dtype=np.int64),
        )

    def show(self, model: TrainedModel, users: np.ndarray, likely: np.ndarray, released: np.ndarray, day: int) -> None:
        """Show a list to each of some users, and note what became of it."""
        meeting = self.tastes.settings.meeting
        passed_by = self.passed_by[users]
        # Who passed an item over at the probability m uses it now with the probability (p - m) / (1 - m).
        left = np.maximum(likely - passed_by, 0) / np.maximum(1 - passed_by, 1e-6)
        left[self.is_used[users]] = 0
        if self.policy == ORACLE:
            chances = np.where(released, left, -1)
            best = np.argpartition(-chances, meeting.slate - 1, axis=1)[:, : meeting.slate]
            order = np.argsort(-np.take_along_axis(chances, best, axis=1), axis=1, kind="stable")
            items = np.take_along_axis(best, order, axis=1)
        else:
            items = self._ask(model, users)
        rows, place = np.arange(len(users))[:, None], np.arange(items.shape[1])
        chances = np.where(items >= 0, left[rows, items], 0)
        self.course.expected[day, users] += chances @ chance_of_seeing(meeting)[: items.shape[1]]
        depth = self.tastes.arrivals.depths[users, self.n_lists[users]]
        is_seen = (place < depth[:, None]) & (items >= 0)
        is_used = is_seen & (chances > 0) & (self.tastes.arrivals.luck[users[:, None], items] < likely[rows, items])
        self._note(users, items, is_seen, is_used, likely, day)

    def _note(
        self,
        users: np.ndarray,
        items: np.ndarray,
        is_seen: np.ndarray,
        is_used: np.ndarray,
        likely: np.ndarray,
        day: int,
    ) -> None:
        """Note what of some lists was seen and used, and what the service can tell of it."""
        meeting = self.tastes.settings.meeting
        place = np.arange(items.shape[1])
        self.n_lists[users] += 1
        self.course.hits[day, users] += is_used.sum(axis=1)
        np.add.at(self.course.shown[day], items[items >= 0], 1)
        np.add.at(self.course.used[day], items[is_used], 1)
        whose, at = np.nonzero(is_used)
        self.is_used[users[whose], items[whose, at]] = True
        whose, at = np.nonzero(is_seen & ~is_used)
        cells = users[whose], items[whose, at]
        self.passed_by[cells] = np.maximum(self.passed_by[cells], likely[whose, items[whose, at]])
        sure = meeting.visible or meeting.slate
        reached = np.maximum(sure, np.where(is_used, place + 1, 0).max(axis=1, initial=0))
        seen = meeting.persistence ** np.maximum(0, place + 1 - reached[:, None])
        whose, at = np.nonzero((items >= 0) & ~is_used)
        self.unseen[users[whose], items[whose, at]] += np.log(np.maximum(1 - seen[whose, at], LEAST_UNSEEN))
        if self.course.counts is not None:
            whose, at = np.nonzero(items >= 0)
            self.cells.append((users[whose], items[whose, at], is_used[whose, at]))

    def _ask(self, model: TrainedModel, users: np.ndarray) -> np.ndarray:
        """Ask the strategy for a list for each user."""
        slate = self.tastes.settings.meeting.slate
        if not self.policy.endswith(ONCE):
            query = Query(model, self._signals(model, users), min(slate, model.n_items))
            return answer_all(query, self.policy.removesuffix(WITH_NEW)).items
        without = np.array([user for user in users.tolist() if user not in self.long_lists], dtype=np.int64)
        if len(without):
            k = min(slate * int(self.tastes.arrivals.depths.shape[1]), model.n_items)
            lists = answer_all(Query(model, self.signals.take(without), k), self.policy.removesuffix(ONCE)).items
            self.long_lists.update(zip(without.tolist(), lists, strict=True))
        items = np.full((len(users), slate), NO_ITEM, dtype=np.int32)
        for row, user in enumerate(users.tolist()):
            part = self.long_lists[user][self.n_lists[user] * slate :][:slate]
            items[row, : len(part)] = part
        return items

    def _signals(self, model: TrainedModel, users: np.ndarray) -> SignalBatch:
        """Return what is known of some users: what they told, used and passed over."""
        signals = self.signals.take(users)
        pair = (model.config.signals.use[0], ITEM)
        shape = (len(users), model.n_items)
        rows, items = np.nonzero(self.is_used[users])
        used = SparseRows.from_pairs(rows, items, None, *shape)
        unseen = np.where(self.is_used[users], 0, self.unseen[users])
        rows, items = np.nonzero(unseen)
        passed_over = SparseRows.from_pairs(rows, items, -np.expm1(unseen[rows, items]), *shape)
        return replace(signals, actions={**signals.actions, pair: used}, passed_over=passed_over)

    def add_up_counts(self, model: TrainedModel) -> None:
        """Add the day's impressions to the counts, by the segments that users are predicted to be of."""
        if not self.cells:
            return
        users, items, is_used = (np.concatenate(column) for column in zip(*self.cells, strict=True))
        self.cells.clear()
        whose, row = np.unique(users, return_inverse=True)
        query = Query(model, self._signals(model, whose), 1)
        segments = np.where(query.known, query.nearest_segments, -1)[row]
        counted = segments >= 0
        shape = len(model.segments), model.n_items
        shown = SparseRows.from_pairs(segments[counted], items[counted], None, *shape)
        counted &= is_used
        used = SparseRows.from_pairs(segments[counted], items[counted], None, *shape)
        assert self.course.counts is not None
        self.course.counts = add_shown([self.course.counts, ShownCounts(shown, used)])


def chance_of_seeing(meeting: ReplaySettings) -> np.ndarray:
    """Return how likely each place of a list is seen, float64, shape (slate,)."""
    sure = meeting.slate if meeting.visible is None else meeting.visible
    chances: np.ndarray = meeting.persistence ** np.maximum(0.0, np.arange(meeting.slate) + 1 - sure)
    return chances
