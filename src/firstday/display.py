"""Compact display of values: a line in terminals, tables in notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from html import escape
from reprlib import Repr
from typing import Any, TypeVar

MAX_REPR_LENGTH = 1_500
MAX_STRING_LENGTH = 400
"""Maximum length of a string in a value; enough for complete sentences."""
MAX_ENTRIES = 8

C = TypeVar("C", bound=type)


def readable(cls: C) -> C:
    """Give a dataclass a short `repr`: the fields that differ from their defaults, or the result of `_repr_facts_`."""
    cls.__repr__ = shorten  # type: ignore[assignment,method-assign]
    return cls


def shorten(value: object) -> str:
    """Return a one-line repr of at most `MAX_REPR_LENGTH` characters."""
    text = _Short().repr(value)
    return text if len(text) <= MAX_REPR_LENGTH else f"{text[: MAX_REPR_LENGTH - 5]} ...)"


def write_table(title: str, columns: Sequence[str], rows: Iterable[Iterable[str]], notes: Iterable[str] = ()) -> str:
    """Render a table of text, with sentences below it, as HTML for a notebook."""
    parts = ["<table>", f'<caption style="text-align: left">{escape(title)}</caption>']
    parts += ["<thead><tr>", *(f"<th>{escape(name)}</th>" for name in columns), "</tr></thead><tbody>"]
    for row in rows:
        parts += ["<tr>", *(f"<td>{escape(cell)}</td>" for cell in row), "</tr>"]
    return "".join([*parts, "</tbody></table>", *(f"<p>{escape(sentence)}</p>" for sentence in notes)])


def _facts(value: Any) -> Mapping[str, Any]:
    """Return the displayed fields of a value by name."""
    if hasattr(value, "_repr_facts_"):
        return value._repr_facts_()
    contents = {part.name: (part.default, getattr(value, part.name)) for part in fields(value) if part.repr}
    return {name: content for name, (default, content) in contents.items() if not _is_empty(default, content)}


def _is_empty(default: object, content: object) -> bool:
    """Whether a field has its default value or is empty."""
    if isinstance(content, str | int | float | tuple | list | Mapping):
        return content in (default, (), [], {})
    return default is content


class _Short(Repr):
    """Shortens collections to a few entries, arrays to their shapes, and dataclasses to two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = MAX_ENTRIES
        self.maxlist = 4
        self.maxtuple = 4
        self.maxstring = MAX_STRING_LENGTH
        self.maxother = 80

    def repr_instance(self, value: Any, level: int) -> str:
        """Shorten a value that is not a built-in collection."""
        name = type(value).__name__
        if hasattr(value, "shape"):  # an array or a data frame
            return f"{getattr(value, 'dtype', name)}[{', '.join(f'{n:,}' for n in value.shape)}]"
        if not isinstance(value, type) and (hasattr(value, "_repr_facts_") or is_dataclass(value)):
            if level < self.maxlevel and hasattr(value, "__len__"):
                return f"{name} of {len(value):,}"
            if level <= 1:
                return f"{name}(...)"
            return f"{name}({', '.join(f'{key}={self.repr1(part, level - 1)}' for key, part in _facts(value).items())})"
        if isinstance(value, Mapping):
            return self.repr_dict(dict(value), level)
        if callable(value) and hasattr(value, "__qualname__"):
            return str(value.__qualname__)
        return super().repr_instance(value, level)
