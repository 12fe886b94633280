"""The simulated world: countries, time zones, ages and music scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.simulate.choices import Choices
from firstday.simulate.simulation_settings import SimulationSettings

AGES = np.arange(13, 81)
"""Ages of users, in years."""


@dataclass(frozen=True)
class Country:
    """A country: ISO 3166 code, share of users, language and time zones.

    Parameters
    ----------
    zones
        IANA name, UTC offset in winter in hours, share of the country's users.
    """

    code: str
    share: float
    language: str
    zones: tuple[tuple[str, float, float], ...]


COUNTRIES = (
    Country("FR", 0.17, "fr", (("Europe/Paris", 1, 1.0),)),
    Country("BR", 0.15, "pt", (("America/Sao_Paulo", -3, 0.88), ("America/Manaus", -4, 0.12))),
    Country("DE", 0.11, "de", (("Europe/Berlin", 1, 1.0),)),
    Country(
        "US",
        0.10,
        "en",
        (
            ("America/New_York", -5, 0.47),
            ("America/Chicago", -6, 0.29),
            ("America/Denver", -7, 0.07),
            ("America/Los_Angeles", -8, 0.17),
        ),
    ),
    Country("GB", 0.09, "en", (("Europe/London", 0, 1.0),)),
    Country("MX", 0.08, "es", (("America/Mexico_City", -6, 0.9), ("America/Tijuana", -8, 0.1))),
    Country("IT", 0.06, "it", (("Europe/Rome", 1, 1.0),)),
    Country("ES", 0.06, "es", (("Europe/Madrid", 1, 0.96), ("Atlantic/Canary", 0, 0.04))),
    Country("CO", 0.05, "es", (("America/Bogota", -5, 1.0),)),
    Country("PL", 0.04, "pl", (("Europe/Warsaw", 1, 1.0),)),
    Country("NL", 0.03, "nl", (("Europe/Amsterdam", 1, 1.0),)),
    Country("BE", 0.02, "fr", (("Europe/Brussels", 1, 1.0),)),
    Country("AT", 0.02, "de", (("Europe/Vienna", 1, 1.0),)),
    Country("SE", 0.02, "sv", (("Europe/Stockholm", 1, 1.0),)),
)
ZONES = tuple(zone for country in COUNTRIES for zone in country.zones)
"""All time zones, in the order of countries."""

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
        int16, shape (n_scenes,): family (broad genre) of each scene.
    audience
        float64, shape (n_countries, n_scenes): probability that a scene is a user's first, averaged over ages.
    by_profile
        Scene distributions; rows are `country * n_ages + age_ix`.
    by_family
        Scene distributions; rows are `country * n_families + family`.
    """

    family: np.ndarray
    audience: np.ndarray
    by_profile: Choices
    by_family: Choices

    @property
    def n_scenes(self) -> int:
        """Number of scenes."""
        return len(self.family)

    @property
    def n_families(self) -> int:
        """Number of scene families."""
        return int(self.family.max()) + 1


def count_scenes(n_items: int) -> int:
    """Return the number of scenes in a catalogue: 80 for 10,000 items, 179 for 50,000."""
    return int(np.clip(round(0.8 * n_items**0.5), 4, 400))


def age_shares() -> np.ndarray:
    """Return the share of users by age: the mode is about 24, with a long right tail."""
    weight = (AGES - 10.0) ** 1.5 * np.exp(-(AGES - 10.0) / 9.0)
    shares: np.ndarray = weight / weight.sum()
    return shares


def country_shares() -> np.ndarray:
    """Return the share of users by country."""
    weight = np.array([country.share for country in COUNTRIES])
    shares: np.ndarray = weight / weight.sum()
    return shares


def make_world(settings: SimulationSettings, rng: np.random.Generator) -> World:
    """Draw scenes and their audiences by country and age; their number depends on the number of items."""
    n_scenes = count_scenes(settings.n_items)
    n_families = max(2, round(1.3 * n_scenes**0.5))
    family = np.concatenate([np.arange(n_families), rng.integers(n_families, size=max(0, n_scenes - n_families))])
    family = rng.permutation(family[:n_scenes]).astype(np.int16)
    family = np.unique(family, return_inverse=True)[1].astype(np.int16)
    home_share = country_shares() ** 0.7
    home = rng.choice(len(COUNTRIES), size=n_scenes, p=home_share / home_share.sum())
    home = np.where(rng.random(n_scenes) < LOCAL_SHARE, home, -1).astype(np.int16)
    size = rng.permutation((1.0 + np.arange(n_scenes)) ** -SCENE_TAIL)

    logit = np.log(size) + _tilt(home, rng)[:, None, :] + _age_fit(family, rng)[None, :, :]
    liking = np.exp(logit)
    # Normalised per age, so that scenes do not change the age distribution.
    liking /= liking.sum(axis=2, keepdims=True)
    audience = np.einsum("cas,a->cs", liking, age_shares())
    within = np.where(np.arange(family.max() + 1)[:, None] == family, audience[:, None, :], 0.0)
    return World(
        family,
        audience,
        Choices.of_table(liking.reshape(-1, n_scenes)),
        Choices.of_table(within.reshape(-1, n_scenes)),
    )


def _tilt(home: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the log popularity of each scene by country, shape (n_countries, n_scenes)."""
    language = np.array([country.language for country in COUNTRIES])
    is_home = np.arange(len(COUNTRIES))[:, None] == home
    same_language = language[:, None] == language[home]
    local = np.where(is_home, AT_HOME, np.where(same_language, SAME_LANGUAGE, ABROAD))
    return np.where(home >= 0, local, rng.normal(0, TILT_SPREAD, local.shape))


def _age_fit(family: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the log popularity of each scene by age, a bell curve: shape (n_ages, n_scenes)."""
    peak = rng.uniform(14, 55, family.max() + 1)[family] + rng.normal(0, 5, len(family))
    width = rng.uniform(5, 11, len(family))
    fit: np.ndarray = np.maximum(-0.5 * ((AGES[:, None] - peak) / width) ** 2, AGE_FLOOR)
    return fit
