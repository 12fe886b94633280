"""What people do: when they come, and what they stream, skip, search, favorite, ban and answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.simulate.music import MusicCatalogue
from firstday.simulate.people import TASTE_SCENES, People, draw_local_moments, zone_offsets_s
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


SIGNALS = ("stream", "skip", "favorite", "ban", "search", "onboarding")
STREAM, SKIP, FAVORITE, BAN, SEARCH, ONBOARDING = range(len(SIGNALS))
ENTITIES = ("item", "artist", "album", "playlist")
ITEM, ARTIST, ALBUM, PLAYLIST = range(len(ENTITIES))

FAVORITE_ARTISTS, NEXT_ARTIST = 6, 0.7
"""Favorite artists of a user, and how often one is played over the one before."""
SESSION_MOOD = 0.6
"""Share of a session's streams from one scene, the mood of the session; others are drawn anew."""
CHART_SPREAD = 4.0
"""Concentration, over users, of the share of streams that come from charts."""
SKIP_LIKED, SKIP_STRANGE = 0.04, 0.5
"""Probability that an item of a scene of the user's taste is skipped, and one of another scene."""
FAVORITES = {ITEM: 0.05, ARTIST: 0.014, ALBUM: 0.007, PLAYLIST: 0.008}
"""Probability that a stream of a liked item leads to a favorite of each kind."""
BANS = {ITEM: 0.04, ARTIST: 0.02, ALBUM: 0.01}
"""Probability that a skip of an item of another scene leads to a ban of each kind."""
SEARCH_SHARE = 0.3
"""Share of sessions that begin with a search for what is played first."""
SEARCHED = {ITEM: 0.5, ARTIST: 0.3, ALBUM: 0.1, PLAYLIST: 0.1}
"""What is searched."""
LOOK_SEARCHES = 0.75
"""Share of searches among what is done while looking around; the rest are favorites."""
ONBOARDING_ARTISTS = (3, 8)
"""Fewest and most artists named in the questionnaire."""
PLAY_S = (150, 280)
"""Shortest and longest time from one stream to the next, seconds."""


@dataclass(frozen=True, eq=False)
class Events:
    """Interactions, one row each, in the order of users and then time.

    Parameters
    ----------
    user
        int64, shape (n,): index within the block.
    time_s
        int64, shape (n,): seconds from the log's beginning.
    signal, entity
        int8, shape (n,): indexes into `SIGNALS`, `ENTITIES`.
    target
        int32, shape (n,): index of the item, artist, album or playlist.
    """

    user: np.ndarray
    time_s: np.ndarray
    signal: np.ndarray
    entity: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: np.ndarray) -> Events:
        """Return some of the rows, by index or mask."""
        return Events(*(values[rows] for values in vars(self).values()))


def make_events(
    user: np.ndarray, time_s: np.ndarray, signal: int | np.ndarray, entity: int | np.ndarray, target: np.ndarray
) -> Events:
    """Make events, the same signal or entity for all where only one is given."""
    signals, entities = (np.broadcast_to(np.asarray(code, dtype=np.int8), len(user)) for code in (signal, entity))
    return Events(user.astype(np.int64), time_s.astype(np.int64), signals, entities, target.astype(np.int32))


