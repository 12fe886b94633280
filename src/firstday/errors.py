"""The exceptions of firstday: each has one sentence with the place, the fault, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache
from reprlib import repr as shorten


class FirstdayError(Exception):
    """Any error that firstday raises on purpose; its text is for the user."""


class DataError(FirstdayError, ValueError):
    """Tables that cannot be used.

    Parameters
    ----------
    faults
        One sentence, or one for each fault; the attribute `faults` has all of them.
    hint
        How the command line would go on in spite of them; "" where it can't.
    """

    def __init__(self, faults: str | Sequence[str], hint: str = "") -> None:
        self.hint = hint
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


class ConfigError(FirstdayError, ValueError):
    """A setting that does not exist or has a wrong value."""


class ArgumentError(FirstdayError, TypeError):
    """An argument that is of another type than what can be passed."""


class ArtifactError(FirstdayError, ValueError):
    """A model's folder that is missing, incomplete, damaged or of another version."""


class BusyError(FirstdayError):
    """Another refresh of the same model is at work."""


class MissingExtraError(FirstdayError, ImportError):
    """An optional library is needed and not installed.

    Parameters
    ----------
    feature
        The feature that needs it, for example ``"training"``.
    extra
        The extra of firstday that installs it, for example ``"train"``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs libraries that are not installed; run: pip install 'firstday[{extra}]'")


@contextmanager
def needs_extra(feature: str, extra: str) -> Iterator[None]:
    """Tell of a library that is imported within and is not installed by `MissingExtraError`; see there."""
    try:
        yield
    except ModuleNotFoundError:
        raise MissingExtraError(feature, extra) from None


def count_of(n: int, total: int, noun: str) -> str:
    """Return "37 of 9,120 rows", for messages."""
    return f"{n:,} of {total:,} {noun}"


LOADED = "what fd.load returns, such as fd.load('tables/')"
"""What a dataset is, in messages."""


def expect(name: str, value: object, kinds: type | tuple[type, ...], advice: str) -> None:
    """Refuse an argument of another type, where what Python would say of it later is no help."""
    if not isinstance(value, kinds):
        raise ArgumentError(f"{name}: is {shorten(value)}; give {advice}.")


@lru_cache(1024)  # requests may name the same unknown column again and again
def hint_at(name: str, names: tuple[str, ...]) -> str:
    """Return " (did you mean 'config'?)", or nothing where no name is near: a part of a sentence."""
    near = get_close_matches(name, names, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""
