"""Simulate sessions and interactions: streams, skips, searches, favorites, bans and questionnaire answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from firstday.lab.simulate.music import MusicCatalogue
from firstday.lab.simulate.people import OFFSETS_S, People, draw_local_moments
from firstday.lab.simulate.simulation_settings import DAY_S

NOTHING_SHARE, STREAM_SHARE = 0.05, 0.77
"""Share of new users with only a profile on day one, and share with a stream on day one (PAPER, The problem)."""
NOTHING_RATE = 0.6
"""Session rate of users with only a profile on day one, relative to other users."""
QUESTIONNAIRE_SHARE = 0.6
"""Share of new users with more than a profile who answer the questionnaire."""
LOOKERS_AFTER_ANSWERING = 0.4
"""Share of users without day-one streams who look around after answering the questionnaire."""
SESSIONS_PER_DAY, RATE_SPREAD = 0.25, 0.8
"""Session rate of users who stay, after the initial curiosity: median, and standard deviation of its logarithm."""
STREAMS_PER_SESSION, LENGTH_SPREAD = 6.0, 0.5
"""Mean number of streams per session: median over users, and standard deviation of its logarithm."""
LENGTH_SHAPE = 1.2
"""Shape of the gamma distribution of a session's mean length; small values spread lengths widely."""
SOON_GONE_SHARE, SOON_GONE_DAYS, STAY_DAYS = 0.25, 4.0, 75.0
"""Share of users who leave soon, their mean lifetime, and that of the others, in days."""
CURIOUS_DAYS, CURIOSITY = 6.0, 1.5
"""The session rate t days after registration is `1 + CURIOSITY * exp(-t / CURIOUS_DAYS)` times the usual one."""
MORE_ON_DAY_ONE = 2.0
"""Expected further sessions on day one, in days at the usual rate."""

SIGNALS = pl.Series(["stream", "skip", "favorite", "ban", "search", "onboarding"])
STREAM, SKIP, FAVORITE, BAN, SEARCH, ONBOARDING = range(len(SIGNALS))
ENTITIES = pl.Series(["item", "artist", "album", "playlist", "show"])
ITEM_CODE, ARTIST_CODE, ALBUM_CODE, PLAYLIST_CODE, SHOW_CODE = range(len(ENTITIES))

STRANGE_SHARE = 0.08
"""Share of streams from a random scene, as autoplay produces."""
CHART_SHARE, CHART_SPREAD = 0.2, 4.0
"""Share of other streams from the country's charts: mean and concentration of its beta distribution over users."""
FAVORITE_ARTIST_SHARE = 0.6
"""Share of the remaining streams from the user's favorite artists."""
FAVORITE_ARTISTS, NEXT_ARTIST = 6, 0.7
"""Number of favorite artists per user, and how often each is played relative to the one before."""
ARTIST_WEIGHTS = NEXT_ARTIST ** np.arange(FAVORITE_ARTISTS)
ARTIST_SHARES = ARTIST_WEIGHTS / ARTIST_WEIGHTS.sum()
SESSION_MOOD = 0.6
"""Share of a session's streams from a single scene, its mood; each other stream draws its own scene."""
DRIFT_DAYS = 40.0
"""Time constant of the drift from the first to the mature taste, in days (63 % of the way)."""
SKIP_LIKED, SKIP_STRANGE = 0.04, 0.5
"""Skip probability of an item in the user's taste, and of an item from another scene."""
FAVORITES = (0.05, 0.014, 0.007, 0.008)
"""Probability, by entity, that a stream of a liked item leads to a favorite."""
BANS = (0.04, 0.02, 0.01)
"""Probability, by entity, that a skip of an item from another scene leads to a ban."""
SEARCH_SHARE = 0.3
"""Share of sessions that begin with a search for the first item."""
SEARCHED = (0.5, 0.3, 0.1, 0.1)
"""Probability, by entity, of each search target."""
LOOK_SEARCHES = 0.75
"""Share of searches in sessions without streams; the rest are favorites."""
ONBOARDING_ARTISTS = (3, 8)
"""Minimum and maximum number of artists in a questionnaire answer."""
PLAY_S = (150, 280)
"""Minimum and maximum time between consecutive streams, in seconds."""


