"""Experiments: assign users to variants by their id alone."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from firstday.display import readable
from firstday.errors import ConfigError
from firstday.recommend.registry import find_strategy

N_SLOTS = 1_000_000
"""Number of slots that users are hashed to; each holds 0.0001 % of the users."""
SLOTS_IN_PERCENT = N_SLOTS // 100

_NAME = re.compile(r"\w[\w.-]*")
_FORM = "write it as 'onboarding-2026: control=segment*50, treatment=auto*50'"


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
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"experiment: {self.name!r} is not a valid name; use letters, digits, '_', '.' and '-'.")
        for fault in self._find_faults():
            raise ConfigError(f"experiment {self.name}: {fault}.")

    def _find_faults(self) -> Iterator[str]:
        """Yield what is invalid."""
        n = len(self.variants)
        if n < 2:
            yield f"has {n} variant(s); give at least two to compare"
        for name, count in Counter(variant.name for variant in self.variants).items():
            if not _NAME.fullmatch(name):
                yield f"{name!r} is not a valid name of a variant; use letters, digits, '_', '.' and '-'"
            if count > 1:
                yield f"{count} variants are named {name}; use different names"
        for variant in self.variants:
            if not 0 <= variant.weight <= 100:
                yield f"{variant.name} has a weight of {variant.weight:g}; give one from 0 to 100"
            try:
                find_strategy(variant.strategy)
            except ConfigError as error:
                yield f"{variant.name}: {str(error).rstrip('.')}"
        total = sum(variant.n_slots for variant in self.variants)
        if total > N_SLOTS:
            yield f"the weights add up to {total / SLOTS_IN_PERCENT:g} %; give at most 100"
        for variant in self.variants:
            if n > 2 and variant.n_slots > N_SLOTS // n:
                yield (
                    f"{variant.name} has a weight of {variant.weight:g}; each of {n} variants can have at most "
                    f"{N_SLOTS // n / SLOTS_IN_PERCENT:g}, so that increasing a weight moves no user"
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
        name, colon, rest = text.partition(":")
        if not colon:
            raise ConfigError(f"experiment: {text!r} has no ':' after its name; {_FORM}.")
        return cls(name.strip(), tuple(_parse_variant(part, name.strip()) for part in rest.split(",") if part.strip()))

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
        n_each = N_SLOTS // len(variants)
        if len(variants) == 2 and slot >= N_SLOTS - variants[1].n_slots:  # from the end, so that both can grow
            return variants[1]
        if len(variants) == 2:
            n_each = N_SLOTS
        place, from_its_start = divmod(slot, n_each)
        is_in = place < len(variants) and from_its_start < variants[place].n_slots
        return variants[place] if is_in else None

    def __str__(self) -> str:
        parts = (f"{variant.name}={variant.strategy}*{variant.weight:.10g}" for variant in self.variants)
        return f"{self.name}: {', '.join(parts)}"


def slot_of(salt: str, user_id: object) -> int:
    """Return a user's slot, from 0 to `N_SLOTS` - 1: a hash of the salt and the id as text.

    The salt is the experiment's name; different salts give independent slots.
    """
    text = str(user_id).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, key=_key_of(salt), digest_size=8).digest(), "big") % N_SLOTS


@lru_cache(maxsize=128)
def _key_of(salt: str) -> bytes:
    """Return the hash key: a digest of the salt, because keys are limited to 64 bytes."""
    return hashlib.blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def _parse_variant(part: str, experiment: str) -> Variant:
    """Parse ``VARIANT=STRATEGY*PERCENT``."""
    match = re.fullmatch(r"\s*([^=*]+?)\s*=\s*([^=*]+?)\s*\*\s*([^=*]+?)\s*%?\s*", part)
    if match is None:
        raise ConfigError(f"experiment {experiment}: {part.strip()!r} is not a variant; {_FORM}.")
    name, strategy, weight = match.groups()
    try:
        return Variant(name, strategy, float(weight))
    except ValueError:
        raise ConfigError(
            f"experiment {experiment}: {name} has the weight {weight!r}; give a number, in percent."
        ) from None
