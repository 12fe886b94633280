"""When a block of users comes: what they do on day one, and every session until they leave or the log ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.simulate.people import People, draw_local_moments, zone_offsets_s
from firstday.simulate.settings import DAY_S, SimulationSettings

NOTHING, LOOKS, STREAMS, BEFORE = range(4)
"""Day ones: only a profile; no stream, but a questionnaire or a look around; streams; before the log."""
NOTHING_RATE = 0.6
"""Rate of sessions of users who left only a profile on day one, over that of others."""
LOOKERS_AFTER_ANSWERING = 0.4
"""Share of those who look around although they have answered the questionnaire and stream nothing."""
LENGTH_SHAPE = 1.2
"""Shape of the gamma distribution of a session's mean length: small is uneven."""
MORE_ON_DAY_ONE = 2.0
"""Sessions later on day one, in days at the usual rate."""


@dataclass(frozen=True, eq=False)
class Visits:
    """Sessions of a block of users.

    Parameters
    ----------
    first_day
        int8, shape (n_users,): NOTHING, LOOKS, STREAMS or BEFORE.
    answers
        bool, shape (n_users,): whether they answer the questionnaire.
    user
        int64, shape (n_sessions,): index within the block.
    start_s
        int64, shape (n_sessions,): seconds from the log's beginning.
    n_streams
        int64, shape (n_sessions,): items played; 0 is a look around.
    """

    first_day: np.ndarray
    answers: np.ndarray
    user: np.ndarray
    start_s: np.ndarray
    n_streams: np.ndarray


def draw_visits(settings: SimulationSettings, people: People, rng: np.random.Generator) -> Visits:
    """Draw every session of a block of users.

    Parameters
    ----------
    settings
        How people behave.
    people
        The block.
    rng
        The block's own source of randomness.
    """
    n = len(people)
    first_day = _draw_first_days(settings, people, rng)
    answers = (rng.random(n) < settings.questionnaire_share) & ((first_day == LOOKS) | (first_day == STREAMS))
    rate = settings.sessions_per_day * rng.lognormal(0, settings.rate_spread, n)
    rate[first_day == NOTHING] *= NOTHING_RATE
    length = settings.streams_per_session * rng.lognormal(0, settings.length_spread, n)

    looks = (first_day == LOOKS) & (~answers | (rng.random(n) < LOOKERS_AFTER_ANSWERING))
    lookers = np.flatnonzero(looks)
    day_one, day_one_start = _day_one_sessions(first_day, people, rate, rng)
    later, later_start = _later_sessions(settings, people, rate, rng)
    streaming = np.concatenate([day_one, later])
    n_streams = 1 + rng.poisson(rng.gamma(LENGTH_SHAPE, (length[streaming] - 1).clip(0.5) / LENGTH_SHAPE))

    user = np.concatenate([lookers, streaming])
    start_s = np.concatenate([people.registered_s[lookers] + rng.integers(150, 900, len(lookers)), day_one_start])
    start_s = np.concatenate([start_s, later_start])
    n_streams = np.concatenate([np.zeros(len(lookers), dtype=np.int64), n_streams])
    kept = start_s < settings.end_s
    return Visits(first_day, answers, user[kept], start_s[kept], n_streams[kept])


def _draw_first_days(settings: SimulationSettings, people: People, rng: np.random.Generator) -> np.ndarray:
    """Draw what kind of day one each user has, int8, shape (n_users,)."""
    chance = rng.random(len(people))
    kind = np.where(chance < settings.stream_share, STREAMS, LOOKS)
    kind[chance >= 1 - settings.nothing_share] = NOTHING
    kind[people.registered_s < 0] = BEFORE
    return kind.astype(np.int8)


def _day_one_sessions(
    first_day: np.ndarray, people: People, rate: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw streaming sessions on day one: users and starts."""
    streamers = np.flatnonzero(first_day == STREAMS)
    first = people.registered_s[streamers] + rng.integers(150, 900, len(streamers))
    again = np.repeat(streamers, rng.poisson(MORE_ON_DAY_ONE * rate[streamers]))
    back = people.registered_s[again] + rng.integers(3600, DAY_S - 3600, len(again))
    return np.concatenate([streamers, again]), np.concatenate([first, back])


def _later_sessions(
    settings: SimulationSettings, people: People, rate: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw sessions after day one, or after the log's beginning: users and starts."""
    n = len(people)
    is_new = people.registered_s >= 0
    begin_s = np.where(is_new, people.registered_s + DAY_S, 0)
    soon = is_new & (rng.random(n) < settings.soon_gone_share)
    lifetime_s = DAY_S * rng.exponential(np.where(soon, settings.soon_gone_days, settings.stay_days))
    length = np.minimum(lifetime_s, np.maximum(settings.end_s - begin_s, 0)) / DAY_S
    # Curiosity adds to the rate while it lasts; who registered before the log has none left.
    fades = 1 - np.exp(-length / settings.curious_days)
    curious = np.where(is_new, settings.curiosity * settings.curious_days * fades, 0.0)
    n_sessions = rng.poisson(rate * (length + curious))
    user = np.repeat(np.arange(n), n_sessions)
    chance = rng.random(len(user))
    is_curious = rng.random(len(user)) * (length + curious)[user] < curious[user]
    after = np.where(is_curious, -settings.curious_days * np.log1p(-chance * fades[user]), chance * length[user])
    moment = begin_s[user] + (after * DAY_S).astype(np.int64)
    zone = people.zone[user]
    start_s = draw_local_moments((moment + zone_offsets_s()[zone]) // DAY_S, zone, rng)
    # The hour was drawn after the day, and may lie before what follows day one begins: then it is the next day's.
    return user, np.where(start_s < begin_s[user], start_s + DAY_S, start_s)
