"""Simulate the catalogue: items with artists, albums, playlists and scenes, and invented names."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import count

import numpy as np

from firstday.simulate.choices import Choices
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.world import World

WORDS = {
    kind: [word.replace("_", " ") for word in words.split()]
    for kind, words in tomllib.loads((resources.files("firstday.simulate") / "words.toml").read_text("utf-8")).items()
}
"""Words by kind."""

Pattern = tuple[str, tuple[str, ...], float]
"""A template, the kinds of words that fill it, and its share."""

ARTISTS: tuple[Pattern, ...] = (
    ("{} {}{}{}", ("given_names", "onsets", "middles", "endings"), 0.5),
    ("The {} {}s", ("adjectives", "nouns"), 0.15),
    ("{} {}", ("adjectives", "nouns"), 0.15),
    ("{}{}{}", ("onsets", "middles", "middles"), 0.1),
    ("{} & the {}s", ("given_names", "nouns"), 0.1),
)
TITLES: tuple[Pattern, ...] = (
    ("{} {}", ("adjectives", "nouns"), 0.35),
    ("{} {}", ("verbs", "moments"), 0.15),
    ("{} of the {}", ("nouns", "nouns"), 0.15),
    ("{} the {}", ("verbs", "nouns"), 0.15),
    ("{}", ("nouns",), 0.1),
    ("{}, {}", ("given_names", "verbs"), 0.1),
)
SCENES: tuple[Pattern, ...] = (("{} {}", ("places", "styles"), 1.0),)

ARTIST_ITEMS = 8.0
"""Mean number of items per artist."""
ARTIST_TAIL, ARTIST_SHIFT = 1.2, 4.0
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
    scene
        int16, shape (n_items,): scene of each item.
    artist, album
        int32, shape (n_items,): artist and album of each item.
    artist_scene
        int16, shape (n_artists,).
    playlist_scene
        int16, shape (n_playlists,).
    members
        int32, shape (n, 2): unique pairs of playlist and item.
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
    members: np.ndarray
    by_scene: Choices
    by_artist: Choices
    by_chart: Choices
    artists_by_scene: Choices
    playlists_by_scene: Choices


def make_catalogue(settings: SimulationSettings, world: World, rng: np.random.Generator) -> MusicCatalogue:
    """Draw the artists of every scene with their items, albums and playlists; larger audiences have more artists."""
    n_items, n_scenes = settings.n_items, world.n_scenes
    artist_scene = _spread_artists(max(n_scenes, round(n_items / ARTIST_ITEMS)), world, rng)
    n_artists = len(artist_scene)
    fame = (ARTIST_SHIFT + _rank_within(artist_scene, rng)) ** -ARTIST_TAIL

    # Every artist has at least one item; famous artists get more of the rest.
    productive = fame**0.5 * rng.lognormal(0, 0.6, n_artists)
    further_artists = rng.choice(n_artists, size=n_items - n_artists, p=productive / productive.sum())
    # Shuffled, so that indices do not reveal popularity.
    artist = rng.permutation(np.concatenate([np.arange(n_artists), further_artists])).astype(np.int32)
    weight = fame[artist] * (1.0 + _rank_within(artist, rng)) ** -ITEM_TAIL * rng.lognormal(0, NOISE, n_items)
    scene = artist_scene[artist]

    second_scene = _second_scenes(artist_scene, world, rng)
    bridge_items = np.flatnonzero(second_scene[artist] >= 0)
    items = np.arange(n_items)
    by_scene = Choices.of_entries(
        np.concatenate([scene, second_scene[artist[bridge_items]]]),
        np.concatenate([items, bridge_items]),
        np.concatenate([weight, BRIDGE_WEIGHT * weight[bridge_items]]),
        n_scenes,
    )
    share = weight / np.bincount(scene, weights=weight, minlength=n_scenes)[scene]
    playlist_scene, members = _make_playlists(n_items, by_scene, world, rng)
    playlists = np.arange(len(playlist_scene))
    return MusicCatalogue(
        scene,
        artist,
        _draw_albums(artist, rng),
        artist_scene,
        playlist_scene,
        members,
        by_scene,
        Choices.of_entries(artist, items, weight, n_artists),
        Choices.of_table((world.audience[:, scene] * share) ** CHART_POWER),
        Choices.of_entries(artist_scene, np.arange(n_artists), fame, n_scenes),
        Choices.of_entries(playlist_scene, playlists, (1.0 + _rank_within(playlist_scene, rng)) ** -1.0, n_scenes),
    )


def _spread_artists(n_artists: int, world: World, rng: np.random.Generator) -> np.ndarray:
    """Assign a scene to each artist, at least one artist per scene: int16, shape (n_artists,)."""
    weight = world.audience.mean(axis=0) ** 0.7
    further_scenes = rng.choice(world.n_scenes, size=n_artists - world.n_scenes, p=weight / weight.sum())
    return rng.permutation(np.concatenate([np.arange(world.n_scenes), further_scenes])).astype(np.int16)


def _rank_within(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Assign each member a random rank within its group, from 0: int64, shape (n,)."""
    order = np.lexsort((rng.random(len(group)), group))
    ordered = group[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[first, len(group)])
    ranks = np.empty(len(group), dtype=np.int64)
    ranks[order] = np.arange(len(group)) - np.repeat(first, lengths)
    return ranks


