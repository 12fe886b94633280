"""Tables of the leaderboard."""

from __future__ import annotations

from firstday.leaderboard.board import read_published


def leaderboard_sets() -> list[str]:
    """Return what each set is, and by what it was run."""
    lines = [
        "| set | split | seeds | protocol | users, items | warm, cold of a seed | versions | machine |",
        "|" + "---|" * 8,
    ]
    for name, standings in read_published().items():
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