@dataclass(frozen=True, eq=False)
class Block:
    """A block of users, whose interactions are drawn together; the log ends after `end_s` seconds."""

    end_s: int
    catalogue: MusicCatalogue
    people: People
    rng: np.random.Generator

    def scenes_of(self, user: np.ndarray, time_s: np.ndarray) -> np.ndarray:
        """Draw a scene from each user's taste at that time, which drifts from the first to the mature taste."""
        days = (time_s - self.people.registered_s[user]) / DAY_S
        mature_share = 1 - np.exp(-days / DRIFT_DAYS)
        is_mature = self.rng.random(len(user)) < mature_share
        chance = self.rng.random((len(user), 1), dtype=np.float32)
        tastes = self.people.tastes[user, is_mature.astype(int)]
        position = (chance >= tastes).sum(axis=1)
        return self.people.scenes[user, position]

    def artists_of(self, user: np.ndarray, time_s: np.ndarray) -> np.ndarray:
        """Draw an artist from each user's taste at that time."""
        return self.catalogue.artists_by_scene.draw(self.scenes_of(user, time_s), self.rng)

    def targets(self, entity: int | np.ndarray, item: np.ndarray) -> np.ndarray:
        """Return each item itself, its artist or album, or a playlist of its scene, shape (n,)."""
        catalogue = self.catalogue
        is_playlist = np.full(len(item), PLAYLIST_CODE) == entity
        scene = catalogue.scene[item]
        target = np.choose(entity, [item, catalogue.artist[item], catalogue.album[item], scene])
        target[is_playlist] = catalogue.playlists_by_scene.draw(target[is_playlist], self.rng)
        return target


def simulate_block(block: Block) -> pl.DataFrame:
    """Draw all interactions of a block of users, sorted by user and time.

    Columns: `user` index within the block, `time_s` in seconds since the start of the log, indices `signal` and
    `entity` into `SIGNALS` and `ENTITIES`, and index of the `target`, an item, artist, album or playlist.
    """
    sessions, respondents = _draw_sessions(block)
    user = np.repeat(np.arange(len(block.people)), FAVORITE_ARTISTS)
    artist = block.artists_of(user, block.people.registered_s[user])
    favorites = artist.reshape(-1, FAVORITE_ARTISTS)
    plays = _play(block, sessions, favorites)
    reactions = list(_react(block, plays))
    searches = _search(block, plays.filter("opens"))
    looks = _look_around(block, sessions)
    answers = _answer(block, respondents, favorites)
    events = pl.concat([plays, *reactions, searches, looks, answers], how="diagonal_relaxed")
    return events.filter(pl.col("time_s") < block.end_s).sort("user", "time_s", maintain_order=True)


