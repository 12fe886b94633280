"""Tables of the paper's table: time, memory and figures by size."""

from __future__ import annotations

from typing import Any

from table_makers.measured import NotMeasuredError, read_results


def paper_scale() -> list[str]:
    """Return time and memory of the paper's table by size of the data."""
    lines = [
        "| users | songs | simulate | svd | svd with DropoutNet and MeLU | mf |",
        "|---|---|---|---|---|---|",
    ]
    for row in read_results("paper-scale")["scales"]:
        took = [row.get(part) for part in ("simulate", "svd", "svd_with_peers", "mf")]
        cells = [f"{part['seconds']:,.0f} s, {part['peak_gib']:.1f} GiB" if part else "-" for part in took]
        lines.append(f"| {row['users']:,} | {row['songs']:,} | {' | '.join(cells)} |")
    return lines


def paper_stages() -> list[str]:
    """Return the time of each stage at the full size beside the authors'."""
    results = read_results("paper-scale")
    full = _released_size(results)["svd"]
    stages = full["stages"]
    authors = results["authors_seconds"]
    lists = {name: row["ms_per_user"] * full["n_cold"] / 1000 for name, row in full["figures"].items()}
    pairs = (
        ("data", "data: the authors generate it, we read files", stages["reading"]),
        ("training", "training", stages["cold model"]),
        ("full evaluation", "lists, full-personalised", lists["personal"]),
        ("clustering", "segments", stages["segments"]),
        ("semi evaluation", "lists, semi-personalised", lists["segment"]),
    )
    lines = ["| stage | authors, s | ours, s | ratio |", "|---|---|---|---|"]
    for name, title, seconds in pairs:
        lines.append(f"| {title} | {authors[name]:,} | {seconds:,.2f} | {_ratio(authors[name], seconds)} |")
    all_authors = sum(authors.values())
    all_ours = sum(seconds for _, _, seconds in pairs)
    lines.append(f"| all of these | {all_authors:,} | {all_ours:,.1f} | {_ratio(all_authors, all_ours)} |")
    lines.append(
        f"| the whole command: also clusters of inputs ({stages['input clusters']:.1f} s), three more strategies and "
        f"loading libraries | - | {full['seconds']:,.1f} | - |"
    )
    return lines


def _released_size(results: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured at the size of the released data."""
    rows: list[dict[str, Any]] = [row for row in results["scales"] if row["users"] == 100_000]
    if not rows:
        raise NotMeasuredError
    return rows[0]


def _ratio(authors_s: float, ours_s: float) -> str:
    """Say how many times faster ours is, or how many times slower."""
    ratio = authors_s / ours_s
    return f"{ratio:,.0f} x faster" if ratio >= 1 else f"{1 / ratio:,.0f} x slower"


def paper_figures() -> list[str]:
    """Return P@50 at the full size beside the paper's."""
    full = _released_size(read_results("paper-scale"))
    svd = full["svd_with_peers"]["figures"]
    mf = full["mf"]["figures"]
    lines = ["| method | strategy | svd | mf |", "|---|---|---|---|"]
    for strategy, row in svd.items():
        cells = [
            f"{figures['precision']:.2f} ± {figures['precision_deviation']:.2f} ({figures['paper']['precision']:.2f})"
            if figures
            else "-"
            for figures in (row, mf.get(strategy))
        ]
        lines.append(f"| {row['title']} | `{strategy}` | {' | '.join(cells)} |")
    return lines
