"""How numbers and texts are written in a report, in HTML and in Markdown."""

from __future__ import annotations

import re

from firstday.evaluate.intervals import Interval

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!])")


class Written(str):
    """Markdown that is meant as it is."""

    __slots__ = ()


def escape_markdown(value: object) -> str:
    """Return text that Markdown shows as it is, on one line; `Written` stays."""
    if isinstance(value, Written):
        return value
    return _SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", str(value)))


def write_code(value: object) -> Written:
    """Write a name as code."""
    text = " ".join(str(value).split()).replace("|", r"\|")
    fence = "``" if "`" in text else "`"
    return Written(f"{fence}{text}{fence}")


def write_block(value: object) -> Written:
    """Write lines of code as they are, in a fence that none of them ends."""
    text = str(value).rstrip("\n")
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return Written(f"{fence}\n{text}\n{fence}")


def write_number(value: int) -> str:
    """Write a count with thousands apart."""
    return f"{value:,}"


def write_figure(value: float, digits: int = 1) -> str:
    """Write a figure without its unit."""
    return f"{value:.{digits}f}"


def write_percent(value: float) -> str:
    """Write a figure in %, which stays on one line with its unit."""
    return f"{value:.1f}\N{NO-BREAK SPACE}%"


def write_interval(found: Interval) -> str:
    """Write the ends of an interval."""
    return f"{found.low:.1f} to {found.high:.1f}"


def write_signed(value: float, digits: int = 1) -> str:
    """Write a number with its sign, a true minus included, and none for what rounds to zero."""
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return ("+" if value > 0 else "\N{MINUS SIGN}") + text


def write_share(value: float) -> str:
    """Write a share in whole %, but never 0 or 100 for what is neither."""
    percent = 100 * value
    if 0 < percent < 1:
        return "under\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}%"
    if 99 < percent < 100:
        return "over\N{NO-BREAK SPACE}99\N{NO-BREAK SPACE}%"
    return f"{percent:.0f}\N{NO-BREAK SPACE}%"


def write_tight_share(value: float) -> str:
    """Write a share in whole %, in little room."""
    return write_share(value).replace("under\N{NO-BREAK SPACE}", "<").replace("over\N{NO-BREAK SPACE}", ">")


FILTERS = {
    "number": write_number,
    "figure": write_figure,
    "percent": write_percent,
    "interval": write_interval,
    "signed": write_signed,
    "share": write_share,
    "tight": write_tight_share,
    "written": Written,
    "code": write_code,
    "block": write_block,
}
"""By the names that templates use."""
