"""Results of a replay: hits of each policy, as JSON, table and plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from firstday.display import readable
from firstday.evaluation.plots import draw, draw_lines
from firstday.evaluation.results import with_ends
from firstday.evaluation.text_table import Table, write_cell
from firstday.metrics import Interval, bootstrap_means, bootstrap_ratios


@dataclass(frozen=True)
class ReplaySettings:
    """How a policy interacts with users: `rounds` slates of `slate` items.

    The user certainly sees the top `visible` positions, and after each further one also sees the next with probability
    `persistence` (a cascade with abandonment). The policy knows only positions, and assumes `signals.persistence`. If
    `visible` is None, the user sees all positions, and the policy knows it. Feedback arrives `delay` rounds late; until
    then, used items look passed over.
    """

    rounds: int = 10
    slate: int = 12
    visible: int | None = None
    persistence: float = 0.8
    delay: int = 0


@readable
@dataclass(frozen=True)
class ReplayResults:
    """Hits of each policy's slates; `n_users` counts a user once per seed.

    `rows` are JSON values, one per policy, most hits first: mean hits per user, by round and in total, and their ratio
    to those of the policy `against`, paired by user.
    """

    dataset: str
    settings: ReplaySettings
    seeds: tuple[int, ...]
    n_users: int
    against: str
    rows: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        return {
            "dataset": self.dataset,
            **asdict(self.settings),
            "seeds": list(self.seeds),
            "n_users": self.n_users,
            "against": self.against,
            "results": self.rows,
        }

    def tabulate(self) -> Table:
        """Tabulate the policies."""
        rows = []
        for row in self.rows:
            hits_by_round = row["hits_by_round"]
            cells = {
                "policy": row["policy"],
                "total": write_cell("{:.1f}".format, row["hits"], *row["hits_ci"]),
                f"/ {self.against}": write_cell("{:.2f}".format, row["ratio"], *row["ratio_ci"]),
                "round 1": f"{hits_by_round[0]:.2f}",
                "last round": f"{hits_by_round[-1]:.2f}",
            }
            rows.append(cells)
        return Table(f"{self.dataset}: items used among those shown, mean per user", rows, self.against)

    def plot(self) -> str:
        """Draw the hits of each round, one line per policy, with 95 % intervals, as SVG."""
        lines = {}
        for row in self.rows:
            rounds = zip(row["hits_by_round"], row["hits_by_round_ci"], strict=True)
            lines[row["policy"]] = [Interval(mean, *ends) for mean, ends in rounds]

        def paint(axes: Any) -> None:
            draw_lines(axes, lines, range(1, self.settings.rounds + 1), self.against)
            axes.set_xlabel("round")
            axes.set_ylabel(f"items used of {self.settings.slate} shown")

        return draw("replay", 3.8, paint)


def describe_hits(hits: Mapping[str, np.ndarray], users: np.ndarray, against: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of `ReplayResults`; `hits` are by policy, users and rounds, shape (n, rounds)."""
    totals = {name: rounds.sum(axis=1) for name, rounds in hits.items()}
    for name in sorted(hits, key=lambda name: -hits[name].sum()):
        rounds = [with_ends("hits", mean) for mean in bootstrap_means(hits[name], users)]
        ratio = Interval(1.0, 1.0, 1.0)
        if totals[against].any():
            ratio = bootstrap_ratios(totals[name][:, None], totals[against], users)[0]
        yield {
            "policy": name,
            "hits_by_round": [of_round["hits"] for of_round in rounds],
            "hits_by_round_ci": [of_round["hits_ci"] for of_round in rounds],
            **with_ends("hits", bootstrap_means(totals[name][:, None], users)[0]),
            **with_ends("ratio", ratio),
        }
