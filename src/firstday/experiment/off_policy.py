"""Off-policy evaluation of lists from logged propensities."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import polars as pl

from firstday.config import ExperimentConfig

LEAST_WEIGHT = 0.9
"""Minimum mean importance weight. It is 1 if the logging policies could have shown every listed item, else lower."""


@dataclass(frozen=True)
class ListsEstimate:
    """Off-policy estimate for the first positions of some lists, with the names of the JSON.

    Parameters
    ----------
    users
        Number of users with a list and a logged impression, with known propensity, at position 1, from a randomising
        policy.
    places, places_of_lists
        Number of positions the estimate covers, 0 if refused, and number of positions of the lists.
    matches
        Number of impressions at these positions (at position 1 if refused) that match the list there and at all
        positions above.
    effective_users, mean_weight
        Effective sample size and mean importance weight (1 is expected) at the last of these positions (position 1 if
        refused).
    used_of_lists, used_of_lists_ci
        Estimated share of the listed items at these positions that would be used, with an interval over users; None if
        refused.
    used_of_shown
        The same share of the logged impressions (position 1 if refused), for the same users; None without users.
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
    used_of_lists: float | None
    used_of_lists_ci: tuple[float, float] | None
    used_of_shown: float | None
    refusal: str | None

    def sentence(self) -> str:
        """Summarise the estimate, or why there is none."""
        if self.used_of_lists_ci is None:
            return f"lists {self.name}: no estimate: {self.refusal}."
        low, high = self.used_of_lists_ci
        further = f" Deeper ranks are not covered: {self.refusal}." if self.refusal else ""
        return (
            f"lists {self.name}: {self.used_of_lists:.2%} of the items in the first {self.places} of "
            f"{self.places_of_lists} ranks would have been used ({low:.2%} to {high:.2%}); of the items shown there, "
            f"{self.used_of_shown:.2%} were.{further}"
        )


def estimate_lists(name: str, shown: pl.DataFrame, lists: pl.DataFrame, config: ExperimentConfig) -> ListsEstimate:
    """Estimate the use of lists by self-normalised inverse propensity weighting, position by position from the top.

    A logged impression counts if the list matches it at this position and at all positions above. Its weight is the
    inverse of the product of their propensities, each conditional on the items above. The estimator assumes that items
    below a position do not affect it, while items above may. Matches get rarer with depth, so that the estimate covers
    only the first positions with enough effective users.

    An impression counts if its position (from 1) and all positions above are logged exactly once, with propensities;
    without `list_id`, only position 1 counts. If any policy randomises, impressions of deterministic policies (all
    propensities are 1) are left out: they say nothing about other lists. `lists` has `user_ix`, `item_ix`, `position`.

    References
    ----------
    J. McInerney et al., "Counterfactual evaluation of slate recommendations with sequential reward interactions", KDD
    2020 (the weights, normalised per position); A. Swaminathan, T. Joachims, "The self-normalized estimator for
    counterfactual learning", NeurIPS 2015. Effective sample size: L. Kish, "Survey sampling", 1965: (sum of
    weights)^2 / sum of squared weights.
    """
    errors = NormalDist().inv_cdf((1 + config.level) / 2)
    sums = _sum_positions(shown, lists)
    n = pl.col("n")
    weight = pl.col("weight")
    gain = pl.col("gain")
    share = pl.col("share")
    mean_weight = weight.sum() / n.sum()
    half_width = errors * ((weight - mean_weight * n) ** 2).sum().sqrt() / n.sum()
    figures = sums.group_by("position", maintain_order=True).agg(
        pl.sum("n", "n_used", "n_matches", "weight"),
        share=gain.sum() / weight.sum(),
        effective=weight.sum() ** 2 / (weight**2).sum(),
        mean_weight=mean_weight,
        highest_weight=mean_weight + half_width,
    )
    n_ranks = lists["position"].drop_nulls().n_unique()
    positions = pl.select(position=pl.int_range(1, max(n_ranks, 1) + 1, dtype=pl.Int32))
    positions = positions.join(figures, on="position", how="left", maintain_order="left").fill_null(0).fill_nan(0)
    refusals = [_refuse(row, config) for row in positions.iter_rows(named=True)]
    refusal = next(filter(None, refusals), None)
    n_covered = refusals.index(refusal) if refusal else n_ranks
    covered = positions.head(max(n_covered, 1))
    totals = covered.select(
        pl.sum("n", "n_used", "n_matches"), pl.last("effective", "mean_weight"), share=(share * n).sum() / n.sum()
    ).row(0, named=True)
    ends = None
    if n_covered:
        half = errors * _find_error(sums, covered) / totals["n"]
        ends = totals["share"] - half, totals["share"] + half
    return ListsEstimate(
        name,
        users=sums["user_ix"].n_unique(),
        places=n_covered,
        places_of_lists=n_ranks,
        matches=totals["n_matches"],
        effective_users=totals["effective"],
        mean_weight=totals["mean_weight"],
        used_of_lists=totals["share"] if n_covered else None,
        used_of_lists_ci=ends,
        used_of_shown=totals["n_used"] / totals["n"] if totals["n"] else None,
        refusal=refusal,
    )


