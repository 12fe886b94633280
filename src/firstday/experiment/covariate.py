"""What is known of users before they were assigned, and what it predicts of an outcome: intervals become narrower."""

from __future__ import annotations

import numpy as np
import polars as pl

from firstday.data.ids import Ids, stable_numbers

N_FOLDS = 5
FOLDS_SEED = 5
"""Of the hash; another than that by which users are held out, which is 0 by default."""
USERS_FOR_COVARIATE = 200
"""Users below which nothing is predicted: it would be noise."""
LEAST_OF_VALUE = 20
"""Users of a profile value below which it predicts nothing of its own."""


def encode_known(users: pl.DataFrame) -> np.ndarray:
    """Turn what is known of users into numbers.

    Parameters
    ----------
    users
        A row each: `known_before`, the number of items used before the assignment; `age`, null where unknown; all
        other columns are text, such as `country`.

    Returns
    -------
    numpy.ndarray
        float64, shape (n_users, n_columns), each column of mean 0 and deviation 1; no column where nothing differs.
    """
    columns: list[np.ndarray] = []
    for name in users.columns:
        values = users[name]
        if name == "known_before":
            columns.append(np.log1p(values.to_numpy()))
        elif name == "age":
            years = values.cast(pl.Float64)
            mean = years.mean()
            if mean is not None:
                columns += [years.fill_null(mean).to_numpy(), (years.fill_null(mean) ** 2).to_numpy()]
                columns.append(years.is_null().to_numpy())
        else:
            counts = values.value_counts().filter(pl.col("count") >= LEAST_OF_VALUE)
            columns += [(values.eq_missing(value)).to_numpy() for value in counts[name].sort().to_list()]
    matrix = np.column_stack(columns).astype(np.float64) if columns else np.empty((users.height, 0))
    spread = matrix.std(axis=0)
    varied = spread > 1e-12
    standard: np.ndarray = (matrix[:, varied] - matrix[:, varied].mean(axis=0)) / spread[varied]
    return standard


def fold_of(users: pl.Series) -> np.ndarray:
    """Return each user's fold, int64, from 0 to `N_FOLDS` - 1, by a hash of the id."""
    return (stable_numbers(Ids.of(users), FOLDS_SEED) % N_FOLDS).astype(np.int64)


def predict_outcome(known: np.ndarray, outcome: np.ndarray, folds: np.ndarray) -> np.ndarray | None:
    """Predict each user's outcome from what is known, by a ridge regression on users of the other folds.

    Since nobody's own outcome is in the prediction, it is a covariate like one from before the experiment.

    Parameters
    ----------
    known
        From `encode_known`, shape (n_users, n_columns).
    outcome
        float64, shape (n_users,).
    folds
        From `fold_of`, shape (n_users,).

    Returns
    -------
    numpy.ndarray or None
        float64, shape (n_users,); None where there is nothing to predict from or there are too few users.

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
        x, y = known[~inside], outcome[~inside]
        mean = y.mean()
        weights = np.linalg.solve(x.T @ x + np.eye(n_columns), x.T @ (y - mean))
        predicted[inside] = mean + known[inside] @ weights
    return predicted
