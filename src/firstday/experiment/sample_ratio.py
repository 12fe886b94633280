"""Sample ratio check; on a mismatch no other figure of an experiment can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firstday.errors import ConfigError, needs_extra


@dataclass(frozen=True)
class SampleRatio:
    """Actual users and intended shares per variant, with the names of the JSON.

    `p_value` is the probability that a correct assignment deviates at least as much.
    """

    users: Mapping[str, int]
    weights: Mapping[str, float]
    p_value: float
    broken: bool

    def sentence(self) -> str:
        """Summarise the check."""
        n = sum(self.users.values())
        total = sum(self.weights.values())
        parts = (
            f"{name} {count:,} ({count / n:.1%}, expected {self.weights[name] / total:.1%})"
            for name, count in self.users.items()
        )
        return f"{', '.join(parts)}; p = {self.p_value:.2g}"


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
    if counts.keys() != weights.keys() or not all(0 < weight < np.inf for weight in weights.values()):
        found = ", ".join(f"{name}={weight:g}" for name, weight in weights.items())
        raise ConfigError(f"weights: found {found}; give a number above 0 for each of {', '.join(counts)}.")
    with needs_extra("an experiment's analysis", "experiment"):
        from scipy.stats import chisquare
    users, expected = np.array([(count, weights[name]) for name, count in counts.items()], dtype=np.float64).T
    p_value = float(chisquare(users, users.sum() * expected / expected.sum()).pvalue)
    return SampleRatio(counts, weights, p_value, p_value < least_p)
