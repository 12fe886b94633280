"""How lists that were not shown would have done, from how likely each shown item was to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl

from firstday.metrics import Interval

LEAST_WEIGHT = 0.9
"""The mean weight is 1 where everything that the lists hold could have been shown; lower, too little could."""


@dataclass(frozen=True)
class ListsEstimate:
    """How some lists would have done in their first places.

    Parameters
    ----------
    name
        Of the lists.
    users
        Users with lists who were shown something in the first place with a known propensity, by a policy that draws.
    places, places_of_lists
        How many first places the estimate is of, 0 where it is refused, and how many the longest list has.
    matches
        Impressions in these places, or in the first where it is refused, that have what the lists have there and in all
        places above.
    effective_users
        In the last of these places (the first where it is refused): as many users would tell as much if all had the
        same weight.
    mean_weight
        In the same place; 1 is expected.
    used_of_lists
        Share of what the lists would have shown in these places that would have been used, with an interval by user;
        None where it is refused.
    used_of_shown
        The same share of what was shown in these places (the first where it is refused), for the same users.
    refusal
        Why there is no estimate, or none of further places; None where it is of all places.
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
        """Say what the lists would have done, or why that cannot be told."""
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
    """Estimate by self-normalised inverse propensities how lists would have done, place by place from the top.

    A place of a list that was shown counts where the list to be judged has the same items in this place and in all
    places above it, by one over the product of their propensities: each is how likely the item was, given those above.
    What stands below a place is taken to change nothing in it; what stands above may change everything. The deeper,
    the fewer lists match, and the estimate is of as many first places as enough users tell of.

    Parameters
    ----------
    name
        Of the lists, for messages.
    shown
        Impressions: `user_ix`, `list_id`, `item_ix`, `position` (from 1), `propensity` (above 0), `policy`, `is_used`.
        A place counts where it and all places above it in its list are known, once each and with their propensities;
        without `list_id`, the first place alone. Where a policy draws, those that never do (all propensities are 1) are
        left out: users by whom they were answered tell nothing of other lists.
    lists
        `user_ix`, `item_ix`, `position`: each user's list.
    least_users
        Places with fewer effective users are refused.
    level
        Of confidence.

    References
    ----------
    J. McInerney et al., "Counterfactual evaluation of slate recommendations with sequential reward interactions", KDD
    2020 (the weights, which are normalised in each place); A. Swaminathan, T. Joachims, "The self-normalized estimator
    for counterfactual learning", NeurIPS 2015. Effective users are those of L. Kish, "Survey sampling", 1965: (sum of
    weights)^2 / sum of squared weights.
    """
    errors = NormalDist().inv_cdf((1 + level) / 2)
    sums = _sum_places(_keep_drawn(shown), lists)
    users = sums["user_ix"].unique().sort()
    influence = np.zeros(len(users))  # of each user on the sum of all places
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
    """Return the impressions of policies that draw, or all where none does."""
    drawing = shown.filter((pl.col("propensity") > 0) & (pl.col("propensity") < 1))["policy"].unique()
    return shown.filter(pl.col("policy").is_in(drawing.implode(), nulls_equal=True)) if len(drawing) else shown


def _sum_places(shown: pl.DataFrame, lists: pl.DataFrame) -> pl.DataFrame:
    """Add up weights and uses by place and user.

    Returns
    -------
    polars.DataFrame
        `position`, `user_ix`; `n`, the places of lists with all places above them known, and `n_used` of them;
        `n_matches`, those that match down to there; `weight` of these, and `gain`, the weight of the used ones. Places
        deeper than the user's list are left out.
    """
    one_list = ("user_ix", "list_id", "alone")
    depth = lists.group_by("user_ix").agg(depth=pl.col("position").max())
    wanted = lists.unique(["user_ix", "position"], keep="first", maintain_order=True)
    wanted = wanted.select("user_ix", "position", wanted="item_ix")
    propensity = pl.col("propensity").cast(pl.Float64)
    is_known = (
        (pl.col("position") == pl.int_range(1, pl.len() + 1).over(one_list))  # no place is missing above
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
