"""Simulate users: profiles, registration times, tastes and friends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.simulate.choices import Choices
from firstday.simulate.simulation_settings import DAY_S, SimulationSettings
from firstday.simulate.world import AGES, COUNTRIES, ZONES, World, age_shares, country_shares

TASTE_SCENES = 7
"""Number of scenes in a user's taste; a scene may occur twice."""
FAMILY_SHARE = 0.6
"""Share of a user's other scenes that belong to the first scene's family."""
NEXT_SCENE = 0.7
"""Weight of a scene in a taste relative to the previous one, before random variation."""
DRIFT = 0.4
"""Standard deviation of the log change of a scene's weight from the first to the mature taste."""
BEFORE_DAYS = 240.0
"""Mean days between registration and the start of the log, for users who registered before it."""
WEEKEND = 1.25
"""Registrations on a Saturday or Sunday relative to a weekday."""
HOUR_WEIGHTS = np.array([3, 2, 1, 1, 1, 1, 2, 4, 6, 6, 6, 7, 8, 7, 7, 7, 8, 9, 10, 10, 10, 9, 7, 5], dtype=np.float64)
"""Relative activity in each hour of the local day."""
FRIENDLESS_SHARE, FRIENDSHIPS = 0.35, 1.5
"""Share of users who add no friends, and mean number of friends that the others add."""
LIKE_MINDED, SAME_COUNTRY = 0.6, 0.25
"""Share of friendships within the same country and first scene, and within the same country regardless of scene."""


@dataclass(frozen=True, eq=False)
class People:
    """Users in order of registration.

    Parameters
    ----------
    registered_s
        int64, shape (n_users,): seconds since the start of the log, negative before it.
    country, age_ix, zone
        int16, shape (n_users,): indices into `COUNTRIES`, `AGES`, `ZONES`.
    has_age
        bool, shape (n_users,).
    scenes
        int16, shape (n_users, TASTE_SCENES): scenes of each user's taste, most liked first.
    first_taste, mature_taste
        float32, shape (n_users, TASTE_SCENES): cumulative weights of these scenes at registration and in the long run.
    """

    registered_s: np.ndarray
    country: np.ndarray
    age_ix: np.ndarray
    zone: np.ndarray
    has_age: np.ndarray
    scenes: np.ndarray
    first_taste: np.ndarray
    mature_taste: np.ndarray

    def __len__(self) -> int:
        return len(self.registered_s)

    def take(self, part: slice) -> People:
        """Return a slice of the users; arrays are views."""
        return People(**{name: values[part] for name, values in vars(self).items()})


def make_people(settings: SimulationSettings, world: World, rng: np.random.Generator) -> People:
    """Draw all users."""
    n = settings.n_users
    country = rng.choice(len(COUNTRIES), size=n, p=country_shares()).astype(np.int16)
    age_ix = rng.choice(len(AGES), size=n, p=age_shares()).astype(np.int16)
    zone = _draw_zones(country, rng)
    order, registered_s = _draw_registrations(settings, zone, rng)
    country, age_ix, zone = country[order], age_ix[order], zone[order]
    scenes = _draw_scenes(country, age_ix, world, rng)
    weight = NEXT_SCENE ** np.arange(TASTE_SCENES) * rng.gamma(2.0, size=(n, TASTE_SCENES))
    mature = (weight * rng.lognormal(0, DRIFT, weight.shape)) ** settings.sharpening
    has_age = rng.random(n) >= settings.missing_age_share
    return People(registered_s, country, age_ix, zone, has_age, scenes, _cumulative(weight), _cumulative(mature))


def _cumulative(weight: np.ndarray) -> np.ndarray:
    """Return cumulative shares along the last axis, float32; the last one is exactly 1."""
    total = np.cumsum(weight, axis=1)
    shares: np.ndarray = (total / total[:, -1:]).astype(np.float32)
    return shares


