"""Tables of the simulated service with arriving users: hits and regret by policy and by cohort, and new items."""

from __future__ import annotations

from typing import Any

from table_makers.measured import interval, read_results

KINDS = {
    "still": "standing tastes",
    "service": "2 % of scenes change a day",
    "drifting": "10 % change a day",
}
ORACLE = "oracle"
N_ENDS = 3
"""First and last days that are told apart."""
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
    lines = [
        f"| newcomers a day | days | new items shown | used | share used, first and last {N_ENDS} days "
        "| of other items | best tenth: used by anyone | best tenth: known as such "
        "| hits beside `explore` | hits beside `blend` |",
        "|---" * 10 + "|",
    ]
    for kind in OF_NEW:
        of = {**found["settings"], **found[kind]}
        new = of["new_items"]
        shown, used = sum(new["shown"]), sum(new["used"])
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


def gains() -> list[str]:
    """Return what `explore` gains on the first day by counting new items, for users who registered early and late."""
    found = read_results("arrivals")
    days = len(found["longer"]["cohorts"])
    lines = ["| registered on day | 100 newcomers a day, 10 days | 500, 10 days | 500, 20 days |", "|---|---|---|---|"]
    for day in (0, 4, 9, 14, days - 1):
        cells = [f"{day + 1}"]
        for kind in OF_NEW:
            cohorts_of = found[kind]["cohorts"]
            cells.append(_write(cohorts_of[day]["gain_of_new"], "+.3f") if day < len(cohorts_of) else "-")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _compare(of: dict[str, Any], against: str) -> str:
    difference = of["hits_compared"].get(f"explore+new - {against}")
    return "-" if difference is None else _write(difference, "+.2f")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.1f} %"


def _write(value: list[float], form: str = ".2f") -> str:
    return f"{value[0]:{form}} {interval(value[1:], form)}"
