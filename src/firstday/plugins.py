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
        if isinstance(value, kind) and getattr(value, "name", entry.name) == entry.name:
            return value
        fault = f"which is not a {kind.__name__} of this name"
    except FirstdayError:
        raise
    except Exception as error:
        if was_interrupted(error):
            raise
        fault = f"{type(error).__name__}: {error}"
    section = entry.group.removeprefix("firstday.")
    raise ConfigError(
        f"{section}: {entry.name} cannot be loaded from {entry.value} ({fault}); correct or reinstall its package."
    )
