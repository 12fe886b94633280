"""A simulated service over several days: newcomers register daily, a policy shows them lists, they use what they like.

The world is the simulator's, so that each user's true probability of using each item is known. An oracle with access to
it shows what was possible; regret is the difference to the oracle.

All policies meet the same users on the same days, who see the same number of positions of each list. A user uses a seen
item if a random number, drawn once per pair, is below that day's probability. So an item that was passed over stays
unused while the taste is constant, and may be used after a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from firstday.data.events import ITEM, Pair
from firstday.features.signals import PICK_SIGNAL, SignalBatch
from firstday.lab.replay.replay import ONCE, draw_depths
from firstday.lab.replay.replay_results import ReplaySettings
from firstday.lab.simulate import behavior
from firstday.lab.simulate.behavior import ARTIST_SHARES, FAVORITE_ARTISTS, ONBOARDING_ARTISTS, QUESTIONNAIRE_SHARE
from firstday.lab.simulate.choices import Choices
from firstday.lab.simulate.music import MusicCatalogue, make_catalogue
from firstday.lab.simulate.people import TASTE_SCENES, People, make_people
from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.lab.simulate.world import AGES, COUNTRIES, World, make_world
from firstday.model.trained_model import TrainedModel
from firstday.ranking import NO_ITEM
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_query
from firstday.segment.shown_counts import ShownCounts, add_shown
from firstday.sparse import SparseRows

ORACLE = "oracle"
"""The policy that shows the most probable items, knowing the true probabilities."""
WITH_NEW = "+new"
"""Suffix of a strategy's name: impressions are counted each night, so that `explore` gives new items positions."""
LEAST_UNSEEN = 1e-9


@dataclass(frozen=True)
class ArrivalSettings:
    """Arrivals of users, changes over time, and how users view lists.

    Parameters
    ----------
    days
        Length of the service, in days.
    newcomers
        Number of users who register per day.
    lists_on_day_one
        Number of lists shown to each of them on the first day.
    return_share
        Probability that a user returns on each later day, for one list.
    drift
        Daily probability that a scene of a user's taste is replaced by another, in addition to the taste's maturing.
    new_share
        Number of items that appear per day, as a share of those that warm users know.
    appetite
        A seen item is used with the probability that it is among this many streams of the user.
    meeting
        Length of lists and how much of them users see; its rounds and its delay are not used.
    seed
        Seed of all random draws.
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
    """Who arrives when, with which tastes; the same for every policy.

    Parameters
    ----------
    day
        Registration day of each user, from 0, int64, shape (n_users,).
    people
        The users.
    favorites
        Their favorite artists, shape (n_users, `FAVORITE_ARTISTS`).
    scenes
        Scenes of their tastes on each day, int16, shape (days, n_users, `TASTE_SCENES`).
    visits
        Number of lists shown to each user on each day, int64, shape (days, n_users).
    luck
        Random number per user and item; the item is used if the probability of use exceeds it. float32, shape (n_users,
        n_items).
    depths
        Number of positions each user sees of each list, int64, shape (n_users, most lists of a user).
    new_since
        Day on which each item appears, int64, shape (n_items,); -1 for those that warm users know.
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
    """Draw the day on which each item appears: int64, shape (n_items,), -1 for those that warm users know."""
    n_old = round(n_items / (1 + settings.new_share * settings.days))
    since = np.repeat(np.arange(settings.days), np.diff(np.linspace(0, n_items - n_old, settings.days + 1).astype(int)))
    rng = np.random.default_rng([settings.seed, 1])
    return rng.permutation(np.concatenate([np.full(n_old, -1), since])).astype(np.int64)


def make_service(simulation: SimulationSettings) -> tuple[World, MusicCatalogue]:
    """Generate the scenes and items of the tables of `simulate` with the same settings."""
    world_rng, catalogue_rng = np.random.default_rng(simulation.seed).spawn(2)
    world = make_world(simulation.n_items, world_rng)
    return world, make_catalogue(simulation.n_items, world, catalogue_rng)


