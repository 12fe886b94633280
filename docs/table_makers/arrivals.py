"""Tables of the simulated service with arriving users: hits and regret by policy, and new items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from table_makers.measured import estimate, make_table, read_results

DRIFTS = {
    "still": "constant tastes",
    "service": "2 % of scenes replaced per day",
    "drifting": "10 % per day",
}
"""Services by speed of drift."""
N_DAYS = 3
"""Number of first and of last days to compare."""
WITH_NEW_ITEMS = ("service", "larger")


def policies() -> list[str]:
    """Return the regret of a user over ten days by policy, for each speed of drift, and the hits of the oracle."""
    services = [read_results("arrivals")[service] for service in DRIFTS]
    rows = []
    for policy in services[0]["regret"]:
        if policy != "oracle":
            rows.append([f"`{policy}`", *(_estimate(of["regret"][policy], ".2f") for of in services)])
    hits = [f"{of['hits']['oracle'][0]:.2f}" for of in services]
    return make_table(("policy", *DRIFTS.values()), [*rows, ["hits of the oracle", *hits]])


def new_items() -> list[str]:
    """Return what exploring finds of new items, and what it costs, in smaller and larger services."""
    columns = (
        "newcomers per day",
        "impressions of new items",
        "uses",
        f"use rate, first and last {N_DAYS} days",
        "other items",
        "best tenth: used",
        "best tenth: identified",
        "uses per user, minus `explore`",
        "minus `blend`",
    )
    results = read_results("arrivals")
    rows = []
    for name in WITH_NEW_ITEMS:
        service = {**results["settings"], **results[name]}
        new = service["new_items"]
        rows.append(
            (
                f"{service['newcomers']:,}",
                f"{sum(new['shown']):,}",
                f"{sum(new['used']):,}",
                _rates(new["used"], new["shown"]),
                _rates(new["old_used"], new["old_shown"]),
                _share(new["best_used"], new["best"]),
                _share(new["best_found"], new["best"]),
                _difference(service, "explore"),
                _difference(service, "blend"),
            )
        )
    return make_table(columns, rows)


def hidden_items() -> list[str]:
    """Return what places of hidden items are worth, given back as new or known, by dataset and strategy."""
    columns = (
        "dataset",
        "strategy",
        "places per list",
        "used, %",
        "random new items, %",
        "counted: used before, after, %",
        "known: places",
        "used, %",
        "uses per list: without, with",
    )
    rows = []
    for dataset, found in read_results("new-items").items():
        for strategy in ("auto", "segment"):
            new, known = found[f"{strategy} new"], found[f"{strategy} warm"]
            before = found[f"{strategy} without"]
            rows.append(
                (
                    dataset,
                    f"`{strategy}`",
                    f"{new['places']:.2f}",
                    _estimate(new["used"], ".1f"),
                    f"{new['used_if_random'][0]:.1f}",
                    f"{found[f'{strategy} before']['used'][0]:.1f}, {found[f'{strategy} told']['used'][0]:.1f}",
                    f"{known['places']:.2f}",
                    f"{known['used'][0]:.1f}",
                    f"{before['all_used']:.2f}, {new['all_used']:.2f}",
                )
            )
    return make_table(columns, rows)


def _rates(used: Sequence[int], shown: Sequence[int]) -> str:
    """Write the use rates of the first and the last days."""
    first = _share(sum(used[:N_DAYS]), sum(shown[:N_DAYS]))
    last = _share(sum(used[-N_DAYS:]), sum(shown[-N_DAYS:]))
    return f"{first}, {last}"


def _difference(service: dict[str, Any], policy: str) -> str:
    """Write the uses per user of `explore+new` minus those of a policy; `-` if it was not run."""
    difference = service["hits_compared"].get(f"explore+new - {policy}")
    return "-" if difference is None else _estimate(difference, "+.2f")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _estimate(values: Sequence[float], form: str) -> str:
    mean, *ends = values
    return estimate(mean, ends, form)
