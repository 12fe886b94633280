"""Tables of the leaderboard."""

from __future__ import annotations

from firstday.leaderboard.board import Standings, read_published, write_multiple
from table_makers.measured import NotMeasuredError, interval


def _read(name: str) -> Standings:
    """Return the standings of a set."""
    standings = read_published().sets.get(name)
    if standings is None:
        raise NotMeasuredError
    return standings


def leaderboard(name: str) -> list[str]:
    """Return every method on a set, best first."""
    standings = _read(name)
    head = [f"P@{standings.k}, % [95 % interval]", "minus `segment`", "R", "NDCG", *standings.sizes]
    head += ["own list, %", "fit / `segment`"]
    lines = [f"| method | {' | '.join(head)} |", "|" + "---|" * (len(head) + 1)]
    for row in standings.best_first:
        ends = row.minus_segment_ci
        cells = [
            f"{row.precision:.1f} {interval(list(row.precision_ci))}",
            ""
            if row.minus_segment is None or ends is None
            else f"{row.minus_segment:+.1f} {interval(list(ends), '+.1f')}",
            *(f"{value:.1f}" for value in (row.recall, row.ndcg)),
            *(f"{row.by_day_one_size[size] or 0:.1f}" for size in standings.sizes),
            f"{row.user_coverage:.1f}",
            write_multiple(standings.compare_times(row)[0]),
        ]
        kind = "" if row.kind == "firstday" else f" ({row.kind})"
        lines.append(f"| `{row.strategy}`{kind} | {' | '.join(cells)} |")
    return lines


def leaderboard_sets() -> list[str]:
    """Return what each set is, and by what it was run."""
    lines = [
        "| set | split | seeds | protocol | users, items | warm, cold of a seed | versions | machine |",
        "|" + "---|" * 8,
    ]
    for name, standings in read_published().sets.items():
        run = standings.runs[0]
        versions = ", ".join(f"{of} {version}" for of, version in run.versions.items() if of != "settings")
        cells = [
            f"`{name}`",
            f"`{standings.split[:12]}`",
            str(len(standings.seeds)),
            f"`{standings.protocol}`",
            f"{standings.n_users:,}, {standings.n_items:,}",
            f"{standings.n_warm:,}, {standings.n_cold:,}",
            versions,
            run.machine,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
