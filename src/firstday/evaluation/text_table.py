"""Tables of text for the terminal, reports and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Table:
    """A captioned table of text, by row and column heading; the first column has the row headings.

    A second line of a cell is small print, such as an interval. `accented` is the heading of the highlighted row, and
    `words` are the headings of left-aligned columns.
    """

    title: str
    rows: Sequence[Mapping[str, str]]
    accented: str = ""
    words: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Column headings."""
        return tuple(*self.rows[:1])

    def select(self, *columns: str) -> Table:
        """Return the table with the given columns."""
        return replace(self, rows=[{column: row[column] for column in columns} for row in self.rows])


def write_signed(value: float, digits: int = 1) -> str:
    """Format a number with an explicit sign (a true minus sign)."""
    return f"{value:+z.{digits}f}".replace("-", "\N{MINUS SIGN}")


def write_cell(write: Callable[[float], str], mean: float, *ends: float | None) -> str:
    """Format a figure, with its interval as small print."""
    interval = ", ".join(write(end) for end in ends if end is not None)
    return f"{write(mean)}\n{interval}".strip()


def write_line(cell: str) -> str:
    """Return a cell on one line, its small print in brackets."""
    text, _, small = cell.partition("\n")
    return f"{text} [{small}]" if small else text
