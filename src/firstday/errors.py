"""The exceptions of firstday: one sentence each, saying where, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class FirstdayError(Exception):
    """Any error that firstday raises on purpose; its text is meant for the user as it is."""


class DataError(FirstdayError, ValueError):
    """Tables that cannot be used.

    Parameters
    ----------
    faults
        One sentence, or one for each fault found; all of them are kept in `faults`.
    """

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


class ConfigError(FirstdayError, ValueError):
    """A setting that does not exist or has a value that it cannot have."""


class ArtifactError(FirstdayError, ValueError):
    """A trained model's folder that is missing, incomplete, damaged or of another version."""


class MissingExtraError(FirstdayError, ImportError):
    """An optional library is needed and not installed.

    Parameters
    ----------
    what
        What needed it, for example ``"training"``.
    extra
        The extra of firstday that brings it, for example ``"train"``.
    """

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs libraries that are not installed; run: pip install 'firstday[{extra}]'")


def count_of(n: int, total: int, noun: str) -> str:
    """Say "37 of 9,120 rows": how many of how many, for fault sentences."""
    return f"{n:,} of {total:,} {noun}"
