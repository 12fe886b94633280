"""Tables of the simulated service with arriving users: hits and regret by policy and by cohort, and new items."""

from __future__ import annotations

from typing import Any

from table_makers.measured import interval, read_results

KINDS = {
    "still": "tastes stand still",
    "service": "2 % of scenes change a day",
    "drifting": "10 % of scenes change a day",
}
ORACLE, BEFORE = "oracle", "segment@once"
LARGER = "larger"


def policies() -> list[str]:
    """Return hits and regret of a user over ten days by policy, for each speed of drift."""
    found = read_results("arrivals")
    lines = ["| policy | " + " | ".join(f"{words}: hits | regret" for words in KINDS.values()) + " |"]
    lines.append("|---" * (1 + 2 * len(KINDS)) + "|")
    for name in found["service"]["hits"]:
        cells = []
        for kind in KINDS:
            of = found[kind]
            cells += [_write(of["hits"][name]), _write(of["regret"][name])] if name in of["hits"] else ["-", "-"]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return lines


def cohorts() -> list[str]:
    """Return regret of the first day, and of a later list, by day of registration."""
    found = read_results("arrivals")["service"]
    names = [name for name in found["hits"] if name != ORACLE]
    lines = [
        "| registered on day | " + " | ".join(f"`{name}`" for name in names) + " |",
        "|---" * (1 + len(names)) + "|",
    ]
    for cohort in found["cohorts"]:
        regret = cohort["first_day_regret"]
        lines.append(f"| {cohort['day'] + 1} | " + " | ".join(_write(regret[name]) for name in names) + " |")
    return lines


def new_items() -> list[str]:
    """Return what exploring finds of new items, and what it costs, in a smaller and in a larger service."""
    found = read_results("arrivals")
    per_day = found["settings"]["newcomers"]
    lines = [
        "| newcomers a day | new items shown | used | share used, days 1 to 5 and 6 to 10 | best tenth: used by anyone "
        "| best tenth: known as such | hits beside `explore` | hits beside `blend` |",
        "|---" * 8 + "|",
    ]
    for kind, n in (("service", per_day), (LARGER, per_day * found["larger"])):
        of = found[kind]
        new = of["new_items"]["explore+new"]
        shown, used = sum(new["shown"]), sum(new["used"])
        half = len(new["used"]) // 2
        rates = [_share(sum(new["used"][part]), sum(new["shown"][part])) for part in (slice(half), slice(half, None))]
        cells = [
            f"{n:,}",
            f"{shown:,}",
            f"{used:,}",
            ", ".join(rates),
            _share(new["best_used"], new["best"]),
            _share(new["best_found"], new["best"]),
            _compare(of, "explore"),
            _compare(of, "blend"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _compare(of: dict[str, Any], against: str) -> str:
    difference = of["hits_compared"].get(f"explore+new - {against}")
    return "-" if difference is None else _write(difference, "+.2f")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.1f} %"


def _write(value: list[float], form: str = ".2f") -> str:
    return f"{value[0]:{form}} {interval(value[1:], form)}"
