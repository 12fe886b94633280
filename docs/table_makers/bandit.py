"""Table of replay: policies that users meet in rounds."""

from __future__ import annotations

from typing import Any

from table_makers.measured import estimate, make_table, read_results


def replay(*names: str) -> list[str]:
    """Return the ratios to the paper's list in replays, a row for each policy but `auto`, and the paper's uses."""
    ratios: dict[str, dict[str, str]] = {}
    uses = []
    for name in names:
        content = read_results(f"replay-{name}")
        options = "".join(f" `--{option} {content[option]}`" for option in ("visible", "delay") if content[option])
        against = content["against"]
        ratios[content["dataset"] + options] = {row["policy"]: _ratio(row) for row in content["results"]}
        uses += [f"{row['hits']:.1f}" for row in content["results"] if row["policy"] == against]
    policies = [policy for policy in next(iter(ratios.values())) if policy not in (against, "auto")]
    rows = [[f"`{policy}`", *(ratio[policy] for ratio in ratios.values())] for policy in policies]
    return make_table(("policy", *ratios), [*rows, [f"uses per user, `{against}`", *uses]])


def _ratio(row: dict[str, Any]) -> str:
    return estimate(row["ratio"], row["ratio_ci"], ".2f")
