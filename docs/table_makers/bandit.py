"""Tables of replay: policies that users meet in rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from table_makers.measured import interval, read_results


def replay(dataset: str) -> list[str]:
    """Return a row for each policy: hits in total and relative to the paper's list, in the first and last round."""
    content = read_results(f"replay-{dataset}")
    rounds = content["rounds"]
    known = list(content["results"][0]["by_known"])
    counts = {name: content["results"][0]["by_known"][name]["n_users"] for name in known}
    of_classes = " | ".join(f"{name} ({counts[name]:,})" for name in known)
    lines = [
        f"| policy | used in {rounds} rounds | ratio to `{content['against']}` | round 1 | round {rounds} "
        f"| {of_classes} |",
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


def replay_ways(*names: str) -> list[str]:
    """Return the ratios to the paper's list in replays with other options, a row for each policy."""
    columns: dict[str, Mapping[str, Any]] = {}
    for name in names:
        content = read_results(f"replay-{name}")
        options = "".join(f" `--{option} {content[option]}`" for option in ("visible", "delay") if content[option])
        columns[content["dataset"] + options] = {row["policy"]: row for row in content["results"]}
    policies = list(next(iter(columns.values())))
    lines = [f"| policy | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for policy in policies:
        cells = [
            f"{rows[policy]['ratio']:.2f} {interval(rows[policy]['ratio_ci'], '.2f')}" if policy in rows else ""
            for rows in columns.values()
        ]
        lines.append(f"| `{policy}` | {' | '.join(cells)} |")
    return lines
