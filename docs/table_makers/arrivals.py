"""Tables of the simulated service with arriving users: hits and regret by policy, and new items."""

from __future__ import annotations

from typing import Any

from table_makers.measured import interval, read_results

KINDS = {
    "still": "constant tastes",
    "service": "2 % of scenes replaced per day",
    "drifting": "10 % per day",
}
N_ENDS = 3
"""Number of first and of last days to compare."""
OF_NEW = ("service", "larger", "longer")


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


def new_items() -> list[str]:
    """Return what exploring finds of new items, and what it costs, in a smaller and in a larger service."""
    found = read_results("arrivals")
    lines = [
        f"| newcomers per day | days | impressions of new items | uses | use rate, first and last {N_ENDS} days "
        "| use rate of other items | best tenth: used | best tenth: identified | uses per user, minus `explore` "
        "| minus `blend` |",
        "|---" * 10 + "|",
    ]
    for kind in OF_NEW:
        of = {**found["settings"], **found[kind]}
        new = of["new_items"]
        shown = sum(new["shown"])
        used = sum(new["used"])
        ends = slice(N_ENDS), slice(-N_ENDS, None)
        rates = [_share(sum(new["used"][part]), sum(new["shown"][part])) for part in ends]
        others = [_share(sum(new["old_used"][part]), sum(new["old_shown"][part])) for part in ends]
        cells = [
            f"{of['newcomers']:,}",
            f"{of['days']}",
            f"{shown:,}",
            f"{used:,}",
            ", ".join(rates),
            ", ".join(others),
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