def draw_arrivals(
    world: World, catalogue: MusicCatalogue, simulation: SimulationSettings, settings: ArrivalSettings
) -> Arrivals:
    """Draw who arrives, when, how often and with which tastes."""
    rng = np.random.default_rng([settings.seed, 2])
    n = settings.newcomers * settings.days
    days = settings.days
    people = make_people(replace(simulation, n_users=n), world, rng)
    day = rng.permutation(np.repeat(np.arange(days), settings.newcomers))
    artists = np.repeat(np.arange(n), FAVORITE_ARTISTS)
    first = (rng.random(len(artists), dtype=np.float32)[:, None] >= people.tastes[artists, 0]).sum(axis=1)
    scene = people.scenes[artists, np.minimum(first, TASTE_SCENES - 1)]
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
    """Draw the scenes of tastes on each day: after the first day, some scenes are replaced."""
    profile = people.country * len(AGES) + people.age_ix
    scenes = np.repeat(people.scenes[None], settings.days, axis=0)
    for day in range(1, settings.days):
        changes = (rng.random(people.scenes.shape) < settings.drift) & (age[day] > 0)[:, None]
        others = world.by_profile.draw(np.repeat(profile, TASTE_SCENES), rng).reshape(people.scenes.shape)
        scenes[day] = np.where(changes, others, scenes[day - 1])
    return scenes


@dataclass(frozen=True, eq=False)
class TrueTastes:
    """True probability that each user of a service uses each seen item.

    Parameters
    ----------
    arrivals, settings
        The users, and how their streaming behavior translates to lists.
    by_scene, by_chart, by_artist
        Probability of each item in a stream from a scene, a country's charts or an artist, float32, each of shape
        (n_rows, n_items).
    """

    arrivals: Arrivals
    settings: ArrivalSettings
    by_scene: np.ndarray
    by_chart: np.ndarray
    by_artist: np.ndarray

    @classmethod
    def of(cls, arrivals: Arrivals, catalogue: MusicCatalogue, settings: ArrivalSettings) -> TrueTastes:
        """Build from the simulator's distributions."""
        n_items = len(catalogue.scene)
        tables = (_spell_out(of, n_items) for of in (catalogue.by_scene, catalogue.by_chart, catalogue.by_artist))
        return cls(arrivals, settings, *tables)

    def of_day(self, users: np.ndarray, day: int) -> np.ndarray:
        """Return the probability that users use each item if seen on a day: float32, shape (n_users, n_items).

        The same mixture as in the streams of `firstday.lab.simulate.behavior`: autoplay, the country's charts, favorite
        artists, and scenes of that day's taste.
        """
        arrivals = self.arrivals
        people = self.arrivals.people
        n_scenes = len(self.by_scene)
        mature = 1 - np.exp(-(day - arrivals.day[users]) / behavior.DRIFT_DAYS)[:, None]
        first, long_run = np.diff(people.tastes[users], axis=2, prepend=np.float32(0)).swapaxes(0, 1)
        weights = (1 - mature) * first + mature * long_run
        taste = np.zeros((len(users), n_scenes), dtype=np.float32)
        np.add.at(taste, (np.arange(len(users))[:, None], arrivals.scenes[day][users]), weights)
        artists = np.zeros((len(users), len(self.by_artist)), dtype=np.float32)
        np.add.at(artists, (np.arange(len(users))[:, None], arrivals.favorites[users]), ARTIST_SHARES)
        favorite = behavior.FAVORITE_ARTIST_SHARE
        chart = behavior.CHART_SHARE
        strange = behavior.STRANGE_SHARE
        own = favorite * (artists @ self.by_artist) + (1 - favorite) * (taste @ self.by_scene)
        liked = chart * self.by_chart[people.country[users]] + (1 - chart) * own
        stream = strange * self.by_scene.mean(axis=0) + (1 - strange) * liked
        likely: np.ndarray = (-np.expm1(-self.settings.appetite * stream)).astype(np.float32)
        return likely


def _spell_out(choices: Choices, n_items: int) -> np.ndarray:
    """Return the distributions as a dense matrix, float32, shape (n_rows, n_items)."""
    row = np.ceil(choices.ladder).astype(int) - 1
    table = np.zeros((row[-1] + 1, n_items), dtype=np.float32)
    table[row, choices.targets] = np.diff(choices.ladder, prepend=0.0)
    return table