def _second_scenes(artist_scene: np.ndarray, world: World, rng: np.random.Generator) -> np.ndarray:
    """Draw second scenes in the same family: int16, shape (n_artists,), -1 for artists without one."""
    by_family = Choices.of_entries(world.family, np.arange(world.n_scenes), np.ones(world.n_scenes), world.n_families)
    second = by_family.draw(world.family[artist_scene].astype(np.int64), rng).astype(np.int16)
    bridging = (rng.random(len(artist_scene)) < BRIDGE_SHARE) & (second != artist_scene)
    return np.where(bridging, second, -1).astype(np.int16)


def _draw_albums(artist: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Assign each artist's items to albums: int32, shape (n_items,)."""
    n_albums = np.maximum(1, np.round(np.bincount(artist) / ALBUM_ITEMS)).astype(np.int64)
    first = np.cumsum(n_albums) - n_albums
    album = first[artist] + rng.integers(n_albums[artist])
    return np.unique(album, return_inverse=True)[1].astype(np.int32)  # drop albums without items


def _make_playlists(
    n_items: int, by_scene: Choices, world: World, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw playlists, at least one per scene; return their scenes, and pairs of playlist and item."""
    n_playlists = max(world.n_scenes, n_items // 20)
    weight = world.audience.mean(axis=0)
    further_scenes = rng.choice(world.n_scenes, size=n_playlists - world.n_scenes, p=weight / weight.sum())
    playlist_scene = rng.permutation(np.concatenate([np.arange(world.n_scenes), further_scenes])).astype(np.int16)
    playlist = np.repeat(np.arange(n_playlists), PLAYLIST_ITEMS)
    item = by_scene.draw(playlist_scene[playlist].astype(np.int64), rng)
    members = np.unique(np.column_stack([playlist, item]).astype(np.int32), axis=0)
    return playlist_scene, members


def invent_artists(n: int, rng: np.random.Generator) -> list[str]:
    """Invent n distinct artist names."""
    return _without_repeats(lambda size: invent_names(ARTISTS, size, rng), n)


def invent_playlists(scene: np.ndarray, n_scenes: int, rng: np.random.Generator) -> list[str]:
    """Invent a distinct name for each playlist, shape (n_playlists,); names in the same scene share a part."""
    scenes = _without_repeats(lambda size: invent_names(SCENES, size, rng), n_scenes)
    forms = [f"{{}} {word}" for word in WORDS["qualities"]] + [f"{word} {{}}" for word in WORDS["occasions"]]
    form_of_playlist = rng.integers(len(forms), size=len(scene))
    return _numbered(
        [forms[form].format(scenes[scene_number]) for form, scene_number in zip(form_of_playlist, scene, strict=True)]
    )


def invent_names(patterns: Sequence[Pattern], n: int, rng: np.random.Generator) -> list[str]:
    """Fill n random templates with random words; names may repeat, as titles do in real catalogues."""
    shares = np.array([share for _, _, share in patterns])
    pattern_of_name = rng.choice(len(patterns), size=n, p=shares / shares.sum())
    names = np.empty(n, dtype=object)
    for number, (form, kinds, _) in enumerate(patterns):
        positions = np.flatnonzero(pattern_of_name == number)
        columns_of_words = [rng.choice(WORDS[kind], len(positions)).tolist() for kind in kinds]
        names[positions] = [form.format(*row) for row in zip(*columns_of_words, strict=True)]
    return [str(name) for name in names]


def _without_repeats(draw: Callable[[int], list[str]], n: int) -> list[str]:
    """Draw until there are n distinct names; if words run out, append numbers."""
    names: dict[str, None] = {}
    for _ in range(5):
        names.update(dict.fromkeys(draw(n - len(names))))
        if len(names) == n:
            return list(names)
    return _numbered([*names, *draw(n - len(names))])


def _numbered(names: Sequence[str]) -> list[str]:
    """Append a number to repeated names from their second use, such as "Metro Jazz Mix 2"."""
    last_number: dict[str, int] = {}
    all_names, numbered = set(names), []
    for name in names:
        last_number[name] = last_number.get(name, 0) + 1
        if last_number[name] > 1:
            number = next(k for k in count(last_number[name]) if f"{name} {k}" not in all_names)
            last_number[name] = number
            name = f"{name} {number}"
            all_names.add(name)
        numbered.append(name)
    return numbered
