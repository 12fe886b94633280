"""Simulate the catalogue: items with artists, albums, playlists and scenes, and invented names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np
import polars as pl

from firstday.lab.simulate.choices import Choices
from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.lab.simulate.world import World

_WORDS = tomllib.loads((resources.files("firstday.lab.simulate") / "words.toml").read_text("utf-8"))
WORDS = {kind: [word.replace("_", " ") for word in words.split()] for kind, words in _WORDS.items()}
"""Words by kind."""

ARTISTS = {
    "{given_names} {onsets}{middles}{endings}": 0.5,
    "The {adjectives} {nouns}s": 0.15,
    "{adjectives} {nouns}": 0.15,
    "{onsets}{middles}{middles}": 0.1,
    "{given_names} & the {nouns}s": 0.1,
}
"""Patterns of artist names, with the kinds of words that fill them, and their shares."""
TITLE_PATTERNS = {
    "{adjectives} {nouns}": 0.35,
    "{verbs} {moments}": 0.15,
    "{nouns} of the {nouns}": 0.15,
    "{verbs} the {nouns}": 0.15,
    "{nouns}": 0.1,
    "{given_names}, {verbs}": 0.1,
}
SCENES = {"{places} {styles}": 1.0}

ARTIST_ITEMS, SHOW_ITEMS = 8.0, 40.0
"""Mean number of items per artist, and per show."""
ARTIST_TAIL, ARTIST_SHIFT = 1.2, 3.0
"""Long tail of artists in a scene: popularity is `(shift + rank) ** -tail`; the shift makes the top artists similar."""
ITEM_TAIL = 0.8
"""Exponent of the long tail of an artist's items."""
NOISE = 0.5
"""Standard deviation of the logarithm of an item's popularity around these tails."""
BRIDGE_SHARE, BRIDGE_WEIGHT = 0.15, 0.3
"""Share of artists with a second scene in the same family, and their popularity there relative to the first."""
CHART_POWER = 1.3
"""Exponent from an item's audience in a country to its chart weight; above 1 it favors hits."""
ALBUM_ITEMS = 7.0
"""Mean number of items per album."""
PLAYLIST_ITEMS = 30
"""Number of items drawn per playlist, with replacement; duplicates are dropped."""


@dataclass(frozen=True, eq=False)
class MusicCatalogue:
    """Items with their scenes, artists, albums and playlists, by index.

    Parameters
    ----------
    scene, artist, album
        int64, shape (n_items,): scene, artist and album of each item.
    artist_scene, playlist_scene
        int64, shapes (n_artists,) and (n_playlists,).
    members
        Unique pairs of playlist and item, as a collections table.
    by_scene, by_artist, by_chart
        Item distributions by scene, artist, and country charts.
    artists_by_scene, playlists_by_scene
        Artist and playlist distributions by scene.
    """

    scene: np.ndarray
    artist: np.ndarray
    album: np.ndarray
    artist_scene: np.ndarray
    playlist_scene: np.ndarray
    members: pl.DataFrame
    by_scene: Choices
    by_artist: Choices
    by_chart: Choices
    artists_by_scene: Choices
    playlists_by_scene: Choices


