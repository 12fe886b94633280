"""The main finding of an evaluation: what leads, by how much, and whether that is clear."""

from __future__ import annotations

from dataclasses import dataclass

from firstday.evaluate.intervals import Interval
from firstday.evaluate.plots import by_precision
from firstday.evaluate.results import BASELINE, REFERENCE, Results, Row


@dataclass(frozen=True)
class Finding:
    """The main finding, in figures.

    Parameters
    ----------
    leader
        `segment`, or the best strategy where that was not evaluated.
    other
        `popular`, or the next best to compare with; None where there is one strategy only.
    gain
        Relative gain in %; None without a comparison or where the other has no hit at all.
    difference
        Leader minus other in points, user by user; None where it was not measured.
    best
        A strategy with more precision than the leader, the best of them; None where there is none.
    """

    leader: Row
    other: Row | None
    gain: float | None
    difference: Interval | None
    best: Row | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the difference lies on one side of zero."""
        return self.difference is not None and (self.difference.low > 0 or self.difference.high < 0)


def find_main(results: Results) -> Finding:
    """Compare `segment` with `popular`, or the nearest thing to it that was evaluated."""
    rows = by_precision(results)
    by_name = {row.strategy: row for row in rows}
    leader = by_name.get(REFERENCE, rows[0])
    others = [row for row in rows if row is not leader]
    other = by_name.get(BASELINE) if leader.strategy != BASELINE else None
    if other is None and others:
        other = others[0]
    gain = difference = None
    if other is not None:
        ours, theirs = leader.metrics["precision"].mean, other.metrics["precision"].mean
        gain = 100 * (ours / theirs - 1) if theirs > 0 else None
        if leader.strategy == REFERENCE and other.against_reference is not None:
            back = other.against_reference  # other minus leader
            difference = Interval(-back.mean, -back.high, -back.low)
    best = rows[0] if rows[0].metrics["precision"].mean > leader.metrics["precision"].mean else None
    return Finding(leader, other, gain, difference, best)
