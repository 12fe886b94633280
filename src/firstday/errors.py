"""Exceptions of firstday. Messages are one sentence: where, what was found, what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from reprlib import repr as shorten
from typing import Any


class FirstdayError(Exception):
    """Base class of all errors of firstday; their messages are written for users.

    Parameters
    ----------
    text
        What was found, and what to do.
    where
        Field, setting or file that the error is about, which begins the message; "" if `text` names it.
    code
        Identifier of the kind of error for programs, such as ``missing``; "" if there is none.
    """

    def __init__(self, text: str, *, where: str = "", code: str = "") -> None:
        self.text, self.where, self.code = text, where, code
        super().__init__(f"{where}: {text}" if where else text)


@dataclass(frozen=True)
class Fault:
    """A fault of tables; `str` returns it as one sentence, which begins with `where`.

    Parameters
    ----------
    code
        Kind of fault, such as ``"missing_column"``.
    text
        What was found and what to do.
    table, column
        Table and column; "" if the fault concerns a file, or a whole table.
    file, line
        File with the first occurrence, and its line (in binary files: row), from 1; "" and 0 if unknown.
    """

    code: str
    text: str
    table: str = ""
    column: str = ""
    file: str = ""
    line: int = 0

    @property
    def where(self) -> str:
        """Table and column, or file."""
        return f"{self.table}.{self.column}" if self.column else self.table or self.file

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


class DataError(FirstdayError, ValueError):
    """Invalid tables or user data.

    Parameters
    ----------
    faults
        A sentence, or all faults; the attribute `faults` is always a tuple of `Fault`.
    hint
        Command-line option to continue despite the faults; "" if there is none.
    where, code
        See `FirstdayError`.
    """

    def __init__(self, faults: str | Sequence[Fault], hint: str = "", *, where: str = "", code: str = "") -> None:
        self.hint = hint
        if isinstance(faults, str):
            self.faults: tuple[Fault, ...] = (Fault(code or "invalid", faults, where),)
            super().__init__(faults, where=where, code=code)
        else:
            self.faults = tuple(faults)
            super().__init__("\n".join(map(str, self.faults)))


class ConfigError(FirstdayError, ValueError):
    """A setting does not exist or has an invalid value."""


class ArgumentError(FirstdayError, TypeError):
    """An argument has the wrong type."""


class ArtifactError(FirstdayError, ValueError):
    """A model folder is missing, incomplete or damaged, or has another format."""


class BusyError(FirstdayError):
    """Another refresh of the same model is running."""


class MissingExtraError(FirstdayError, ImportError):
    """An optional dependency is not installed.

    Parameters
    ----------
    feature
        Feature that needs the dependency, such as ``"training"``.
    extra
        Extra of firstday that installs the dependency, such as ``"train"``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs libraries that are not installed; run: pip install 'firstday[{extra}]'")


@contextmanager
def needs_extra(feature: str, extra: str) -> Iterator[None]:
    """Raise `MissingExtraError` if an import in this context fails because a module is not installed."""
    try:
        yield
    except ModuleNotFoundError:
        raise MissingExtraError(feature, extra) from None


def was_interrupted(error: BaseException) -> bool:
    """Whether an error is a KeyboardInterrupt, or was caused by one during an import."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def count_of(n: int, total: int, noun: str) -> str:
    """Return "37 of 9,120 rows", for messages."""
    return f"{n:,} of {total:,} {noun}"


_MESSAGES = {
    "json_invalid": "Invalid JSON",
    **dict.fromkeys(("dataclass_type", "model_attributes_type"), "Input should be an object"),
    **dict.fromkeys(("extra_forbidden", "unexpected_keyword_argument"), "Unknown field"),
    **dict.fromkeys(("list_type", "tuple_type", "sequence_str"), "Input should be a list"),
    **dict.fromkeys(("string_pattern_mismatch", "string_unicode"), "Contains characters that are not allowed"),
}
"""Replacements for messages of pydantic that are specific to Python."""


def describe_fault(fault: Mapping[str, Any]) -> tuple[str, str]:
    """Return the path to an invalid value, such as ``events[3].user_id``, and the message, of a pydantic error."""
    path = ""
    for part in fault["loc"]:
        if part != "[key]":  # marks an invalid key of a mapping, which the previous part names
            path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    message = _MESSAGES.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    return path, message[:1].upper() + message[1:]


LOADED = "what fd.load returns, such as fd.load('tables/')"
"""Description of a dataset in messages."""


def expect(name: str, value: object, kinds: type | tuple[type, ...], advice: str) -> None:
    """Raise `ArgumentError` for a wrong type, where Python's error would come later and be less clear."""
    if not isinstance(value, kinds):
        raise ArgumentError(f"{name}: is {shorten(value)}; give {advice}.")


@lru_cache(1024)  # requests may repeat the same unknown column
def hint_at(name: str, names: tuple[str, ...]) -> str:
    """Return " (did you mean 'config'?)" for the closest name, regardless of case; "" if none is close."""
    by_lower = {known.lower(): known for known in names}
    matches = get_close_matches(name.lower(), by_lower, 1)
    return f" (did you mean {by_lower[matches[0]]!r}?)" if matches else ""
