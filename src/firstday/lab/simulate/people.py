"""Simulate users: profiles, registration times, tastes and friends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from firstday.lab.simulate.choices import Choices
from firstday.lab.simulate.simulation_settings import DAY_S, SimulationSettings
from firstday.lab.simulate.world import AGE_SHARES, AGES, COUNTRIES, ZONES, World

MISSING_AGE_SHARE = 0.04
"""Share of users without an age."""
TASTE_SCENES = 7
"""Number of scenes in a user's taste; a scene may occur twice."""
FAMILY_SHARE = 0.6
"""Share of a user's other scenes that belong to the first scene's family."""
NEXT_SCENE = 0.7
"""Weight of a scene in a taste relative to the previous one, before random variation."""
DRIFT, SHARPENING = 0.4, 1.5
"""Change of a scene's weight from the first to the mature taste: standard deviation of its logarithm, then exponent."""
BEFORE_DAYS = 240.0
"""Mean days between registration and the start of the log, for users who registered before it."""
WEEKEND = 1.25
"""Registrations on a Saturday or Sunday relative to a weekday."""
HOUR_WEIGHTS = np.array([3, 2, 1, 1, 1, 1, 2, 4, 6, 6, 6, 7, 8, 7, 7, 7, 8, 9, 10, 10, 10, 9, 7, 5])
"""Relative activity in each hour of the local day."""
OFFSETS_S = 3600 * ZONES["offset_h"].to_numpy()
"""UTC offset of each of `ZONES`, in seconds."""
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
        int64, shape (n_users,): indices into `COUNTRIES`, `AGES`, `ZONES`.
    has_age
        bool, shape (n_users,).
    scenes
        int16, shape (n_users, TASTE_SCENES): scenes of each user's taste, most liked first.
    tastes
        float32, shape (n_users, 2, TASTE_SCENES): cumulative weights of these scenes at registration and in the long
        run.
    """

    registered_s: np.ndarray
    country: np.ndarray
    age_ix: np.ndarray
    zone: np.ndarray
    has_age: np.ndarray
    scenes: np.ndarray
    tastes: np.ndarray

    def __len__(self) -> int:
        return len(self.registered_s)

    def take(self, part: slice) -> People:
        """Return a slice of the users; arrays are views."""
        return People(**{name: values[part] for name, values in vars(self).items()})


def make_people(settings: SimulationSettings, world: World, rng: np.random.Generator) -> People:
    """Draw all users."""
    n = settings.n_users
    country = rng.choice(len(COUNTRIES), size=n, p=COUNTRIES["share"].to_numpy())
    age_ix = rng.choice(len(AGES), size=n, p=AGE_SHARES)
    country_of_zone = ZONES["country"].rle_id().to_numpy()
    zones = Choices.of_entries(country_of_zone, np.arange(len(ZONES)), ZONES["share"].to_numpy())
    zone = zones.draw(country, rng)

    weight = np.where(np.arange(settings.days) % 7 < 5, 1, WEEKEND)
    weight[settings.days - settings.quiet_days :] = 0
    day = rng.choice(settings.days, size=n, p=weight / weight.sum())
    # Local days start or end some hours outside the log; times outside wrap around.
    in_log = draw_local_moments(day, zone, rng) % settings.end_s
    before_log = -DAY_S - rng.exponential(BEFORE_DAYS * DAY_S, n).astype(int)
    is_before = rng.random(n) < settings.before_share
    registered_s = np.where(is_before, before_log, in_log)
    order = np.argsort(registered_s, kind="stable")
    registered_s = registered_s[order]
    country = country[order]
    age_ix = age_ix[order]
    zone = zone[order]

    profile = country * len(AGES) + age_ix
    scenes = np.empty((n, TASTE_SCENES), dtype=np.int16)
    scenes[:, 0] = world.by_profile.draw(profile, rng)
    related = world.family[scenes[:, 0]] * len(COUNTRIES) + country
    for position in range(1, TASTE_SCENES):
        is_related = rng.random(n) < FAMILY_SHARE
        of_family = world.by_family.draw(related, rng)
        of_profile = world.by_profile.draw(profile, rng)
        scenes[:, position] = np.where(is_related, of_family, of_profile)

    typical = NEXT_SCENE ** np.arange(TASTE_SCENES)
    first = typical * rng.gamma(2.0, size=(n, TASTE_SCENES))
    mature = (first * rng.lognormal(0, DRIFT, first.shape)) ** SHARPENING
    total = np.stack([first, mature], axis=1).cumsum(axis=2)
    tastes = (total / total[..., -1:]).astype(np.float32)
    has_age = rng.random(n) >= MISSING_AGE_SHARE
    return People(registered_s, country, age_ix, zone, has_age, scenes, tastes)


def draw_local_moments(day: np.ndarray, zone: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a time within each local day, weighted by `HOUR_WEIGHTS`: int64, seconds since the start of the log, UTC.

    Days are counted from the start of the log; zones are indices into `ZONES`.
    """
    hour = rng.choice(24, size=len(day), p=HOUR_WEIGHTS / HOUR_WEIGHTS.sum())
    second = rng.integers(3600, size=len(day))
    local_s = day * DAY_S + hour * 3600 + second
    return np.subtract(local_s, OFFSETS_S[zone])


def draw_friends(people: People, rng: np.random.Generator) -> pl.DataFrame:
    """Draw friendships, mostly within the same country and first scene.

    Return unique pairs of user indices, sorted; each friendship appears in both directions.
    """
    n = len(people)
    is_friendless = rng.random(n) < FRIENDLESS_SHARE
    n_added = np.where(is_friendless, 0, rng.negative_binomial(1, 1 / (1 + FRIENDSHIPS), n))
    user = np.repeat(np.arange(n), n_added)
    kind = rng.random(len(user))

    def draw_from(group: np.ndarray) -> np.ndarray:
        """Draw a member of each user's group, possibly the same user."""
        order = np.argsort(group, kind="stable")
        start = np.searchsorted(group[order], group[user])
        n_members = np.bincount(group)[group[user]]
        return order.take(start + rng.integers(n_members))

    first_scene = people.scenes[:, 0]
    like_minded = draw_from(people.country * (people.scenes.max() + 1) + first_scene)
    compatriot = draw_from(people.country)
    anyone = rng.integers(n, size=len(user))
    conditions = [kind < LIKE_MINDED, kind < LIKE_MINDED + SAME_COUNTRY]
    friend = np.select(conditions, [like_minded, compatriot], anyone)
    pairs = pl.DataFrame({"user_id": np.r_[user, friend], "friend_id": np.r_[friend, user]})
    friendships = pairs.filter(pl.col("user_id") != pl.col("friend_id"))
    return friendships.unique().sort("user_id", "friend_id")