def _find_error(sums: pl.DataFrame, positions: pl.DataFrame) -> float:
    """Return the standard error of the used impressions of all positions, over users."""
    gain = pl.col("gain") - pl.col("share") * pl.col("weight")
    influence = (pl.col("n_in_all") * gain / pl.col("weight_in_all")).sum()
    joined = sums.join(positions, on="position", suffix="_in_all", maintain_order="left")
    of_users = joined.group_by("user_ix", maintain_order=True).agg(influence=influence)  # on the sum over positions
    return float(of_users.select((pl.col("influence") ** 2).sum().sqrt()).item())


def _refuse(row: dict[str, float], config: ExperimentConfig) -> str | None:
    """Return why a position cannot be estimated, or None."""
    if row["effective"] < config.effective_users:
        return (
            f"{row['effective']:.0f} effective users, whose impressions have propensities and match the lists down to "
            f"rank {row['position']}; at least {config.effective_users:g} are needed"
        )
    if row["highest_weight"] < LEAST_WEIGHT:
        return (
            f"their mean weight is {row['mean_weight']:.2f} instead of 1, so the logged policies could rarely show "
            "these lists; let a randomised policy, such as explore, serve some users"
        )
    return None


def _sum_positions(shown: pl.DataFrame, lists: pl.DataFrame) -> pl.DataFrame:
    """Sum weights and uses by position and user, of randomising policies if there are any.

    `n` counts the impressions with all positions above logged, `n_used` those used, and `n_matches` those that match
    the list down to this position; `weight` is the sum of their weights, and `gain` that of the used ones.
    """
    propensity = pl.col("propensity")
    position = pl.col("position")
    weight = pl.col("weight")
    random = shown.filter(propensity < 1)["policy"].unique()
    if len(random):
        shown = shown.filter(pl.col("policy").is_in(random.implode(), nulls_equal=True))
    one_list = ("user_ix", "list_id")
    list_ids = pl.coalesce("list_id", pl.format("row {}", pl.int_range(pl.len())))
    is_unique = pl.len().over(*one_list, "position") == 1
    logged = shown.with_columns(list_ids).filter(position >= 1, is_unique, propensity.is_between(0, 1, closed="right"))
    has_no_gap_above = position == pl.int_range(1, pl.len() + 1).over(one_list)
    ranked = logged.sort(*one_list, "position").filter(has_no_gap_above)
    wanted = lists.unique(["user_ix", "position"], keep="first", maintain_order=True)
    wanted = wanted.select("user_ix", "position", wanted="item_ix")
    compared = ranked.join(wanted, on=["user_ix", "position"], maintain_order="left")
    is_match = (pl.col("item_ix") == pl.col("wanted")).cast(pl.Float64)
    weights = (is_match / propensity.cast(pl.Float64)).cum_prod().over(one_list)
    of_users = compared.with_columns(weight=weights).group_by("position", "user_ix", maintain_order=True)
    sums = of_users.agg(
        weight.sum(),
        n=pl.len(),
        n_used=pl.sum("is_used"),
        n_matches=(weight > 0).sum(),
        gain=(weight * pl.col("is_used")).sum(),
    )
    return sums.sort("position", "user_ix")
