"""Light users: established people with too few items to be warm. They count as friends of new ones."""

from __future__ import annotations

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids
from firstday.data.split import Split
from firstday.embed.affinity import compute_affinity, select_uses
from firstday.embed.embeddings import Embeddings
from firstday.embed.warm_users import WarmUsers, draw_some
from firstday.ranking import unit_rows


def find_light_users(dataset: Dataset, split: Split, config: Config, embeddings: Embeddings) -> WarmUsers:
    """Return light users with vectors beside those of warm users, from which nothing was learned of them.

    A vector is the one brought for the user, where there is one, and else solved from the few items that they use, with
    the items' vectors as they are. Left out are those who disliked all that they used, and those who only used what no
    warm user does.

    Parameters
    ----------
    dataset, split, config
        See `firstday.pipeline.fit`.
    embeddings
        Vectors of warm users and items.

    Returns
    -------
    WarmUsers
        `recommend.light_users` at most, drawn at random, in the order of `split.light`.
    """
    n_items = len(dataset.items)
    affinity = compute_affinity(split.light_actions, config.signals, len(split.light), n_items)
    rows = np.flatnonzero(affinity.lengths())
    rows = rows[draw_some(len(rows), config.recommend.light_users, seed=config.seed)]
    vectors = embeddings.fold_in.solve(affinity.take(rows))
    if dataset.brought is not None:
        brought = dataset.brought.user_vectors[split.light[rows]]
        has_own = np.isfinite(brought).all(axis=1)
        vectors[has_own] = brought[has_own]
    found = vectors.any(axis=1)
    rows, vectors = rows[found], unit_rows(vectors[found])
    uses = select_uses(split.light_actions, config.signals, len(split.light), n_items).take(rows)
    return WarmUsers(Ids(dataset.users.take(split.light[rows])), vectors, uses, len(rows))
