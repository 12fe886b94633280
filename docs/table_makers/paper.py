"""Tables of the paper's table: time, memory and figures by size."""

from __future__ import annotations

from typing import Any

from table_makers.measured import make_table, read_results


def paper_scale() -> list[str]:
    """Return time and memory of the paper's table by size of the data."""
    columns = ("users", "songs", "simulate", "svd", "svd with DropoutNet and MeLU", "mf")
    rows = []
    for scale in read_results("paper-scale")["scales"]:
        costs = [scale[part] for part in ("simulate", "svd", "svd_with_peers", "mf")]
        cells = [f"{cost['seconds']:,.0f} s, {cost['peak_gib']:.1f} GiB" for cost in costs]
        rows.append([f"{scale['users']:,}", f"{scale['songs']:,}", *cells])
    return make_table(columns, rows)


def paper_stages() -> list[str]:
    """Return the time of each stage at the released size, and that of the authors."""
    results = read_results("paper-scale")
    full = _released_size(results)["svd"]
    stages = full["stages"]
    authors_s = results["authors_seconds"]
    lists = {name: row["ms_per_user"] * full["n_cold"] / 1000 for name, row in full["figures"].items()}
    pairs = (
        ("data", "data: the authors generate it, we read files", stages["reading"]),
        ("training", "training", stages["cold model"]),
        ("full evaluation", "lists, full-personalised", lists["personal"]),
        ("clustering", "segments", stages["segments"]),
        ("semi evaluation", "lists, semi-personalised", lists["segment"]),
    )
    rows = []
    for name, title, seconds in pairs:
        rows.append([title, f"{authors_s[name]:,}", f"{seconds:,.2f}", _ratio(authors_s[name], seconds)])
    authors_total = sum(authors_s.values())
    total = sum(seconds for _, _, seconds in pairs)
    rows.append(["all of these", f"{authors_total:,}", f"{total:,.1f}", _ratio(authors_total, total)])
    whole = (
        f"the whole command: also clusters of inputs ({stages['input clusters']:.1f} s), three more strategies and "
        "loading libraries"
    )
    rows.append([whole, "-", f"{full['seconds']:,.1f}", "-"])
    return make_table(("stage", "authors, s", "ours, s", "ratio"), rows)


def paper_figures() -> list[str]:
    """Return P@50 at the released size, and in brackets the paper's."""
    full = _released_size(read_results("paper-scale"))
    svd = full["svd_with_peers"]["figures"]
    mf = full["mf"]["figures"]
    rows = []
    for strategy, row in svd.items():
        cells = [_precision(space[strategy]) if strategy in space else "-" for space in (svd, mf)]
        rows.append([row["title"], f"`{strategy}`", *cells])
    return make_table(("method", "strategy", "svd", "mf"), rows)


def _released_size(results: dict[str, Any]) -> dict[str, Any]:
    """Return the results at the size of the released data."""
    (scale,) = (scale for scale in results["scales"] if scale["users"] == 100_000)
    return dict(scale)


def _ratio(authors_s: float, ours_s: float) -> str:
    """Write how many times faster ours is, or how many times slower."""
    ratio = authors_s / ours_s
    return f"{ratio:,.0f} x faster" if ratio >= 1 else f"{1 / ratio:,.0f} x slower"


def _precision(figures: dict[str, Any]) -> str:
    return f"{figures['precision']:.2f} ± {figures['precision_deviation']:.2f} ({figures['paper']['precision']:.2f})"