def _draw_sessions(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Draw what users do on day one, and all sessions.

    Return the sessions, int64, shape (3, n_sessions): user, start in seconds since that of the log, and number of items
    played (0 if the user only looks around); and the users who answer the questionnaire.
    """
    registered_s = block.people.registered_s
    rng = block.rng
    n = len(registered_s)
    is_new = registered_s >= 0
    chance = rng.random(n)
    has_streams = is_new & (chance < STREAM_SHARE)
    has_nothing = is_new & (chance >= 1 - NOTHING_SHARE)
    answers = (rng.random(n) < QUESTIONNAIRE_SHARE) & is_new & ~has_nothing
    usual_rate = SESSIONS_PER_DAY * rng.lognormal(0, RATE_SPREAD, n)
    rate = usual_rate * np.where(has_nothing, NOTHING_RATE, 1)
    length = STREAMS_PER_SESSION * rng.lognormal(0, LENGTH_SPREAD, n)

    is_curious = ~answers | (rng.random(n) < LOOKERS_AFTER_ANSWERING)
    lookers = np.flatnonzero(is_new & ~has_streams & ~has_nothing & is_curious)
    streamers = np.flatnonzero(has_streams)
    first_s = registered_s[streamers] + rng.integers(150, 900, len(streamers))
    again = np.repeat(streamers, rng.poisson(MORE_ON_DAY_ONE * rate[streamers]))
    again_s = registered_s[again] + rng.integers(3600, DAY_S - 3600, len(again))
    later, later_s = _draw_later_sessions(block, rate)
    user = np.r_[streamers, again, later]
    scale = (length[user] - 1).clip(0.5) / LENGTH_SHAPE
    n_streams = 1 + rng.poisson(rng.gamma(LENGTH_SHAPE, scale))
    look_s = registered_s[lookers] + rng.integers(150, 900, len(lookers))

    start_s = np.r_[look_s, first_s, again_s, later_s]
    user = np.r_[lookers, user]
    n_streams = np.r_[np.zeros_like(lookers), n_streams]
    sessions = np.stack([user, start_s, n_streams])
    return sessions[:, start_s < block.end_s], np.flatnonzero(answers)


def _draw_later_sessions(block: Block, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw the sessions after day one, or after the start of the log; return users and start times."""
    people = block.people
    rng = block.rng
    n = len(people)
    is_new = people.registered_s >= 0
    begin_s = np.where(is_new, people.registered_s + DAY_S, 0)
    leaves_soon = is_new & (rng.random(n) < SOON_GONE_SHARE)
    lifetime = rng.exponential(np.where(leaves_soon, SOON_GONE_DAYS, STAY_DAYS))
    remaining_s = (block.end_s - begin_s).clip(0)
    length = np.minimum(lifetime, remaining_s / DAY_S)
    # Curiosity raises the rate of new users for some days; users who registered before the log have none left.
    fades = 1 - np.exp(-length / CURIOUS_DAYS)
    curious = np.where(is_new, CURIOSITY * CURIOUS_DAYS * fades, 0)
    total = length + curious
    user = np.repeat(np.arange(n), rng.poisson(rate * total))
    chance = rng.random(len(user))
    position = rng.random(len(user)) * total[user]
    is_curious = position < curious[user]
    curious_day = -CURIOUS_DAYS * np.log1p(-chance * fades[user])
    day = np.where(is_curious, curious_day, chance * length[user])
    zone = people.zone[user]
    begin_s = begin_s[user]
    local_s = begin_s + (day * DAY_S).astype(int) + OFFSETS_S[zone]
    start_s = draw_local_moments(local_s // DAY_S, zone, rng)
    # The hour is drawn after the day, so a session may start before the end of day one; then it moves to the next day.
    return user, np.where(start_s < begin_s, start_s + DAY_S, start_s)


def _spread(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Repeat each index by its count; return the indices, and the position of each repetition, from 0."""
    index = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    return index, np.arange(len(index)) - first[index]


def _play(block: Block, sessions: np.ndarray, favorites: np.ndarray) -> pl.DataFrame:
    """Draw the streams and skips, and whether their items are in the user's taste and whether they open a session."""
    catalogue = block.catalogue
    people = block.people
    rng = block.rng
    user_of_session, start_s, n_streams = sessions
    session, position = _spread(n_streams)
    user = user_of_session[session]
    n = len(session)
    # The first item begins at least 30 s after the session, which leaves room for a search.
    pace_s = rng.integers(*PLAY_S, len(start_s))[session]
    planned_s = start_s[session] + 30 + position * pace_s
    time_s = planned_s + rng.integers(PLAY_S[0] // 2, size=n)

    mood = block.scenes_of(user_of_session, start_s)[session]
    is_mood = rng.random(n) < SESSION_MOOD
    scene = np.where(is_mood, mood, block.scenes_of(user, time_s))
    chart_share = rng.beta(CHART_SPREAD * CHART_SHARE, CHART_SPREAD * (1 - CHART_SHARE), len(people))
    chance = rng.random(n)
    is_strange = chance < STRANGE_SHARE
    chance = (chance - STRANGE_SHARE) / (1 - STRANGE_SHARE)  # of the other streams
    is_chart = ~is_strange & (chance < chart_share[user])
    is_of_favorite = rng.random(n) < FAVORITE_ARTIST_SHARE
    is_favorite = ~is_strange & ~is_chart & is_of_favorite
    by_scene = ~is_chart & ~is_favorite

    item = np.empty(n, dtype=int)
    scene[is_strange] = rng.integers(catalogue.scene.max() + 1, size=is_strange.sum())
    item[by_scene] = catalogue.by_scene.draw(scene[by_scene], rng)
    item[is_chart] = catalogue.by_chart.draw(people.country[user[is_chart]], rng)
    number = rng.choice(FAVORITE_ARTISTS, size=is_favorite.sum(), p=ARTIST_SHARES)
    artist = favorites[user[is_favorite], number]
    item[is_favorite] = catalogue.by_artist.draw(artist, rng)
    is_repeat = (item == np.roll(item, 1)) & (position > 0)
    repeats = np.flatnonzero(is_repeat)  # immediate repeats are rare
    item[repeats] = catalogue.by_artist.draw(catalogue.artist[item[repeats]], rng)

    opens = position == 0
    scene = catalogue.scene[item]
    is_liked = (people.scenes[user] == scene[:, None]).any(axis=1)
    skip_share = np.where(is_liked, SKIP_LIKED, SKIP_STRANGE)
    is_skipped = (rng.random(n) < skip_share) & ~opens  # the user chose the first item of the session
    signal = np.where(is_skipped, SKIP, STREAM)
    events = {"user": user, "time_s": time_s, "signal": signal, "entity": ITEM_CODE, "target": item}
    return pl.DataFrame({**events, "liked": is_liked, "opens": opens})


def _react(block: Block, plays: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Draw favorites after streams of liked items and bans after skips of others; each target once per user."""
    for signal, cause, liked, chances in ((FAVORITE, STREAM, True, FAVORITES), (BAN, SKIP, False, BANS)):
        source = plays.filter(signal=cause, liked=liked)
        for entity, probability in enumerate(chances):
            causes = source.filter(block.rng.random(source.height) < probability)
            target = pl.Series(block.targets(entity, causes["target"].to_numpy()))
            delay_s = pl.Series(block.rng.integers(5, 120, causes.height))
            reactions = causes.with_columns(time_s=pl.col("time_s") + delay_s, target=target)
            yield _keep_first(reactions.with_columns(signal=pl.lit(signal), entity=pl.lit(entity)))


def _keep_first(events: pl.DataFrame) -> pl.DataFrame:
    """Keep each user's first event per target."""
    ordered = events.sort("entity", "user", "target", "time_s", maintain_order=True)
    return ordered.unique(("entity", "user", "target"), keep="first", maintain_order=True)


def _search(block: Block, opening: pl.DataFrame) -> pl.DataFrame:
    """Draw searches for the first item of a session, or for its artist, album or playlist."""
    rng = block.rng
    opening = opening.filter(rng.random(opening.height) < SEARCH_SHARE)
    entity = rng.choice(len(SEARCHED), size=opening.height, p=SEARCHED)
    opening = opening.with_columns(signal=pl.lit(SEARCH), entity=pl.Series(entity))
    opening = opening.sort("entity", maintain_order=True)
    lead_s = pl.Series(rng.integers(5, 30, opening.height))
    target = block.targets(opening["entity"].to_numpy(), opening["target"].to_numpy())
    return opening.with_columns(time_s=pl.col("time_s") - lead_s, target=pl.Series(target))


def _look_around(block: Block, sessions: np.ndarray) -> pl.DataFrame:
    """Draw searches and favorites in sessions without streams."""
    rng = block.rng
    looks = sessions[:, sessions[2] == 0]
    n_acts = 1 + rng.poisson(0.7, looks.shape[1])
    user, start_s, _ = np.repeat(looks, n_acts, axis=1)
    time_s = start_s + rng.integers(600, size=len(user))
    item = block.catalogue.by_scene.draw(block.scenes_of(user, time_s), rng)
    entity = rng.choice(len(SEARCHED), size=len(user), p=SEARCHED)
    signal = np.where(rng.random(len(user)) < LOOK_SEARCHES, SEARCH, FAVORITE)
    target = block.targets(entity, item)
    events = {"user": user, "time_s": time_s, "signal": signal, "entity": entity, "target": target}
    return _keep_first(pl.DataFrame(events))


def _answer(block: Block, respondents: np.ndarray, favorites: np.ndarray) -> pl.DataFrame:
    """Draw the artists of questionnaire answers: favorites first, then others from the user's scenes."""
    rng = block.rng
    counts = rng.integers(*ONBOARDING_ARTISTS, len(respondents), endpoint=True)
    row, position = _spread(counts)
    user = respondents[row]
    registered_s = block.people.registered_s[user]
    other = block.artists_of(user, registered_s)
    favorite = favorites[user, position % FAVORITE_ARTISTS]
    artist = np.where(position < FAVORITE_ARTISTS // 2, favorite, other)
    time_s = registered_s + 15 + position * rng.integers(2, 9, len(user))
    events = {"user": user, "time_s": time_s, "signal": ONBOARDING, "entity": ARTIST_CODE, "target": artist}
    return _keep_first(pl.DataFrame(events))
