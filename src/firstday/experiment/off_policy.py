"""How lists that were not shown would have done, from how likely each shown item was to be shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from firstday.metrics import Interval

ERRORS = 1.96
LEAST_WEIGHT = 0.9
"""The mean weight is 1 where everything that the lists hold could have been shown; lower, too little could."""


@dataclass(frozen=True)
class ListsEstimate:
    """How some lists would have done.

    Parameters
    ----------
    name
        Of the lists.
    n_users
        Users with lists and with impressions of known propensity and position.
    n_matches
        Impressions of the item that the lists have in that place.
    effective_users
        As many users would tell as much if all had the same weight.
    mean_weight
        Of the impressions; 1 is expected.
    share_used
        Share of what the lists would have shown that would have been used, with a 95 % interval by user; None where it
        is refused.
    shown_used
        The same share of what was shown, for the same users.
    refusal
        Why there is no estimate; "" where there is one.
    """

    name: str
    n_users: int
    n_matches: int
    effective_users: float
    mean_weight: float
    share_used: Interval | None
    shown_used: float
    refusal: str = ""

    def sentence(self) -> str:
        """Say what the lists would have done, or why that cannot be told."""
        share = self.share_used
        if share is None:
            return f"lists {self.name}: no estimate: {self.refusal}."
        return (
            f"lists {self.name}: {100 * share.mean:.2f} % of what they show would have been used "
            f"({100 * share.low:.2f} to {100 * share.high:.2f}); of what was shown to these users, "
            f"{100 * self.shown_used:.2f} %."
        )


def estimate_lists(name: str, shown: pl.DataFrame, lists: pl.DataFrame, *, least_users: float) -> ListsEstimate:
    """Estimate by self-normalised inverse propensities how lists would have done, place by place.

    The item in each place of a user's list counts where it was shown in that place, by one over how likely that was.
    What stands elsewhere in the list is taken to change nothing (the item-position model).

    Parameters
    ----------
    name
        Of the lists, for messages.
    shown
        Impressions: `user_ix`, `item_ix`, `position` (from 1), `propensity` (above 0), `is_used`; rows without position
        or propensity are passed over.
    lists
        `user_ix`, `item_ix`, `position`: each user's list.
    least_users
        Fewer effective users are refused.

    References
    ----------
    A. Swaminathan, T. Joachims, "The self-normalized estimator for counterfactual learning", NeurIPS 2015; S. Li et
    al., "Offline evaluation of ranking policies with click models", KDD 2018 (the item-position estimator). Effective
    users are those of L. Kish, "Survey sampling", 1965: (sum of weights)^2 / sum of squared weights.
    """
    usable = shown.filter(
        pl.col("position").is_not_null() & pl.col("propensity").is_not_null() & pl.col("propensity").is_not_nan()
    ).join(lists.select("user_ix").unique(), on="user_ix", how="semi")
    depth = lists.group_by("user_ix").agg(depth=pl.col("position").max())
    usable = usable.join(depth, on="user_ix").filter(pl.col("position") <= pl.col("depth"))
    matches = usable.join(
        lists.unique(["user_ix", "item_ix", "position"]), on=["user_ix", "item_ix", "position"], how="semi"
    )
    weights = matches.group_by("user_ix").agg(
        weight=(1 / pl.col("propensity").cast(pl.Float64)).sum(),
        gain=(pl.col("is_used").cast(pl.Float64) / pl.col("propensity").cast(pl.Float64)).sum(),
    )
    by_user = (
        usable.group_by("user_ix")
        .agg(n=pl.len().cast(pl.Float64), n_used=pl.col("is_used").sum().cast(pl.Float64))
        .join(weights, on="user_ix", how="left")
        .sort("user_ix")
        .fill_null(0.0)
    )
    n, n_used, weight, gain = (by_user[column].to_numpy() for column in ("n", "n_used", "weight", "gain"))
    total, squares = weight.sum(), (weight**2).sum()
    effective = float(total**2 / squares) if squares > 0 else 0.0
    mean_weight = float(total / n.sum()) if len(n) else 0.0
    shown_used = float(n_used.sum() / n.sum()) if len(n) else float("nan")
    interval, refusal = None, ""
    if not len(n):
        refusal = "no user with such a list was shown anything with a known position and propensity"
    elif effective < least_users:
        refusal = f"{effective:.0f} effective users tell too little; {least_users:g} are needed"
    elif mean_weight + ERRORS * np.sqrt(((weight - mean_weight * n) ** 2).sum()) / n.sum() < LEAST_WEIGHT:
        refusal = (
            f"what was shown could never have been much of these lists (mean weight {mean_weight:.2f}, where 1 is "
            "expected); let a policy that draws, such as explore, show lists to some users"
        )
    else:
        share = float(gain.sum() / total)
        error = float(np.sqrt(((gain - share * weight) ** 2).sum()) / total)
        interval = Interval(share, share - ERRORS * error, share + ERRORS * error)
    return ListsEstimate(name, by_user.height, matches.height, effective, mean_weight, interval, shown_used, refusal)
