"""Off-policy evaluation of lists from logged propensities."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl

from firstday.metrics import Interval

LEAST_WEIGHT = 0.9
"""Minimum mean importance weight. It is 1 if the logging policies could have shown every listed item, else lower."""


@dataclass(frozen=True)
class ListsEstimate:
    """Off-policy estimate for the first positions of some lists.

    Parameters
    ----------
    name
        Name of the lists.
    users
        Number of users with a list and a logged impression, with known propensity, at position 1, from a randomising
        policy.
    places, places_of_lists
        Number of positions the estimate covers, 0 if refused, and length of the longest list.
    matches
        Number of impressions at these positions (at position 1 if refused) that match the list there and at all
        positions above.
    effective_users
        Effective sample size at the last of these positions (position 1 if refused).
    mean_weight
        Mean importance weight at the same position; 1 is expected.
    used_of_lists
        Estimated share of the listed items at these positions that would be used, with an interval over users; None if
        refused.
    used_of_shown
        The same share of the logged impressions (position 1 if refused), for the same users.
    refusal
        Why there is no estimate, or none for deeper positions; None if it covers all positions.
    """

    name: str
    users: int
    places: int
    places_of_lists: int
    matches: int
    effective_users: float
    mean_weight: float
    used_of_lists: Interval | None
    used_of_shown: float
    refusal: str | None

    def sentence(self) -> str:
        """Summarise the estimate, or why there is none."""
        share = self.used_of_lists
        if share is None:
            return f"lists {self.name}: no estimate: {self.refusal}."
        places = f" in the first {self.places} of {self.places_of_lists} places" if self.refusal else ""
        further = f" Of further places nothing is told: {self.refusal}." if self.refusal else ""
        return (
            f"lists {self.name}: {100 * share.mean:.2f} % of what they show{places} would have been used "
            f"({100 * share.low:.2f} to {100 * share.high:.2f}); of what was shown to these users"
            f"{' there' if places else ''}, {100 * self.used_of_shown:.2f} %.{further}"
        )


def estimate_lists(
    name: str, shown: pl.DataFrame, lists: pl.DataFrame, *, least_users: float, level: float
) -> ListsEstimate:
    """Estimate the use of lists by self-normalised inverse propensity weighting, position by position from the top.

    A logged impression counts if the list matches it at this position and at all positions above. Its weight is the
    inverse of the product of their propensities, each conditional on the items above. The estimator assumes that items
    below a position do not affect it, while items above may. Matches get rarer with depth, so that the estimate covers
    only the first positions with enough effective users.

    Parameters
    ----------
    name
        Name of the lists, for messages.
    shown
        Impressions: `user_ix`, `list_id`, `item_ix`, `position` (from 1), `propensity` (above 0), `policy`, `is_used`.
        An impression counts if its position and all positions above are logged exactly once, with propensities; without
        `list_id`, only position 1 counts. If any policy randomises, impressions of deterministic policies (all
        propensities are 1) are left out: they say nothing about other lists.
    lists
        Each user's list: `user_ix`, `item_ix`, `position`.
    least_users
        Minimum effective users per position.
    level
        Confidence level.

    References
    ----------
    J. McInerney et al., "Counterfactual evaluation of slate recommendations with sequential reward interactions", KDD
    2020 (the weights, normalised per position); A. Swaminathan, T. Joachims, "The self-normalized estimator for
    counterfactual learning", NeurIPS 2015. Effective sample size: L. Kish, "Survey sampling", 1965: (sum of
    weights)^2 / sum of squared weights.
    """
    errors = NormalDist().inv_cdf((1 + level) / 2)
    sums = _sum_places(_keep_drawn(shown), lists)
    users = sums["user_ix"].unique().sort()
    influence = np.zeros(len(users))  # influence of each user on the sum over positions
    n_all = used_all = gain_all = 0.0
    n_places, n_matches, refusal, last = 0, 0, None, (0.0, 0.0, float("nan"))
    deepest = lists["position"].max()
    n_places_of_lists = int(deepest) if isinstance(deepest, int) else 0
    for place in range(1, n_places_of_lists + 1):
        here = sums.filter(pl.col("position") == place)
        n, n_used, weight, gain = (here[column].to_numpy() for column in ("n", "n_used", "weight", "gain"))
        total, squares = weight.sum(), (weight**2).sum()
        effective = float(total**2 / squares) if squares > 0 else 0.0
        mean_weight = float(total / n.sum()) if len(n) else 0.0
        if not len(n):
            what = "anything" if place == 1 else f"{place} places"
            refusal = f"no user with such a list was shown {what} with a known position and propensity"
        elif effective < least_users:
            refusal = f"{effective:.0f} effective users tell too little; {least_users:g} are needed"
        elif mean_weight + errors * np.sqrt(((weight - mean_weight * n) ** 2).sum()) / n.sum() < LEAST_WEIGHT:
            refusal = (
                f"what was shown could never have been much of these lists (mean weight {mean_weight:.2f}, where 1 is "
                "expected); let a policy that draws, such as explore, show lists to some users"
            )
        if place == 1 or not refusal:
            n_matches += int(here["n_matches"].sum())
            last = (effective, mean_weight, float(n_used.sum() / n.sum()) if len(n) else float("nan"))
        if refusal:
            break
        share = gain.sum() / total
        influence[users.search_sorted(here["user_ix"]).to_numpy()] += n.sum() * (gain - share * weight) / total
        n_all, used_all, gain_all = n_all + n.sum(), used_all + n_used.sum(), gain_all + n.sum() * share
        n_places = place
    effective, mean_weight, shown_used = last
    interval = None
    if n_places:
        mean, error = float(gain_all / n_all), float(np.sqrt((influence**2).sum()) / n_all)
        interval, shown_used = Interval(mean, mean - errors * error, mean + errors * error), float(used_all / n_all)
    return ListsEstimate(
        name,
        users=len(users),
        places=n_places,
        places_of_lists=n_places_of_lists,
        matches=n_matches,
        effective_users=effective,
        mean_weight=mean_weight,
        used_of_lists=interval,
        used_of_shown=shown_used,
        refusal=refusal,
    )


def _keep_drawn(shown: pl.DataFrame) -> pl.DataFrame:
    """Return the impressions of randomising policies, or all impressions if there are none."""
    drawing = shown.filter((pl.col("propensity") > 0) & (pl.col("propensity") < 1))["policy"].unique()
    return shown.filter(pl.col("policy").is_in(drawing.implode(), nulls_equal=True)) if len(drawing) else shown


def _sum_places(shown: pl.DataFrame, lists: pl.DataFrame) -> pl.DataFrame:
    """Sum weights and uses by position and user.

    Returns
    -------
    polars.DataFrame
        `position`, `user_ix`; `n`, impressions with all positions above logged, and `n_used`, those used;
        `n_matches`, impressions that match the list down to this position; `weight`, the sum of their weights, and
        `gain`, that of the used ones. Positions below the end of the user's list are left out.
    """
    one_list = ("user_ix", "list_id", "alone")
    depth = lists.group_by("user_ix").agg(depth=pl.col("position").max())
    wanted = lists.unique(["user_ix", "position"], keep="first", maintain_order=True)
    wanted = wanted.select("user_ix", "position", wanted="item_ix")
    propensity = pl.col("propensity").cast(pl.Float64)
    is_known = (
        (pl.col("position") == pl.int_range(1, pl.len() + 1).over(one_list))  # no gap above
        & (pl.len().over(*one_list, "position") == 1)
        & (propensity > 0).fill_null(value=False)
        & propensity.is_not_nan()
    )
    places = (
        shown.filter(pl.col("position") >= 1)
        .join(depth, on="user_ix")
        .with_row_index("alone")
        .with_columns(pl.when(pl.col("list_id").is_null()).then("alone"))
        .sort(*one_list, "position")
        .with_columns(is_known=is_known)
        .filter(pl.col("is_known").cast(pl.Int8).cum_min().over(one_list) == 1)
        .filter(pl.col("position") <= pl.col("depth"))
        .join(wanted, on=["user_ix", "position"], how="left", maintain_order="left")
        .with_columns(is_match=(pl.col("item_ix") == pl.col("wanted")).fill_null(value=False).cast(pl.Int8))
        .with_columns(pl.col("is_match").cum_min().over(one_list).cast(pl.Float64))
        .with_columns(weight=pl.col("is_match") / propensity.cum_prod().over(one_list))
    )
    return (
        places.group_by("position", "user_ix")
        .agg(
            n=pl.len().cast(pl.Float64),
            n_used=pl.col("is_used").sum().cast(pl.Float64),
            n_matches=pl.col("is_match").sum(),
            weight=pl.col("weight").sum(),
            gain=(pl.col("weight") * pl.col("is_used")).sum(),
        )
        .sort("position", "user_ix")
    )
