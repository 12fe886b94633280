"""Simulate sessions and interactions: streams, skips, searches, favorites, bans and questionnaire answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.simulate.music import MusicCatalogue
from firstday.simulate.people import TASTE_SCENES, People, draw_local_moments, zone_offsets_s
from firstday.simulate.simulation_settings import DAY_S, SimulationSettings

NOTHING, LOOKS, STREAMS, BEFORE = range(4)
"""Kinds of day one: only a profile; a questionnaire or searches but no stream; streams; registered before the log."""
NOTHING_RATE = 0.6
"""Session rate of users with only a profile on day one, relative to other users."""
LOOKERS_AFTER_ANSWERING = 0.4
"""Share of users without day-one streams who look around after answering the questionnaire."""
LENGTH_SHAPE = 1.2
"""Shape of the gamma distribution of a session's mean length; small values spread lengths widely."""
MORE_ON_DAY_ONE = 2.0
"""Expected further sessions on day one, in days at the usual rate."""

SIGNALS = ("stream", "skip", "favorite", "ban", "search", "onboarding")
STREAM, SKIP, FAVORITE, BAN, SEARCH, ONBOARDING = range(len(SIGNALS))
ENTITIES = ("item", "artist", "album", "playlist")
ITEM, ARTIST, ALBUM, PLAYLIST = range(len(ENTITIES))

FAVORITE_ARTISTS, NEXT_ARTIST = 6, 0.7
"""Number of favorite artists per user, and how often each is played relative to the one before."""
SESSION_MOOD = 0.6
"""Share of a session's streams from a single scene, its mood; each other stream draws its own scene."""
CHART_SPREAD = 4.0
"""Concentration of the beta distribution, over users, of the share of chart streams."""
SKIP_LIKED, SKIP_STRANGE = 0.04, 0.5
"""Skip probability of an item in the user's taste, and of an item from another scene."""
FAVORITES = {ITEM: 0.05, ARTIST: 0.014, ALBUM: 0.007, PLAYLIST: 0.008}
"""Probability, by entity, that a stream of a liked item leads to a favorite."""
BANS = {ITEM: 0.04, ARTIST: 0.02, ALBUM: 0.01}
"""Probability, by entity, that a skip of an item from another scene leads to a ban."""
SEARCH_SHARE = 0.3
"""Share of sessions that begin with a search for the first item."""
SEARCHED = {ITEM: 0.5, ARTIST: 0.3, ALBUM: 0.1, PLAYLIST: 0.1}
"""Probability of each search target."""
LOOK_SEARCHES = 0.75
"""Share of searches in sessions without streams; the rest are favorites."""
ONBOARDING_ARTISTS = (3, 8)
"""Minimum and maximum number of artists in a questionnaire answer."""
PLAY_S = (150, 280)
"""Minimum and maximum time between consecutive streams, in seconds."""


EVENT = np.dtype(
    [("user", np.int64), ("time_s", np.int64), ("signal", np.int8), ("entity", np.int8), ("target", np.int32)]
)
"""An interaction: user index within the block, seconds since the start of the log, indices into `SIGNALS` and
`ENTITIES`, and index of the item, artist, album or playlist."""


def make_events(
    user: np.ndarray, time_s: np.ndarray, signal: int | np.ndarray, entity: int, target: np.ndarray
) -> np.ndarray:
    """Build an `EVENT` array; a scalar signal applies to all events."""
    events = np.empty(len(user), dtype=EVENT)
    for name, values in zip(EVENT.names or (), (user, time_s, signal, entity, target), strict=True):
        events[name] = values
    return events


def simulate_block(
    settings: SimulationSettings, catalogue: MusicCatalogue, people: People, rng: np.random.Generator
) -> np.ndarray:
    """Draw all interactions of a block of users, as an `EVENT` array sorted by user and time."""
    block = Block(settings, catalogue, people, rng)
    visits = draw_visits(settings, people, rng)
    favorites = _draw_favorite_artists(block)
    streaming = visits.n_streams > 0
    played, opens = _play(block, visits, favorites)
    parts = [
        played,
        *_after_streams(block, played),
        *_searches(block, played[opens]),
        *_look_around(block, visits.user[~streaming], visits.start_s[~streaming]),
        _answer(block, visits, favorites),
    ]
    events = np.concatenate(parts)
    events = events[events["time_s"] < settings.end_s]
    order = np.argsort(events["user"] * (2 * settings.end_s) + events["time_s"], kind="stable")
    in_order: np.ndarray = events[order]
    return in_order


