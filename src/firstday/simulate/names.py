"""Invented names: of artists, of items and albums, and of playlists."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from importlib import resources
from itertools import count

import numpy as np

WORDS = {
    kind: [word.replace("_", " ") for word in words.split()]
    for kind, words in tomllib.loads((resources.files("firstday.simulate") / "words.toml").read_text("utf-8")).items()
}
"""Words by kind."""

Pattern = tuple[str, tuple[str, ...], float]
"""A form, the kinds of words that fill it in, and how often it is used."""

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


def invent_artists(n: int, rng: np.random.Generator) -> list[str]:
    """Invent n names of artists, all different."""
    return _without_repeats(lambda size: _fill(ARTISTS, size, rng), n)


def invent_titles(n: int, rng: np.random.Generator) -> list[str]:
    """Invent n titles, of items or albums; as everywhere, some are used twice."""
    return _fill(TITLES, n, rng)


def invent_playlists(scene: np.ndarray, n_scenes: int, rng: np.random.Generator) -> list[str]:
    """Invent a name for each playlist of the given scenes, all different.

    Parameters
    ----------
    scene
        int, shape (n_playlists,): the scene of each.
    n_scenes
        Number of scenes; each gets a name of its own, which its playlists share.
    rng
        Source of randomness.
    """
    scenes = _without_repeats(lambda size: _fill(SCENES, size, rng), n_scenes)
    forms = [f"{{}} {word}" for word in WORDS["qualities"]] + [f"{word} {{}}" for word in WORDS["occasions"]]
    chosen = rng.integers(len(forms), size=len(scene))
    return _numbered([forms[form].format(scenes[one]) for form, one in zip(chosen, scene, strict=True)])


def _fill(patterns: Sequence[Pattern], n: int, rng: np.random.Generator) -> list[str]:
    """Fill in n patterns with words drawn at random."""
    shares = np.array([share for _, _, share in patterns])
    chosen = rng.choice(len(patterns), size=n, p=shares / shares.sum())
    names = np.empty(n, dtype=object)
    for number, (form, kinds, _) in enumerate(patterns):
        places = np.flatnonzero(chosen == number)
        drawn = [rng.choice(WORDS[kind], len(places)).tolist() for kind in kinds]
        names[places] = [form.format(*row) for row in zip(*drawn, strict=True)]
    return [str(name) for name in names]


def _without_repeats(draw: Callable[[int], list[str]], n: int) -> list[str]:
    """Draw until there are n different names; where words run out, numbers tell names apart."""
    names: dict[str, None] = {}
    for _ in range(5):
        names.update(dict.fromkeys(draw(n - len(names))))
        if len(names) == n:
            return list(names)
    return _numbered([*names, *draw(n - len(names))])


def _numbered(names: Sequence[str]) -> list[str]:
    """Add a number to the second and every later use of a name, such as "Metro Jazz Mix 2"."""
    used: dict[str, int] = {}
    taken, different = set(names), []
    for name in names:
        used[name] = used.get(name, 0) + 1
        if used[name] > 1:
            number = next(k for k in count(used[name]) if f"{name} {k}" not in taken)
            used[name] = number
            name = f"{name} {number}"
            taken.add(name)
        different.append(name)
    return different
