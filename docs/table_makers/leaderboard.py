"""Tables of the leaderboard."""

from __future__ import annotations

from firstday.leaderboard.board import read_published
from table_makers.measured import make_table


def leaderboard_sets() -> list[str]:
    """Return how each set is split."""
    columns = ("dataset", "split", "seeds", "protocol", "users", "items", "warm, per seed", "cold, per seed")
    rows = []
    for name, standings in read_published().items():
        counts = (standings.n_users, standings.n_items, standings.n_warm, standings.n_cold)
        cells = [f"`{name}`", f"`{standings.split[:12]}`", str(len(standings.seeds)), f"`{standings.protocol}`"]
        rows.append([*cells, *(f"{count:,}" for count in counts)])
    return make_table(columns, rows)