def describe_arrivals(arrivals: Arrivals, model: TrainedModel, seed: int) -> SignalBatch:
    """Return the users' signals at registration: profiles, and questionnaire answers of some.

    The model must be trained on the simulator's tables, whose ids are indices plus 1.
    """
    rng = np.random.default_rng([seed, 3])
    people = arrivals.people
    known = model.catalogue
    n = len(people)
    groups = {}
    if "country" in known.groups:
        codes = {code: at for at, code in enumerate(known.groups["country"])}
        of_country = np.array([codes.get(country, -1) for country in COUNTRIES["country"]], dtype=np.int32)
        groups["country"] = of_country[people.country]
    ages = np.where(people.has_age, AGES[people.age_ix], -1).astype(np.int16)
    actions: dict[Pair, SparseRows] = {}
    if "artist" in known.entities and PICK_SIGNAL in known.signals:
        n_named = np.where(rng.random(n) < QUESTIONNAIRE_SHARE, rng.integers(*ONBOARDING_ARTISTS, n), 0)
        users = np.repeat(np.arange(n), np.minimum(n_named, FAVORITE_ARTISTS))
        place = np.arange(len(users)) - np.searchsorted(users, users)
        artists = known.entities["artist"].lookup(pl.Series(arrivals.favorites[users, place] + 1))
        kept = artists >= 0
        named = SparseRows.from_pairs(users[kept], artists[kept], None, n, len(known.entities["artist"]))
        actions[PICK_SIGNAL, "artist"] = named.ones()
    ids = np.arange(n).astype(object)
    return SignalBatch(n, model.n_items, actions, groups, ages if known.has_ages else None, user_ids=ids)


def run_service(
    model: TrainedModel, signals: SignalBatch, tastes: TrueTastes, policies: Sequence[str]
) -> Mapping[str, Course]:
    """Run the service with each policy, day by day.

    Parameters
    ----------
    model
        Trained on data from before the first day; its items are in the world's order.
    signals
        The users' signals at registration (`describe_arrivals`).
    tastes
        True probabilities of use.
    policies
        Names of strategies, `ORACLE`, and strategies' names with the suffix `ONCE` (one long list, made at
        registration, is shown in parts) or `WITH_NEW`.
    """
    arrivals = tastes.arrivals
    courses = {name: Course(name, model, signals, tastes) for name in policies}
    for day in range(tastes.settings.days):
        released = arrivals.new_since <= day
        hidden = np.union1d(model.unlisted, np.flatnonzero(~released)).astype(np.int32)
        models = {name: replace(model, unlisted=hidden, shown_counts=of.counts) for name, of in courses.items()}
        for visit in range(int(arrivals.visits[day].max(initial=0))):
            users = np.flatnonzero(arrivals.visits[day] > visit)
            likely = tastes.of_day(users, day)
            for name, course in courses.items():
                course.show(models[name], users, likely, released, day)
        for course in courses.values():
            course.add_up_counts(model)
    return courses