@dataclass(frozen=True, eq=False)
class Visits:
    """Sessions of a block of users.

    Parameters
    ----------
    answers
        bool, shape (n_users,): whether the user answers the questionnaire.
    user
        int64, shape (n_sessions,): index within the block.
    start_s
        int64, shape (n_sessions,): seconds since the start of the log.
    n_streams
        int64, shape (n_sessions,): number of items played; 0 if the user only looks around.
    """

    answers: np.ndarray
    user: np.ndarray
    start_s: np.ndarray
    n_streams: np.ndarray


def draw_visits(settings: SimulationSettings, people: People, rng: np.random.Generator) -> Visits:
    """Draw the sessions of a block of users."""
    n = len(people)
    first_day = _draw_first_days(settings, people, rng)
    answers = (rng.random(n) < settings.questionnaire_share) & ((first_day == LOOKS) | (first_day == STREAMS))
    rate = settings.sessions_per_day * rng.lognormal(0, settings.rate_spread, n)
    rate[first_day == NOTHING] *= NOTHING_RATE
    length = settings.streams_per_session * rng.lognormal(0, settings.length_spread, n)

    looks_around = (first_day == LOOKS) & (~answers | (rng.random(n) < LOOKERS_AFTER_ANSWERING))
    lookers = np.flatnonzero(looks_around)
    day_one, day_one_start = _day_one_sessions(first_day, people, rate, rng)
    later, later_start = _later_sessions(settings, people, rate, rng)
    streaming = np.concatenate([day_one, later])
    n_streams = 1 + rng.poisson(rng.gamma(LENGTH_SHAPE, (length[streaming] - 1).clip(0.5) / LENGTH_SHAPE))

    user = np.concatenate([lookers, streaming])
    start_s = np.concatenate([people.registered_s[lookers] + rng.integers(150, 900, len(lookers)), day_one_start])
    start_s = np.concatenate([start_s, later_start])
    n_streams = np.concatenate([np.zeros(len(lookers), dtype=np.int64), n_streams])
    in_log = start_s < settings.end_s
    return Visits(answers, user[in_log], start_s[in_log], n_streams[in_log])


def _draw_first_days(settings: SimulationSettings, people: People, rng: np.random.Generator) -> np.ndarray:
    """Draw each user's kind of day one, int8, shape (n_users,)."""
    chance = rng.random(len(people))
    kind = np.where(chance < settings.stream_share, STREAMS, LOOKS)
    kind[chance >= 1 - settings.nothing_share] = NOTHING
    kind[people.registered_s < 0] = BEFORE
    return kind.astype(np.int8)