def _draw_zones(country: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a time zone in each user's country."""
    rows = [row for row, country_entry in enumerate(COUNTRIES) for _ in country_entry.zones]
    shares = np.array([share for _, _, share in ZONES])
    by_country = Choices.of_entries(np.array(rows), np.arange(len(ZONES)), shares, len(COUNTRIES))
    return by_country.draw(country.astype(np.int64), rng).astype(np.int16)


def zone_offsets_s() -> np.ndarray:
    """Return the UTC offset of each of `ZONES`, in seconds."""
    return np.array([round(3600 * hours) for _, hours, _ in ZONES])


def draw_local_moments(day: np.ndarray, zone: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a time within each local day, weighted by `HOUR_WEIGHTS`.

    Parameters
    ----------
    day
        int64, shape (n,): days since the start of the log.
    zone
        shape (n,): indices into `ZONES`.
    rng
        Random generator.

    Returns
    -------
    numpy.ndarray
        int64, shape (n,): seconds since the start of the log, UTC.
    """
    ladder = np.cumsum(HOUR_WEIGHTS) / HOUR_WEIGHTS.sum()
    hour = np.minimum(np.searchsorted(ladder, rng.random(len(day)), side="right"), len(HOUR_WEIGHTS) - 1)
    local = day * DAY_S + hour * 3600 + rng.integers(3600, size=len(day))
    moments: np.ndarray = local - zone_offsets_s()[zone]
    return moments


def _draw_registrations(
    settings: SimulationSettings, zone: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw registration times; return the order of users, and the sorted times in seconds."""
    n = len(zone)
    weekday = (settings.begin.weekday() + np.arange(settings.days)) % 7
    weight = np.where(weekday >= 5, WEEKEND, 1.0)
    if settings.registering_days is not None:
        weight[settings.registering_days :] = 0
    day = rng.choice(settings.days, size=n, p=weight / weight.sum())
    # Local days start or end some hours outside the log; times outside wrap around.
    in_log = draw_local_moments(day, zone, rng) % settings.end_s
    before_log = -DAY_S - rng.exponential(BEFORE_DAYS * DAY_S, n).astype(np.int64)
    moments = np.where(rng.random(n) < settings.before_share, before_log, in_log)
    order = np.argsort(moments, kind="stable")
    return order, moments[order]


def _draw_scenes(country: np.ndarray, age_ix: np.ndarray, world: World, rng: np.random.Generator) -> np.ndarray:
    """Draw the scenes of each user's taste: the first by profile, the others by profile or by the first's family."""
    n = len(country)
    profile = country.astype(np.int64) * len(AGES) + age_ix
    scenes = np.empty((n, TASTE_SCENES), dtype=np.int16)
    scenes[:, 0] = world.by_profile.draw(profile, rng)
    related = country.astype(np.int64) * world.n_families + world.family[scenes[:, 0]]
    for place in range(1, TASTE_SCENES):
        is_related = rng.random(n) < FAMILY_SHARE
        scenes[:, place] = np.where(is_related, world.by_family.draw(related, rng), world.by_profile.draw(profile, rng))
    return scenes


def draw_friends(people: People, rng: np.random.Generator) -> np.ndarray:
    """Draw friendships, mostly within the same country and first scene.

    Returns
    -------
    numpy.ndarray
        int32, shape (n, 2): unique pairs of user indices, sorted; each friendship appears in both directions.
    """
    n = len(people)
    n_added = np.where(rng.random(n) < FRIENDLESS_SHARE, 0, rng.negative_binomial(1, 1 / (1 + FRIENDSHIPS), n))
    user = np.repeat(np.arange(n), n_added)
    kind = rng.random(len(user))
    country = people.country.astype(np.int64)
    like_minded = country * (int(people.scenes.max()) + 1) + people.scenes[:, 0]
    friend = np.where(
        kind < LIKE_MINDED,
        _draw_from_group(like_minded, user, rng),
        np.where(
            kind < LIKE_MINDED + SAME_COUNTRY,
            _draw_from_group(country, user, rng),
            rng.integers(n, size=len(user)),
        ),
    )
    pairs = np.column_stack([user, friend])[user != friend]
    keys = np.unique(np.concatenate([pairs[:, 0] * n + pairs[:, 1], pairs[:, 1] * n + pairs[:, 0]]))
    return np.column_stack([keys // n, keys % n]).astype(np.int32)


def _draw_from_group(group: np.ndarray, user: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a member of each user's group, possibly the same user."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    start, stop = (np.searchsorted(ordered, group[user], side=side) for side in ("left", "right"))
    members: np.ndarray = order[start + rng.integers(stop - start)]
    return members