class Course:
    """What one policy has shown all users so far, and the outcome.

    Attributes
    ----------
    policy, signals, tastes
        See `run_service`.
    hits, expected
        Number of items each user used on each day, and its expectation by true tastes, shape (days, n_users).
    shown, used
        How often each item was shown on each day, and then used, shape (days, n_items).
    counts
        The same by segment over all days; None if nothing is counted.
    is_used
        Whether each user used each item, bool, shape (n_users, n_items).
    unseen
        Log probability, as far as the service knows, that the user has not seen an item, float32.
    passed_by
        Highest probability of use at which each user passed over each item, float32; 0 if unseen.
    n_lists
        Number of lists shown to each user.
    long_lists
        The lists shown in parts, by user.
    cells
        Impressions since the last nightly count: users, items and whether they were used.
    """

    def __init__(self, policy: str, model: TrainedModel, signals: SignalBatch, tastes: TrueTastes) -> None:
        nothing = SparseRows.empty(len(model.segments), model.n_items)
        (n_users, n_items), days = tastes.arrivals.luck.shape, tastes.settings.days
        self.policy, self.signals, self.tastes = policy, signals, tastes
        self.hits, self.expected = np.zeros((days, n_users), dtype=int), np.zeros((days, n_users))
        self.shown, self.used = np.zeros((2, days, n_items), dtype=int)
        self.counts = ShownCounts(nothing, nothing) if policy.endswith(WITH_NEW) else None
        self.is_used = np.zeros((n_users, n_items), dtype=bool)
        self.unseen, self.passed_by = np.zeros((2, n_users, n_items), dtype=np.float32)
        self.n_lists = np.zeros(n_users, dtype=int)
        self.long_lists: dict[int, np.ndarray] = {}
        self.cells: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def show(self, model: TrainedModel, users: np.ndarray, likely: np.ndarray, released: np.ndarray, day: int) -> None:
        """Show a list to each user; record which items were seen and used, and what the service knows of that."""
        meeting = self.tastes.settings.meeting
        arrivals = self.tastes.arrivals
        passed_by = self.passed_by[users]
        # A user who passed over an item at probability m uses it now with probability (p - m) / (1 - m).
        left = np.maximum(likely - passed_by, 0) / np.maximum(1 - passed_by, 1e-6)
        left[self.is_used[users]] = 0
        if self.policy == ORACLE:
            chances = np.where(released, left, -1)
            best = np.argpartition(-chances, meeting.slate - 1, axis=1)[:, : meeting.slate]
            order = np.argsort(-np.take_along_axis(chances, best, axis=1), axis=1, kind="stable")
            items = np.take_along_axis(best, order, axis=1)
        else:
            items = self._ask(model, users)
        rows = np.arange(len(users))[:, None]
        place = np.arange(items.shape[1])
        is_shown = items >= 0
        chances = np.where(items >= 0, left[rows, items], 0)
        is_seen = (place < arrivals.depths[users, self.n_lists[users]][:, None]) & is_shown
        is_used = is_seen & (chances > 0) & (arrivals.luck[users[:, None], items] < likely[rows, items])
        self.expected[day, users] += chances @ chance_of_seeing(meeting)[: items.shape[1]]
        self.n_lists[users] += 1
        self.hits[day, users] += is_used.sum(axis=1)
        np.add.at(self.shown[day], items[is_shown], 1)
        np.add.at(self.used[day], items[is_used], 1)
        whose = np.broadcast_to(users[:, None], items.shape)
        self.is_used[whose[is_used], items[is_used]] = True
        ignored = is_seen & ~is_used
        np.maximum.at(self.passed_by, (whose[ignored], items[ignored]), likely[rows, items][ignored])
        reached = np.maximum(meeting.visible or meeting.slate, np.where(is_used, place + 1, 0).max(axis=1, initial=0))
        seen = meeting.persistence ** np.maximum(0, place + 1 - reached[:, None])
        unused = is_shown & ~is_used
        self.unseen[whose[unused], items[unused]] += np.log(np.maximum(1 - seen[unused], LEAST_UNSEEN))
        if self.counts is not None:
            self.cells.append((whose[is_shown], items[is_shown], is_used[is_shown]))

    def _ask(self, model: TrainedModel, users: np.ndarray) -> np.ndarray:
        """Request a list from the strategy for each user."""
        slate = self.tastes.settings.meeting.slate
        if not self.policy.endswith(ONCE):
            query = Query(model, self._signals(model, users), min(slate, model.n_items))
            return answer_query(query, self.policy.removesuffix(WITH_NEW)).items
        without = np.array([user for user in users.tolist() if user not in self.long_lists], dtype=np.int64)
        if len(without):
            k = min(slate * int(self.tastes.arrivals.depths.shape[1]), model.n_items)
            lists = answer_query(Query(model, self.signals.take(without), k), self.policy.removesuffix(ONCE)).items
            self.long_lists.update(zip(without.tolist(), lists, strict=True))
        items = np.full((len(users), slate), NO_ITEM, dtype=np.int32)
        for row, user in enumerate(users.tolist()):
            part = self.long_lists[user][self.n_lists[user] * slate :][:slate]
            items[row, : len(part)] = part
        return items

    def _signals(self, model: TrainedModel, users: np.ndarray) -> SignalBatch:
        """Return the known signals of users: registration, uses and items passed over."""
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
        """Add the day's impressions to the counts, by predicted segment."""
        if not self.cells:
            return
        users, items, is_used = (np.concatenate(column) for column in zip(*self.cells, strict=True))
        self.cells.clear()
        whose, row = np.unique(users, return_inverse=True)
        query = Query(model, self._signals(model, whose), 1)
        segments = np.where(query.has_features, query.nearest_segments, -1)[row]
        counted = segments >= 0
        shape = len(model.segments), model.n_items
        shown = SparseRows.from_pairs(segments[counted], items[counted], None, *shape)
        counted &= is_used
        used = SparseRows.from_pairs(segments[counted], items[counted], None, *shape)
        assert self.counts is not None
        self.counts = add_shown([self.counts, ShownCounts(shown, used)])


def chance_of_seeing(meeting: ReplaySettings) -> np.ndarray:
    """Return the probability that each position of a list is seen: float64, shape (slate,)."""
    sure = meeting.slate if meeting.visible is None else meeting.visible
    chances: np.ndarray = meeting.persistence ** np.maximum(0.0, np.arange(meeting.slate) + 1 - sure)
    return chances