def make_catalogue(settings: SimulationSettings, world: World, rng: np.random.Generator) -> MusicCatalogue:
    """Draw the artists of every scene with their items, albums and playlists; larger audiences have more artists."""
    n_items = settings.n_items
    n_scenes = len(world.family)
    audience = world.audience.mean(axis=0)
    artist_items = SHOW_ITEMS if settings.series else ARTIST_ITEMS
    n_artists = max(n_scenes, round(n_items / artist_items))
    artist_scene = _assign(n_artists, audience**0.7, rng)
    fame = (ARTIST_SHIFT + rank_within(artist_scene, rng)) ** -ARTIST_TAIL
    # Famous artists have more items. Shuffled, so that indices do not reveal popularity.
    size = fame**0.5 * rng.lognormal(0, 0.6, n_artists)
    artist = _assign(n_items, size, rng)
    share_of_artist = rank_within(artist, rng) ** -ITEM_TAIL
    weight = fame[artist] * share_of_artist * rng.lognormal(0, NOISE, n_items)

    in_family = Choices.of_entries(world.family, np.arange(n_scenes), np.ones(n_scenes))
    second_scene = in_family.draw(world.family[artist_scene], rng)
    has_second = (rng.random(n_artists) < BRIDGE_SHARE) & (second_scene != artist_scene)
    items = np.arange(n_items)
    scene = artist_scene[artist]
    bridges = np.flatnonzero(has_second[artist])
    scenes = np.r_[scene, second_scene[artist[bridges]]]
    weights = np.r_[weight, BRIDGE_WEIGHT * weight[bridges]]
    by_scene = Choices.of_entries(scenes, np.r_[items, bridges], weights)
    total = np.bincount(scene, weights=weight)
    share = weight / total[scene]

    playlist_scene = _assign(max(n_scenes, n_items // 20), audience, rng)
    playlists = np.arange(len(playlist_scene))
    playlist = np.repeat(playlists, PLAYLIST_ITEMS)
    members = pl.DataFrame({"entity_id": playlist, "item_id": by_scene.draw(playlist_scene[playlist], rng)})
    n_items_of_artist = np.bincount(artist)
    n_albums = np.maximum(1, np.round(n_items_of_artist / ALBUM_ITEMS)).astype(int)
    first_album = np.cumsum(n_albums) - n_albums
    album = first_album[artist] + rng.integers(n_albums[artist])
    _, album = np.unique(album, return_inverse=True)  # drop albums without items
    chart_weight = (world.audience[:, scene] * share) ** CHART_POWER
    playlist_weight = 1 / rank_within(playlist_scene, rng)
    return MusicCatalogue(
        scene,
        artist,
        album,
        artist_scene,
        playlist_scene,
        members.unique().sort("entity_id", "item_id"),
        by_scene,
        Choices.of_entries(artist, items, weight),
        Choices.of_table(chart_weight),
        Choices.of_entries(artist_scene, np.arange(n_artists), fame),
        Choices.of_entries(playlist_scene, playlists, playlist_weight),
    )


def _assign(n: int, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Assign n members to groups in random order, one to each group and the others by weight: int64, shape (n,)."""
    n_groups = len(weight)
    others = rng.choice(n_groups, size=n - n_groups, p=weight / weight.sum())
    return rng.permutation(np.r_[np.arange(n_groups), others])


def rank_within(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Assign each member a random rank within its group, from 1: float64, shape (n,)."""
    members = pl.DataFrame({"group": group, "chance": rng.random(len(group))})
    ranks = members.select(pl.col("chance").rank("ordinal").over("group"))
    return ranks["chance"].to_numpy().astype(float)


def invent_names(patterns: Mapping[str, float], n: int, rng: np.random.Generator) -> list[str]:
    """Fill n random patterns with random words; names may repeat, as titles do in real catalogues."""
    pattern_of_name = rng.choice(len(patterns), size=n, p=[*patterns.values()])
    names = np.empty(n, dtype=object)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(pattern_of_name == number)
        kinds = re.findall(r"{(\w+)}", pattern)
        words = [rng.choice(WORDS[kind], len(rows)) for kind in kinds]
        form = re.sub(r"{\w+}", "{}", pattern)
        names[rows] = [form.format(*row) for row in zip(*words, strict=True)]
    return [*names]


def invent_distinct_names(patterns: Mapping[str, float], n: int, rng: np.random.Generator) -> list[str]:
    """Invent n distinct names; if words run out, append numbers."""
    names: dict[str, None] = {}
    for _ in range(5):
        names |= dict.fromkeys(invent_names(patterns, n - len(names), rng))
    return _number([*names, *invent_names(patterns, n - len(names), rng)])


def invent_playlists(scene: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Invent a distinct name for each playlist, shape (n_playlists,); names in the same scene share a part."""
    scenes = invent_distinct_names(SCENES, scene.max() + 1, rng)
    forms = [f"{{}} {word}" for word in WORDS["qualities"]]
    forms += [f"{word} {{}}" for word in WORDS["occasions"]]
    form_of_playlist = rng.choice(forms, len(scene))
    return _number([form.format(scenes[number]) for form, number in zip(form_of_playlist, scene, strict=True)])


def _number(names: list[str]) -> list[str]:
    """Append a number to repeated names from their second use, such as "Metro Jazz Mix 2"."""
    use = pl.col("name").cum_count().over("name")
    numbered = pl.when(use > 1).then(pl.format("{} {}", "name", use)).otherwise("name")
    return pl.DataFrame({"name": names}).select(numbered).to_series().to_list()
