"""Tables of replay: policies that users meet in rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from table_makers.measured import NotMeasuredError, interval, read_results

WAYS = {
    "": "the whole slate is seen",
    "-visible-3": "3 places are seen, then the user goes on with 0.8; the policy knows the places alone",
    "-places": "the whole slate is seen, the policy knows the places alone",
    "-late": "the whole slate is seen, news a round late",
}
"""What stands at the end of a file's name, and how users look."""


def replay(dataset: str) -> list[str]:
    """Return a row for each policy: hits in all and beside the paper's list, in the first and in the last round."""
    content = read_results(f"replay-{dataset}")
    rounds, known = content["rounds"], list(content["results"][0]["by_known"])
    counts = {name: content["results"][0]["by_known"][name]["n_users"] for name in known}
    of_classes = " | ".join(f"{name} ({counts[name]:,})" for name in known)
    lines = [
        f"| policy | used in {rounds} rounds | / `{content['against']}` | round 1 | round {rounds} | {of_classes} |",
        "|---|---|---|---|---|" + "---|" * len(known),
    ]
    for row in content["results"]:
        hits, ratio = (
            f"{row[name]:.{d}f} {interval(row[f'{name}_ci'], f'.{d}f')}" for name, d in (("hits", 1), ("ratio", 2))
        )
        by_known = " | ".join(f"{row['by_known'][name]['hits']:.1f}" for name in known)
        by_round = row["hits_by_round"]
        lines.append(f"| `{row['policy']}` | {hits} | {ratio} | {by_round[0]:.2f} | {by_round[-1]:.2f} | {by_known} |")
    return lines


def replay_ways(*datasets: str) -> list[str]:
    """Return the ratios to the paper's list under other ways of looking, a row for each policy."""
    columns: dict[str, Mapping[str, Any]] = {}
    for dataset in datasets:
        for suffix, way in WAYS.items():
            try:
                content = read_results(f"replay-{dataset}{suffix}")
            except NotMeasuredError:
                continue
            columns[f"{content['dataset']}: {way}"] = {row["policy"]: row for row in content["results"]}
    if not columns:
        raise NotMeasuredError
    policies = list(next(iter(columns.values())))
    lines = [f"| policy | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for policy in policies:
        cells = [
            f"{rows[policy]['ratio']:.2f} {interval(rows[policy]['ratio_ci'], '.2f')}" if policy in rows else ""
            for rows in columns.values()
        ]
        lines.append(f"| `{policy}` | {' | '.join(cells)} |")
    return lines
