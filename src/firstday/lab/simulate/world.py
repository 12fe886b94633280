"""The simulated world: countries, time zones, ages and music scenes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np
import polars as pl

from firstday.lab.simulate.choices import Choices

AGES = np.arange(13, 81)
"""Ages of users, in years."""
AGE_WEIGHTS = (AGES - 10.0) ** 1.5 * np.exp(-(AGES - 10.0) / 9.0)
AGE_SHARES = AGE_WEIGHTS / AGE_WEIGHTS.sum()
"""Share of users by age: the mode is about 24, with a long right tail."""

ZONES = pl.read_csv((resources.files("firstday.lab.simulate") / "zones.csv").read_bytes())
"""Time zones: ISO 3166 code and language of the country, IANA name, UTC offset in winter, share of all users."""
COUNTRIES = ZONES.group_by("country", "language", maintain_order=True).agg(pl.col("share").sum())

LOCAL_SHARE = 0.5
"""Share of scenes that belong to one country."""
AT_HOME, SAME_LANGUAGE, ABROAD = 2.0, 1.0, -0.7
"""Log popularity of a local scene in its country, in countries of the same language, and elsewhere."""
TILT_SPREAD = 0.5
"""Standard deviation, over countries, of the log popularity of an international scene."""
SCENE_TAIL = 0.9
"""Exponent of the long tail of scenes."""
AGE_FLOOR = -3.0
"""Minimum log popularity of a scene at any age, relative to its peak age."""


@dataclass(frozen=True, eq=False)
class World:
    """Scenes and their audiences.

    Parameters
    ----------
    family
        int64, shape (n_scenes,): family (broad genre) of each scene.
    audience
        float64, shape (n_countries, n_scenes): probability that a scene is a user's first, averaged over ages.
    by_profile
        Scene distributions; rows are `country * n_ages + age_ix`.
    by_family
        Scene distributions; rows are `family * n_countries + country`.
    """

    family: np.ndarray
    audience: np.ndarray
    by_profile: Choices
    by_family: Choices


def make_world(n_items: int, rng: np.random.Generator) -> World:
    """Draw scenes and their audiences by country and age; their number depends on the number of items."""
    n_scenes = min(400, round(0.8 * n_items**0.5))
    n_families = round(1.3 * n_scenes**0.5)
    families = np.arange(n_families)
    more_families = rng.integers(n_families, size=n_scenes - n_families)
    family = rng.permutation(np.r_[families, more_families])
    countries = np.arange(len(COUNTRIES))[:, None]
    home_share = COUNTRIES["share"].to_numpy() ** 0.7
    home = rng.choice(len(COUNTRIES), size=n_scenes, p=home_share / home_share.sum())
    is_local = rng.random(n_scenes) < LOCAL_SHARE
    size = rng.permutation((1.0 + np.arange(n_scenes)) ** -SCENE_TAIL)

    language = COUNTRIES["language"].to_numpy()
    elsewhere = np.where(language[countries] == language[home], SAME_LANGUAGE, ABROAD)
    local = np.where(countries == home, AT_HOME, elsewhere)
    international = rng.normal(0, TILT_SPREAD, local.shape)
    tilt = np.where(is_local, local, international)
    family_peak = rng.uniform(14, 55, n_families)
    peak = family_peak[family] + rng.normal(0, 5, n_scenes)
    width = rng.uniform(5, 11, n_scenes)
    distance = (AGES[:, None] - peak) / width
    age_fit = np.maximum(-0.5 * distance**2, AGE_FLOOR)
    log_liking = np.log(size) + tilt[:, None, :] + age_fit
    liking = np.exp(log_liking)
    # Normalised per age, so that scenes do not change the age distribution.
    liking /= liking.sum(axis=2, keepdims=True)
    audience = np.einsum("cas,a->cs", liking, AGE_SHARES)
    within = np.where(families[:, None, None] == family, audience, 0.0)
    by_profile = Choices.of_table(liking.reshape(-1, n_scenes))
    by_family = Choices.of_table(within.reshape(-1, n_scenes))
    return World(family, audience, by_profile, by_family)
