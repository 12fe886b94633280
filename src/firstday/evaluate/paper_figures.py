"""Table 1 of the paper: what its methods are called here, their figures in %, and ours beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from firstday.evaluate.results import Results, Row
from firstday.metrics import METRICS

Space = Literal["svd", "mf"]


@dataclass(frozen=True)
class PaperFigure:
    """A figure of the table, in %.

    Parameters
    ----------
    mean
        Over test users.
    deviation
        The paper's "+-"; None where it is not at hand.
    """

    mean: float
    deviation: float | None = None


PaperRow = Mapping[str, PaperFigure]
"""The figures of one method, by metric."""


def _row(*figures: float | tuple[float, float]) -> PaperRow:
    """Put a method's figures under the metrics' names."""
    both = (figure if isinstance(figure, tuple) else (figure, None) for figure in figures)
    return {metric: PaperFigure(*pair) for metric, pair in zip(METRICS, both, strict=True)}


_POPULARITY = _row((8.92, 0.21), (3.01, 0.08), (9.72, 0.20))
TITLES: Mapping[str, str] = {
    "popular": "Popularity",
    "day_one": "Registration Day Streams",
    "input_clusters": "Input Features Clustering",
    "dropoutnet_personal": "DropoutNet, full",
    "dropoutnet_segment": "DropoutNet, semi",
    "melu_personal": "MeLU, full",
    "melu_segment": "MeLU, semi",
    "personal": "Deezer, full-personalised",
    "segment": "Deezer, semi-personalised",
}
"""The paper's names of strategies, in the order of its table."""
TABLE: Mapping[Space, Mapping[str, PaperRow]] = {
    "svd": {
        "popular": _POPULARITY,
        "day_one": _row((9.30, 0.22), (3.48, 0.06), (9.73, 0.23)),
        "input_clusters": _row((8.84, 0.22), (2.97, 0.08), (9.75, 0.23)),
        "dropoutnet_personal": _row(10.04, 3.75, 10.46),
        "dropoutnet_segment": _row(20.85, 7.55, 22.61),
        "melu_personal": _row(15.00, 5.12, 16.79),
        "melu_segment": _row(19.66, 6.87, 21.63),
        "personal": _row((9.58, 0.18), (3.53, 0.03), (9.77, 0.17)),
        "segment": _row((22.75, 0.32), (8.26, 0.15), (24.59, 0.30)),
    },
    "mf": {
        "popular": _POPULARITY,
        "day_one": _row((16.88, 0.46), (5.99, 0.11), (17.72, 0.43)),
        "input_clusters": _row((8.85, 0.22), (2.98, 0.08), (9.75, 0.22)),
        "dropoutnet_personal": _row(16.30, 5.77, 17.62),
        "dropoutnet_segment": _row(19.83, 6.93, 21.55),
        "melu_personal": _row(13.92, 4.71, 15.49),
        "melu_segment": _row(19.35, 6.71, 21.33),
        "personal": _row((18.50, 0.43), (6.63, 0.10), (20.22, 0.41)),
        "segment": _row((19.00, 0.42), (6.93, 0.10), (20.38, 0.45)),
    },
}
"""Figures by space and strategy: PAPER, Table 1."""
LEARNED_BASELINES = ("dropoutnet_personal", "dropoutnet_segment", "melu_personal", "melu_segment")
"""The learned baselines, which take minutes to train."""


@dataclass(frozen=True)
class Comparison:
    """One strategy's figures beside the paper's.

    Parameters
    ----------
    row
        Ours.
    title
        What the paper calls it; the strategy's name where the paper has it not.
    paper
        The paper's figures by metric; None where it has none.
    """

    row: Row
    title: str
    paper: PaperRow | None

    def difference(self, metric: str) -> float | None:
        """Return our figure minus the paper's, in points; None where the paper has none."""
        return None if self.paper is None else self.row.metrics[metric].mean - self.paper[metric].mean


def compare_with_paper(results: Results, space: Space) -> tuple[Comparison, ...]:
    """Put the paper's figures beside ours, in the order of its table; strategies that it has not come last."""
    order = list(TITLES)
    rows = sorted(results.rows, key=lambda row: order.index(row.strategy) if row.strategy in order else len(order))
    return tuple(
        Comparison(row, TITLES.get(row.strategy, row.strategy), TABLE[space].get(row.strategy)) for row in rows
    )
