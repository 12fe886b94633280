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
    """Say how long segments, training and lists take at the released size, here and for the authors."""
    results = read_results("paper-scale")
    full = _released_size(results)["svd"]
    stages = full["stages"]
    lists_s = sum(full["figures"][name]["ms_per_user"] * full["n_cold"] / 1000 for name in ("personal", "segment"))
    ours_s = stages["segments"] + stages["cold model"] + lists_s
    authors_s = results["authors_seconds"]
    authors_total_s = sum(authors_s.values()) - authors_s["data"]
    training_s = authors_s["training"]
    our_training_s = stages["cold model"]
    return [
        "For segments, training and the lists of both systems with TT-SVD, the authors' script states",
        f'{authors_total_s:,} s on "a standard machine", of which {training_s:,} s are for training on a GPU. Here, at',
        f"the released size, they take {ours_s:,.0f} s, of which {our_training_s:,.0f} s are for training on a CPU.",
    ]


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


def _precision(figures: dict[str, Any]) -> str:
    return f"{figures['precision']:.2f} ± {figures['precision_deviation']:.2f} ({figures['paper']['precision']:.2f})"
