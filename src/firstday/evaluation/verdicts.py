"""Verdicts: words for the difference of two strategies, corrected for the number of comparisons."""

from __future__ import annotations

import numpy as np

from firstday.metrics import LEVEL, adjust_holm

MARGIN = 0.05
"""Loss that counts as not worse, as a fraction of the other strategy's figure."""
AHEAD, BEHIND, NOT_WORSE, UNKNOWN = "ahead", "behind", "not worse", "cannot be told"
MEANING = (
    f"ahead, behind: a difference beyond chance; not worse: not worse by more than {MARGIN:.0%} of the other's figure. "
    "Both are corrected after Holm over all comparisons of the table."
)


def judge(differences: np.ndarray, p_values: np.ndarray, not_worse_p: np.ndarray) -> list[str]:
    """Return the verdict on each of a table's comparisons, each of shape (n,).

    Parameters
    ----------
    differences
        Mean differences of one strategy to another.
    p_values
        Two-sided p-values of no difference.
    not_worse_p
        One-sided p-values of a loss of `MARGIN` of the other's figure.

    References
    ----------
    G. Piaggio et al., "Reporting of Noninferiority and Equivalence Randomized Trials", JAMA, 2012.
    """
    is_clear = adjust_holm(p_values) <= 1 - LEVEL
    is_not_worse = adjust_holm(not_worse_p) <= (1 - LEVEL) / 2
    cases = [is_clear & (differences > 0), is_clear & (differences < 0), is_not_worse]
    return np.select(cases, [AHEAD, BEHIND, NOT_WORSE], UNKNOWN).tolist()
