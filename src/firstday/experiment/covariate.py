"""Predict outcomes from what was known before the assignment, as a covariate that narrows intervals."""

from __future__ import annotations

import numpy as np
import polars as pl
from polars import selectors

from firstday.data.ids import Ids, stable_numbers

N_FOLDS = 5
FOLDS_SEED = 5
"""Seed of the fold hash; must differ from the holdout's seed, which is 0 by default."""
USERS_FOR_COVARIATE = 200
"""Minimum users for a prediction; with fewer it would be noise."""
LEAST_OF_VALUE = 20
"""Minimum users of a profile value that gets its own column."""


def encode_known(users: pl.DataFrame) -> np.ndarray:
    """Encode what was known before the assignment: float64, shape (n_users, n_columns), standardised.

    `users` has `known_before`, the number of items used before the assignment; `age`, null if unknown; all other
    columns are text, such as `country`. Constant columns are dropped.
    """
    years = pl.col("^age$").cast(pl.Float64).fill_null(strategy="mean")
    values = users.select(selectors.string()).to_dummies(separator="\0")
    columns = users.select(
        pl.col("^known_before$").log1p(),
        years.name.keep(),
        (years**2).name.suffix("^2"),
        pl.col("^age$").is_null().name.suffix(" is null"),
        *(column for column in values if column.sum() >= LEAST_OF_VALUE),
    )
    matrix = columns.cast(pl.Float64).to_numpy()
    varied: np.ndarray = matrix[:, matrix.std(axis=0) > 1e-12]
    return (varied - varied.mean(axis=0)) / varied.std(axis=0)


def fold_of(users: pl.Series) -> np.ndarray:
    """Return each user's fold by a hash of the id: int64, from 0 to `N_FOLDS` - 1."""
    return (stable_numbers(Ids.of(users), FOLDS_SEED) % N_FOLDS).astype(np.int64)


def predict_outcome(known: np.ndarray, outcome: np.ndarray, folds: np.ndarray) -> np.ndarray | None:
    """Predict each user's outcome by ridge regression with cross-fitting: float64, shape (n_users,).

    No user's outcome enters their own prediction, so that it is as valid as a pre-experiment covariate. `known` is from
    `encode_known`, `folds` from `fold_of`. Return None if there are no columns or too few users.

    References
    ----------
    Y. Guo et al., "Machine learning for variance reduction in online experiments", NeurIPS 2021 (cross-fitting);
    A. Deng et al., "Improving the sensitivity of online controlled experiments by utilizing pre-experiment data",
    WSDM 2013 (the covariate).
    """
    n_users, n_columns = known.shape
    if not n_columns or n_users < USERS_FOR_COVARIATE or not outcome.std() > 0:
        return None
    predicted = np.empty(n_users)
    for fold in range(N_FOLDS):
        inside = folds == fold
        x = known[~inside]
        y = outcome[~inside]
        mean = y.mean()
        weights = np.linalg.solve(x.T @ x + np.eye(n_columns), x.T @ (y - mean))
        predicted[inside] = mean + known[inside] @ weights
    return predicted
