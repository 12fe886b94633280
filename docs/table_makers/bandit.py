"""Tables of replay: policies that users meet in rounds."""

from __future__ import annotations

from typing import Any

from table_makers.measured import estimate, make_table, read_results


def replay(dataset: str) -> list[str]:
    """Return a row for each policy: hits in total and relative to the paper's list, in the first and last round."""
    content = read_results(f"replay-{dataset}")
    rounds = content["rounds"]
    classes = content["results"][0]["by_known"]
    columns = ["policy", f"used in {rounds} rounds", f"ratio to `{content['against']}`", "round 1", f"round {rounds}"]
    columns += [f"{known} ({users['n_users']:,})" for known, users in classes.items()]
    rows = []
    for row in content["results"]:
        by_round = row["hits_by_round"]
        cells = [f"`{row['policy']}`", estimate(row["hits"], row["hits_ci"]), _ratio(row)]
        cells += [f"{hits:.2f}" for hits in (by_round[0], by_round[-1])]
        cells += [f"{row['by_known'][known]['hits']:.1f}" for known in classes]
        rows.append(cells)
    return make_table(columns, rows)


def replay_options(*names: str) -> list[str]:
    """Return the ratios to the paper's list in replays with other options, a row for each policy."""
    ratios = {}
    for name in names:
        content = read_results(f"replay-{name}")
        options = "".join(f" `--{option} {content[option]}`" for option in ("visible", "delay") if content[option])
        ratios[content["dataset"] + options] = {row["policy"]: _ratio(row) for row in content["results"]}
    policies = next(iter(ratios.values()))
    rows = [[f"`{policy}`", *(ratio[policy] for ratio in ratios.values())] for policy in policies]
    return make_table(("policy", *ratios), rows)


def _ratio(row: dict[str, Any]) -> str:
    return estimate(row["ratio"], row["ratio_ci"], ".2f")
