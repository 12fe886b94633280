"""Sample ratio check; on a mismatch no other figure of an experiment can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firstday.errors import ConfigError, needs_extra

UNLIKELY = 0.05
"""Below this p-value the summary states the probability itself."""


@dataclass(frozen=True)
class SampleRatio:
    """Actual and intended users per variant.

    Parameters
    ----------
    counts
        Users per variant.
    weights
        Intended shares, in any unit.
    p_value
        Probability that a correct assignment deviates at least as much.
    least_p
        Threshold of `p_value` below which the assignment is broken.
    """

    counts: Mapping[str, int]
    weights: Mapping[str, float]
    p_value: float
    least_p: float

    @property
    def is_broken(self) -> bool:
        """Whether there is a sample ratio mismatch."""
        return self.p_value < self.least_p

    def sentence(self) -> str:
        """Summarise the check in one sentence."""
        n, total = sum(self.counts.values()), sum(self.weights.values())
        parts = ", ".join(
            f"{name} {count:,} ({100 * count / n:.1f} %, asked for {100 * self.weights[name] / total:.1f} %)"
            for name, count in self.counts.items()
        )
        if self.p_value < UNLIKELY:
            return f"{parts}; a working assignment is so far off with the probability {self.p_value:.2g}"
        times = f"{100 * self.p_value:.0f} times in 100"
        return f"{parts}; chance alone gives a split at least this uneven {times}: nothing is wrong"


def check_sample_ratio(counts: Mapping[str, int], weights: Mapping[str, float], least_p: float) -> SampleRatio:
    """Test the users per variant against the intended shares, by Pearson's chi-squared test.

    A variant that lost all of its users has a count of 0. `weights` can have any unit; below the p-value `least_p` the
    assignment is broken.

    Raises
    ------
    ConfigError
        The weights are not those of the variants, or not above 0.

    References
    ----------
    A. Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019.
    """
    if counts.keys() != weights.keys():
        raise ConfigError(
            f"weights: are of {', '.join(sorted(weights))}, but users are in {', '.join(sorted(counts))}; "
            "give one weight for each of these."
        )
    for name, weight in weights.items():
        if not 0 < weight < np.inf:
            raise ConfigError(f"weights: {name} has {weight:g}; give numbers above 0.")
    with needs_extra("an experiment's report", "experiment"):
        from scipy.stats import chisquare
    n_users = np.array([counts[name] for name in counts], dtype=np.float64)
    wanted = np.array([weights[name] for name in counts], dtype=np.float64)
    p_value = float(chisquare(n_users, n_users.sum() * wanted / wanted.sum()).pvalue)
    return SampleRatio(dict(counts), dict(weights), p_value, least_p)
