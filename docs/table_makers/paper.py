"""Tables of the paper's table: time, memory and figures by size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firstday.lab.reproduce.deezer_kdd21 import Space
from firstday.lab.reproduce.paper_figures import TABLE
from firstday.lab.reproduce.released_code import DEPARTURES
from table_makers.measured import estimate, make_table, read_results

KEYS: Mapping[Space, str] = {"svd": "svd_with_peers", "mf": "mf"}
"""Key of the figures of each space in paper-scale.json."""


def paper_figures() -> list[str]:
    """Return P@50 of the paper, of its authors' code and here, at the released size."""
    full = _released_size(read_results("paper-scale"))
    measured = read_results("paper-departures")
    rows = []
    for strategy, row in full["svd_with_peers"]["figures"].items():
        cells: list[str] = []
        for space, key in KEYS.items():
            runs = measured[space]
            here = runs.get("here", full[key]["figures"]).get(strategy, full[key]["figures"].get(strategy))
            sources = (TABLE[space][strategy], runs.get("code", {}).get(strategy), here)
            cells += map(_precision, sources)
        rows.append([row["title"], f"`{strategy}`", *cells])
    columns = [f"{space}: {source}" for space in KEYS for source in ("paper", "code", "here")]
    return make_table(("method", "strategy", *columns), rows)


def paper_departures() -> list[str]:
    """Return what the authors' code does, what the default does, and why."""
    rows = [[f"`{name}`", row["code"], row["here"], row["reason"]] for name, row in DEPARTURES.items()]
    return make_table(("`--like-code`", "the authors' code", "here", "because"), rows)


def paper_effects(metric: str) -> list[str]:
    """Return the change of a metric by each departure, and by all, where it was measured."""
    measured = read_results("paper-departures")
    spaces = [space for space in KEYS if measured[space]]
    columns = [(space, strategy) for space in spaces for strategy in ("personal", "segment", "day_one")]
    rows = []
    for name in (*DEPARTURES, "code"):
        found = [measured[space].get(name, {}).get(strategy) for space, strategy in columns]
        cells = [_change(figures, metric) for figures in found]
        rows.append(["`--as-published`" if name == "code" else f"`{name}`", *cells])
    default = [f"{measured[space]['here'][strategy][metric]:.2f}" for space, strategy in columns]
    headings = [f"{space}: `{strategy}`" for space, strategy in columns]
    return make_table(("like the code", *headings), [["nothing", *default], *rows])


def _released_size(results: dict[str, Any]) -> dict[str, Any]:
    """Return the results at the size of the released data."""
    (scale,) = (scale for scale in results["scales"] if scale["users"] == 100_000)
    return dict(scale)


def _precision(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "-"
    deviation = figures["precision_deviation"]
    return f"{figures['precision']:.2f}" + (f" ± {deviation:.2f}" if deviation else "")


def _change(figures: dict[str, Any] | None, metric: str) -> str:
    if figures is None:
        return "-"
    change, ends = figures[f"{metric}_minus_here"], figures[f"{metric}_minus_here_ci"]
    return estimate(change, ends, "+.2f") if any((change, *ends)) else "0"