def _day_one_sessions(
    first_day: np.ndarray, people: People, rate: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the streaming sessions on day one; return users and start times."""
    streamers = np.flatnonzero(first_day == STREAMS)
    first = people.registered_s[streamers] + rng.integers(150, 900, len(streamers))
    again = np.repeat(streamers, rng.poisson(MORE_ON_DAY_ONE * rate[streamers]))
    back = people.registered_s[again] + rng.integers(3600, DAY_S - 3600, len(again))
    return np.concatenate([streamers, again]), np.concatenate([first, back])


def _later_sessions(
    settings: SimulationSettings, people: People, rate: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the sessions after day one, or after the start of the log; return users and start times."""
    n = len(people)
    is_new = people.registered_s >= 0
    begin_s = np.where(is_new, people.registered_s + DAY_S, 0)
    leaves_soon = is_new & (rng.random(n) < settings.soon_gone_share)
    lifetime_s = DAY_S * rng.exponential(np.where(leaves_soon, settings.soon_gone_days, settings.stay_days))
    length = np.minimum(lifetime_s, np.maximum(settings.end_s - begin_s, 0)) / DAY_S
    # Curiosity raises the rate of new users for some days; users who registered before the log have none left.
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
    # The hour is drawn after the day, so a session may start before the end of day one; then it moves to the next day.
    return user, np.where(start_s < begin_s[user], start_s + DAY_S, start_s)


@dataclass(frozen=True, eq=False)
class Block:
    """A block of users and the random draws that depend on it."""

    settings: SimulationSettings
    catalogue: MusicCatalogue
    people: People
    rng: np.random.Generator

    def scenes_of(self, user: np.ndarray, time_s: np.ndarray) -> np.ndarray:
        """Draw a scene from each user's taste at that time, which drifts from the first to the mature taste."""
        days_since = (time_s - self.people.registered_s[user]) / DAY_S
        maturity = 1 - np.exp(-days_since / self.settings.drift_days)
        mature = self.rng.random(len(user)) < maturity
        chance = self.rng.random(len(user), dtype=np.float32)
        taste = np.where(mature[:, None], self.people.mature_taste[user], self.people.first_taste[user])
        place = (chance[:, None] >= taste).sum(axis=1).clip(max=TASTE_SCENES - 1)
        scenes: np.ndarray = self.people.scenes[user, place].astype(np.int64)
        return scenes

    def likes(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Whether each item's scene is in the user's taste: bool, shape (n,)."""
        scene = self.catalogue.scene[item]
        is_liked = np.zeros(len(user), dtype=bool)
        for place in range(TASTE_SCENES):
            is_liked |= self.people.scenes[user, place] == scene
        return is_liked

    def belonging(self, entity: int, item: np.ndarray) -> np.ndarray:
        """Return the item itself, its artist or album, or a playlist of its scene, shape (n,)."""
        if entity == PLAYLIST:
            return self.catalogue.playlists_by_scene.draw(self.catalogue.scene[item].astype(np.int64), self.rng)
        owner = {ARTIST: self.catalogue.artist, ALBUM: self.catalogue.album}
        return owner[entity][item] if entity in owner else item

    def happens(self, n: int, probability: float | np.ndarray) -> np.ndarray:
        """Draw n Bernoulli variables: bool, shape (n,)."""
        happened: np.ndarray = self.rng.random(n) < probability
        return happened


def _draw_favorite_artists(block: Block) -> np.ndarray:
    """Draw each user's favorite artists from scenes of the first taste: int32, shape (n_users, FAVORITE_ARTISTS)."""
    user = np.repeat(np.arange(len(block.people)), FAVORITE_ARTISTS)
    scene = block.scenes_of(user, block.people.registered_s[user])
    return block.catalogue.artists_by_scene.draw(scene, block.rng).reshape(-1, FAVORITE_ARTISTS)


def _spread(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Repeat each index by its count; return the indices, and the position of each repetition, from 0."""
    index = np.repeat(np.arange(len(counts)), counts)
    return index, np.arange(len(index)) - (np.cumsum(counts) - counts)[index]


def _play(block: Block, visits: Visits, favorites: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw the streams and skips of every session; also return a mask of each session's first event."""
    settings, rng = block.settings, block.rng
    session, place = _spread(visits.n_streams)
    user = visits.user[session]
    # The first item begins at least 30 s after the session, which leaves room for a search.
    pace_s = rng.integers(*PLAY_S, len(visits.user))[session]
    time_s = visits.start_s[session] + 30 + place * pace_s + rng.integers(PLAY_S[0] // 2, size=len(session))

    mood = block.scenes_of(visits.user, visits.start_s)[session]
    scene = np.where(block.happens(len(user), SESSION_MOOD), mood, block.scenes_of(user, time_s))
    chart_share = rng.beta(
        CHART_SPREAD * settings.chart_share, CHART_SPREAD * (1 - settings.chart_share), len(block.people)
    )
    chance = rng.random(len(user))
    is_strange = chance < settings.strange_share
    rest = (chance - settings.strange_share) / (1 - settings.strange_share)
    is_chart = ~is_strange & (rest < chart_share[user])
    is_favorite = ~is_strange & ~is_chart & block.happens(len(user), settings.favorite_artist_share)
    from_taste = ~(is_strange | is_chart | is_favorite)

    item = np.empty(len(user), dtype=np.int32)
    scene[is_strange] = rng.integers(block.catalogue.by_scene.n_rows, size=int(is_strange.sum()))
    item[is_strange | from_taste] = block.catalogue.by_scene.draw(scene[is_strange | from_taste], rng)
    item[is_chart] = block.catalogue.by_chart.draw(block.people.country[user[is_chart]].astype(np.int64), rng)
    ladder = np.cumsum(NEXT_ARTIST ** np.arange(FAVORITE_ARTISTS))
    favorite_number = np.searchsorted(ladder, rng.random(int(is_favorite.sum())) * ladder[-1], side="right")
    artist = favorites[user[is_favorite], favorite_number.clip(max=FAVORITE_ARTISTS - 1)]
    item[is_favorite] = block.catalogue.by_artist.draw(artist.astype(np.int64), rng)

    repeats = np.flatnonzero((item[1:] == item[:-1]) & (place[1:] > 0)) + 1  # immediate repeats are rare
    item[repeats] = block.catalogue.by_artist.draw(block.catalogue.artist[item[repeats]].astype(np.int64), rng)
    skipped = block.happens(len(user), np.where(block.likes(user, item), SKIP_LIKED, SKIP_STRANGE))
    skipped &= place > 0  # the user chose the first item of the session
    return make_events(user, time_s, np.where(skipped, SKIP, STREAM), ITEM, item), place == 0


def _after_streams(block: Block, played: np.ndarray) -> list[np.ndarray]:
    """Draw favorites after streams of liked items and bans after skips of others; each target once per user."""
    is_liked = block.likes(played["user"], played["target"])
    liked_streams = played[(played["signal"] == STREAM) & is_liked]
    strange_skips = played[(played["signal"] == SKIP) & ~is_liked]
    parts = []
    for signal, source, chances in ((FAVORITE, liked_streams, FAVORITES), (BAN, strange_skips, BANS)):
        for entity, probability in chances.items():
            causes = source[block.happens(len(source), probability)]
            target = block.belonging(entity, causes["target"])
            time_s = causes["time_s"] + block.rng.integers(5, 120, len(causes))
            parts.append(_keep_first(make_events(causes["user"], time_s, signal, entity, target)))
    return parts


def _keep_first(events: np.ndarray) -> np.ndarray:
    """Keep each user's first event per target."""
    ordered = events[np.argsort(events["time_s"], kind="stable")]
    first: np.ndarray = ordered[np.unique(ordered["user"] * 2**31 + ordered["target"], return_index=True)[1]]
    return first


def _searches(block: Block, opening: np.ndarray) -> list[np.ndarray]:
    """Draw searches for the first item of a session, or for its artist, album or playlist."""
    opening = opening[(opening["signal"] == STREAM) & block.happens(len(opening), SEARCH_SHARE)]
    kind = block.rng.choice(list(SEARCHED), size=len(opening), p=list(SEARCHED.values()))
    parts = []
    for entity in SEARCHED:
        opened = opening[kind == entity]
        time_s = opened["time_s"] - block.rng.integers(5, 30, len(opened))
        target = block.belonging(entity, opened["target"])
        parts.append(make_events(opened["user"], time_s, SEARCH, entity, target))
    return parts


def _look_around(block: Block, user: np.ndarray, start_s: np.ndarray) -> list[np.ndarray]:
    """Draw searches and favorites in sessions without streams."""
    n_acts = 1 + block.rng.poisson(0.7, len(user))
    act, _ = _spread(n_acts)
    user, time_s = user[act], start_s[act] + block.rng.integers(600, size=len(act))
    item = block.catalogue.by_scene.draw(block.scenes_of(user, time_s), block.rng)
    kind = block.rng.choice(list(SEARCHED), size=len(act), p=list(SEARCHED.values()))
    signal = np.where(block.happens(len(act), LOOK_SEARCHES), SEARCH, FAVORITE)
    parts = []
    for entity in SEARCHED:
        rows = kind == entity
        target = block.belonging(entity, item[rows])
        parts.append(_keep_first(make_events(user[rows], time_s[rows], signal[rows], entity, target)))
    return parts


def _answer(block: Block, visits: Visits, favorites: np.ndarray) -> np.ndarray:
    """Draw the artists of questionnaire answers: favorites first, then others from the user's scenes."""
    answering = np.flatnonzero(visits.answers)
    low, high = ONBOARDING_ARTISTS
    n_artists = block.rng.integers(low, high + 1, len(answering))
    row, place = _spread(n_artists)
    user = answering[row]
    registered_s = block.people.registered_s[user]
    other_artists = block.catalogue.artists_by_scene.draw(block.scenes_of(user, registered_s), block.rng)
    favorite_artists = favorites[user, place.clip(max=FAVORITE_ARTISTS - 1)]
    artist = np.where(place < FAVORITE_ARTISTS // 2, favorite_artists, other_artists)
    time_s = registered_s + 15 + place * block.rng.integers(2, 9, len(user))
    return _keep_first(make_events(user, time_s, ONBOARDING, ARTIST, artist))
