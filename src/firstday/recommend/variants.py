"""Experiments: assign users to variants by a hash of the user id."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from operator import attrgetter

from firstday.display import readable
from firstday.errors import ConfigError
from firstday.recommend.registry import find_strategy

N_SLOTS = 1_000_000
"""Number of slots that users are hashed to; each holds 0.0001 % of the users."""
SLOTS_IN_PERCENT = N_SLOTS // 100

_NAME = re.compile(r"\w[\w.-]*")
_VARIANT = re.compile(r"\s*([^=*]+?)\s*=\s*([^=*]+?)\s*\*\s*(\d+(?:\.\d+)?)\s*%?\s*")


@dataclass(frozen=True)
class Variant:
    """One variant of an experiment.

    Parameters
    ----------
    name
        Letters, digits, ``_``, ``.`` and ``-``.
    strategy
        Strategy that answers its users.
    weight
        Share of all users, in percent, in steps of 0.0001.
    """

    name: str
    strategy: str
    weight: float

    @property
    def n_slots(self) -> int:
        """Number of its slots, out of `N_SLOTS`."""
        return round(self.weight * SLOTS_IN_PERCENT)


@readable
@dataclass(frozen=True)
class Experiment:
    """Variants to compare, each with a share of the users.

    The assignment depends only on the name of the experiment, the names and weights of its variants, and the user's id.
    It is the same in every process and on every machine, and independent of the order of the variants.

    **Increasing a weight moves no user between variants.** A user's slot is a hash of the experiment's name and the
    user's id. Two variants take slots from opposite ends, so that each can grow until they meet. With three or more,
    the slots are split into equal parts, one per variant, and each variant takes slots from the start of its part: no
    rule based on weights alone could let three variants grow freely without moving users. With more than two variants,
    a weight is therefore limited to 100 divided by the number of variants.

    Parameters
    ----------
    name
        Letters, digits, ``_``, ``.`` and ``-``. It salts the hash, so that two experiments split users independently.
    variants
        At least two, with different names.

    Raises
    ------
    ConfigError
        A name, strategy or weight is invalid; the message is one sentence.
    """

    name: str
    variants: tuple[Variant, ...]

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.variants]
        are_distinct = 2 <= len(names) == len(set(names))
        if not are_distinct or not all(map(_NAME.fullmatch, (self.name, *names))):
            raise ConfigError(
                f"experiment {self.name!r}: has the variants {', '.join(map(repr, names))}; give at least two with "
                "different names, and use only letters, digits, '_', '.' and '-' in all names."
            )
        for variant in self.variants:
            find_strategy(variant.strategy)
        most = N_SLOTS if len(names) == 2 else N_SLOTS // len(names)
        n_slots = [variant.n_slots if 0 <= variant.weight <= 100 else N_SLOTS + 1 for variant in self.variants]
        if max(n_slots) > most or sum(n_slots) > N_SLOTS:
            raise ConfigError(
                f"experiment {self}: the weights of {len(names)} variants must be percentages "
                f"from 0 to {most / SLOTS_IN_PERCENT:g} and sum to at most 100; change them."
            )

    @classmethod
    def parse(cls, text: str) -> Experiment:
        """Parse an experiment.

        Parameters
        ----------
        text
            ``NAME: VARIANT=STRATEGY*PERCENT, VARIANT=STRATEGY*PERCENT, ...``

        Raises
        ------
        ConfigError
            The text does not have this form, or `Experiment` refuses it; the message is one sentence.
        """
        name, _, rest = text.partition(":")
        matches = [_VARIANT.fullmatch(part) for part in rest.split(",")]
        if None in matches:
            raise ConfigError(
                f"experiment: {text!r} is not an experiment; write it as "
                "'onboarding-2026: control=segment*50, treatment=auto*50'."
            )
        variants = (Variant(match[1], match[2], float(match[3])) for match in matches if match)
        return cls(name.strip(), tuple(variants))

    def assign(self, user_id: object) -> Variant | None:
        """Return a user's variant, or None if the user is not in the experiment.

        Parameters
        ----------
        user_id
            The caller's id; 7 and "7" are the same user.
        """
        return self._variant_at(slot_of(self.name, user_id))

    def _variant_at(self, slot: int) -> Variant | None:
        variants = sorted(self.variants, key=attrgetter("name"))
        starts = [number * (N_SLOTS // len(variants)) for number in range(len(variants))]
        if len(variants) == 2:
            starts[1] = N_SLOTS - variants[1].n_slots  # from the end, so that both can grow
        for variant, start in zip(variants, starts, strict=True):
            if start <= slot < start + variant.n_slots:
                return variant
        return None

    def __str__(self) -> str:
        parts = (f"{variant.name}={variant.strategy}*{variant.weight:.10g}" for variant in self.variants)
        return f"{self.name}: {', '.join(parts)}"


def slot_of(salt: str, user_id: object) -> int:
    """Return a user's slot, from 0 to `N_SLOTS` - 1: a hash of the salt and the id as text.

    The salt is the experiment's name; different salts give independent slots.
    """
    key = hashlib.blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=32).digest()  # keys have at most 64 bytes
    text = str(user_id).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big") % N_SLOTS
