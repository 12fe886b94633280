"""What installed packages add to firstday: commands, datasets, engines and methods, declared as entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from firstday.errors import ConfigError, FirstdayError, was_interrupted


def load_entry(entry: EntryPoint, kind: type = object) -> Any:
    """Import the value of an entry point, which must be of type `kind` and, if it has a name, have that of the entry.

    Raises ConfigError if its package is faulty.
    """
    try:
        value = entry.load()
    except FirstdayError:
        raise
    except Exception as error:
        if was_interrupted(error):
            raise
        raise _refuse(entry, f"{type(error).__name__}: {error}") from error
    if not isinstance(value, kind) or getattr(value, "name", entry.name) != entry.name:
        raise _refuse(entry, f"which is not a {kind.__name__} of this name")
    return value


def _refuse(entry: EntryPoint, fault: str) -> ConfigError:
    section = entry.group.removeprefix("firstday.")
    return ConfigError(
        f"{section}: {entry.name} cannot be loaded from {entry.value} ({fault}); correct or reinstall its package."
    )