@dataclass(frozen=True, eq=False)
class Block:
    """A block of users while its activity is drawn."""

    settings: SimulationSettings
    catalogue: MusicCatalogue
    people: People
    rng: np.random.Generator

    def scenes_of(self, user: np.ndarray, time_s: np.ndarray) -> np.ndarray:
        """Draw a scene from the taste of each user at that time: the first taste gives way to the mature one."""
        used_days = (time_s - self.people.registered_s[user]) / DAY_S
        maturity = 1 - np.exp(-used_days / self.settings.drift_days)
        mature = self.rng.random(len(user)) < maturity
        chance = self.rng.random(len(user), dtype=np.float32)
        taste = np.where(mature[:, None], self.people.mature_taste[user], self.people.first_taste[user])
        place = (chance[:, None] >= taste).sum(axis=1).clip(max=TASTE_SCENES - 1)
        scenes: np.ndarray = self.people.scenes[user, place].astype(np.int64)
        return scenes

    def likes(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Tell whether each item is of a scene of the user's taste, bool, shape (n,)."""
        scene = self.catalogue.scene[item]
        liked = np.zeros(len(user), dtype=bool)
        for place in range(TASTE_SCENES):
            liked |= self.people.scenes[user, place] == scene
        return liked

    def belonging(self, entity: int, item: np.ndarray) -> np.ndarray:
        """Return the item itself, its artist or album, or a playlist of its scene, shape (n,)."""
        if entity == PLAYLIST:
            return self.catalogue.playlists_by_scene.draw(self.catalogue.scene[item].astype(np.int64), self.rng)
        owner = {ARTIST: self.catalogue.artist, ALBUM: self.catalogue.album}
        return owner[entity][item] if entity in owner else item

    def happens(self, n: int, probability: float | np.ndarray) -> np.ndarray:
        """Draw for each of n whether it happens, bool, shape (n,)."""
        happened: np.ndarray = self.rng.random(n) < probability
        return happened


def simulate_block(
    settings: SimulationSettings, catalogue: MusicCatalogue, people: People, rng: np.random.Generator
) -> Events:
    """Draw all that a block of users does, from registration or the log's beginning to its end.

    Parameters
    ----------
    settings
        How people behave.
    catalogue
        What they may hear.
    people
        The block.
    rng
        The block's own source of randomness.
    """
    block = Block(settings, catalogue, people, rng)
    visits = draw_visits(settings, people, rng)
    favorites = _draw_favorite_artists(block)
    streaming = visits.n_streams > 0
    played, opens = _play(block, visits, favorites)
    parts = [
        played,
        *_after_streams(block, played),
        *_searches(block, played.take(opens)),
        *_look_around(block, visits.user[~streaming], visits.start_s[~streaming]),
        _answer(block, visits, favorites),
    ]
    events = Events(*(np.concatenate(column) for column in zip(*(vars(part).values() for part in parts), strict=True)))
    events = events.take(events.time_s < settings.end_s)
    return events.take(np.argsort(events.user * (2 * settings.end_s) + events.time_s, kind="stable"))


def _draw_favorite_artists(block: Block) -> np.ndarray:
    """Draw each user's favorite artists from the scenes of the first taste, int32, shape (n_users, n)."""
    user = np.repeat(np.arange(len(block.people)), FAVORITE_ARTISTS)
    scene = block.scenes_of(user, block.people.registered_s[user])
    return block.catalogue.artists_by_scene.draw(scene, block.rng).reshape(-1, FAVORITE_ARTISTS)


def _play(block: Block, visits: Visits, favorites: np.ndarray) -> tuple[Events, np.ndarray]:
    """Play the items of every session: streams and skips, and which of them opens its session."""
    settings, rng = block.settings, block.rng
    session = np.repeat(np.arange(len(visits.user)), visits.n_streams)
    place = np.arange(len(session)) - (np.cumsum(visits.n_streams) - visits.n_streams)[session]
    user = visits.user[session]
    # A search may come before: the first item begins half a minute or more after the session.
    pace_s = rng.integers(*PLAY_S, len(visits.user))[session]
    time_s = visits.start_s[session] + 30 + place * pace_s + rng.integers(PLAY_S[0] // 2, size=len(session))

    mood = block.scenes_of(visits.user, visits.start_s)[session]
    scene = np.where(block.happens(len(user), SESSION_MOOD), mood, block.scenes_of(user, time_s))
    chart_share = rng.beta(
        CHART_SPREAD * settings.chart_share, CHART_SPREAD * (1 - settings.chart_share), len(block.people)
    )
    chance = rng.random(len(user))
    strange = chance < settings.strange_share
    rest = (chance - settings.strange_share) / (1 - settings.strange_share)
    chart = ~strange & (rest < chart_share[user])
    favorite = ~strange & ~chart & block.happens(len(user), settings.favorite_artist_share)
    own = ~(strange | chart | favorite)

    item = np.empty(len(user), dtype=np.int32)
    scene[strange] = rng.integers(block.catalogue.by_scene.n_rows, size=int(strange.sum()))
    item[strange | own] = block.catalogue.by_scene.draw(scene[strange | own], rng)
    item[chart] = block.catalogue.by_chart.draw(block.people.country[user[chart]].astype(np.int64), rng)
    ladder = np.cumsum(NEXT_ARTIST ** np.arange(FAVORITE_ARTISTS))
    which = np.searchsorted(ladder, rng.random(int(favorite.sum())) * ladder[-1], side="right")
    artist = favorites[user[favorite], which.clip(max=FAVORITE_ARTISTS - 1)]
    item[favorite] = block.catalogue.by_artist.draw(artist.astype(np.int64), rng)

    repeats = np.flatnonzero((item[1:] == item[:-1]) & (place[1:] > 0)) + 1  # twice running is rare
    item[repeats] = block.catalogue.by_artist.draw(block.catalogue.artist[item[repeats]].astype(np.int64), rng)
    skipped = block.happens(len(user), np.where(block.likes(user, item), SKIP_LIKED, SKIP_STRANGE))
    skipped &= place > 0  # what opens a session was asked for
    return make_events(user, time_s, np.where(skipped, SKIP, STREAM), ITEM, item), place == 0


def _after_streams(block: Block, played: Events) -> list[Events]:
    """Favorites after streams of liked items, bans after skips of strange ones; each thing once for a user."""
    liked = block.likes(played.user, played.target)
    streamed = played.take((played.signal == STREAM) & liked)
    refused = played.take((played.signal == SKIP) & ~liked)
    parts = []
    for signal, source, chances in ((FAVORITE, streamed, FAVORITES), (BAN, refused, BANS)):
        for entity, probability in chances.items():
            told = source.take(block.happens(len(source), probability))
            target = block.belonging(entity, told.target)
            delay_s = block.rng.integers(5, 120, len(told))
            parts.append(_once(make_events(told.user, told.time_s + delay_s, signal, entity, target)))
    return parts


def _once(events: Events) -> Events:
    """Keep a user's first event with each target."""
    ordered = events.take(np.argsort(events.time_s, kind="stable"))
    _, first = np.unique(ordered.user * 2**31 + ordered.target, return_index=True)
    return ordered.take(first)


def _searches(block: Block, opening: Events) -> list[Events]:
    """Search for what opens a session, or for its artist, album or playlist."""
    searched = opening.take((opening.signal == STREAM) & block.happens(len(opening), SEARCH_SHARE))
    kind = block.rng.choice(list(SEARCHED), size=len(searched), p=list(SEARCHED.values()))
    parts = []
    for entity in SEARCHED:
        mine = searched.take(kind == entity)
        before_s = block.rng.integers(5, 30, len(mine))
        parts.append(
            make_events(mine.user, mine.time_s - before_s, SEARCH, entity, block.belonging(entity, mine.target))
        )
    return parts


def _look_around(block: Block, user: np.ndarray, start_s: np.ndarray) -> list[Events]:
    """Search and mark favorites without playing anything."""
    n_acts = 1 + block.rng.poisson(0.7, len(user))
    act = np.repeat(np.arange(len(user)), n_acts)
    user, time_s = user[act], start_s[act] + block.rng.integers(600, size=len(act))
    item = block.catalogue.by_scene.draw(block.scenes_of(user, time_s), block.rng)
    kind = block.rng.choice(list(SEARCHED), size=len(act), p=list(SEARCHED.values()))
    signal = np.where(block.happens(len(act), LOOK_SEARCHES), SEARCH, FAVORITE)
    parts = []
    for entity in SEARCHED:
        mine = kind == entity
        events = make_events(user[mine], time_s[mine], signal[mine], entity, block.belonging(entity, item[mine]))
        parts.append(_once(events))
    return parts


def _answer(block: Block, visits: Visits, favorites: np.ndarray) -> Events:
    """Name artists in the questionnaire: favorite ones first, then others of the taste's scenes."""
    answering = np.flatnonzero(visits.answers)
    low, high = ONBOARDING_ARTISTS
    n_named = block.rng.integers(low, high + 1, len(answering))
    user = np.repeat(answering, n_named)
    place = np.arange(len(user)) - np.repeat(np.cumsum(n_named) - n_named, n_named)
    registered_s = block.people.registered_s[user]
    other = block.catalogue.artists_by_scene.draw(block.scenes_of(user, registered_s), block.rng)
    known = favorites[user, place.clip(max=FAVORITE_ARTISTS - 1)]
    artist = np.where(place < FAVORITE_ARTISTS // 2, known, other)
    time_s = registered_s + 15 + place * block.rng.integers(2, 9, len(user))
    return _once(make_events(user, time_s, ONBOARDING, ARTIST, artist))
