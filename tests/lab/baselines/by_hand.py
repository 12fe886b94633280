"""What the baselines could have learned of the five users of `tests.tiny`, and the lists that they then make."""

from __future__ import annotations

from typing import Any

import numpy as np

from firstday.lab.baselines.als_fold_in import AlsFoldIn, Penalty
from firstday.lab.baselines.dropoutnet import DropoutNet
from firstday.lab.baselines.item_item import ItemItem
from firstday.lab.baselines.melu import Melu, MeluConfig
from firstday.lab.baselines.mult_dae import MultDae
from firstday.lab.baselines.user_user import UserUser
from tests.tiny import (
    EAST,
    ITEM_VECTORS,
    N_ITEMS,
    NORTH,
    NOWHERE,
    TOGETHER,
    USES,
    D,
    make_network,
    sum_blocks,
)

LISTS: dict[str, dict[str, tuple[str, str]]] = {
    # Used together: i1 and i2, i1 and i3 by two, i2 and i3, i3 and i4, i4 and i5 by one.
    "item_item": {
        "one item": ("item_item", "i2 2, i3 2, i4 0, i5 0"),
        "two items": ("item_item", "i3 2, i4 1, i6 0"),
        "four items": ("item_item", "i5 1, i6 0"),
    },
    "user_user": {  # cosines 1/2^.5 of u1 and u3; 1/2 of u1 and u3, of u4 too; nobody with i5 is near to the last
        "one item": ("user_user", "i2 .707107, i3 .707107, i4 0, i5 0"),
        "two items": ("user_user", "i3 .5, i4 0, i6 0"),
    },
    "als_fold_in": {  # i1 to i3 are east, i4 and i5 north: (1/4, 0), (2/5, 1/3) and (3/4, 1/3)
        "one item": ("als_fold_in", "i2 .25, i3 .25, i4 0, i5 0"),
        "two items": ("als_fold_in", "i3 .4, i4 .333333, i6 0"),
        "four items": ("als_fold_in", "i5 .333333, i6 0"),
    },
    "mult_dae": {  # tanh of (1, 0), of (1.25, .75) / 2^.5 and of (1.125, .875)
        "one item": ("mult_dae", "i2 .571196, i3 .380797, i5 .190399, i4 0"),
        "two items": ("mult_dae", "i3 .596996, i4 .485633, i6 0"),
        "four items": ("mult_dae", "i5 .730254, i6 0"),
    },
    "dropoutnet_personal": {  # the country + the streamed items
        "profile": ("dropoutnet_personal", "i4 1, i5 .75, i3 .5, i2 .25"),
        "one item": ("dropoutnet_personal", "i2 .75, i3 .5, i5 .25, i4 0"),
        "two items": ("dropoutnet_personal", "i3 .5, i4 .375, i6 0"),
        "friend": ("dropoutnet_personal", "i1 0, i3 0, i2 0, i4 0"),  # a vector of zeros points to nothing
        "four items": ("dropoutnet_personal", "i5 .71875, i6 0"),
    },
    "dropoutnet_segment": {
        "profile": ("dropoutnet_segment", "i4 1, i3 .5, i5 .5, i1 0"),
        "one item": ("dropoutnet_segment", "i3 .666667, i2 .666667, i4 0, i5 0"),
        "two items": ("dropoutnet_segment", "i3 .666667, i4 0, i6 0"),
        "friend": ("dropoutnet_segment", "i1 1, i3 .666667, i2 .666667, i4 0"),
        "four items": ("dropoutnet_segment", "i5 0, i6 0"),
    },
    "melu_personal": {  # our vectors, east and north swapped, of length 1
        "profile": ("melu_personal", "i1 1, i2 .75, i3 .5, i5 .25"),
        "one item": ("melu_personal", "i4 1, i5 .75, i3 .5, i2 .25"),
        "two items": ("melu_personal", "i4 .857493, i3 .685994, i6 0"),
        "friend": ("melu_personal", "i1 1, i2 .75, i3 .5, i5 .25"),
        "four items": ("melu_personal", "i5 .789630, i6 0"),
    },
    "melu_segment": {
        "profile": ("melu_segment", "i1 1, i3 .666667, i2 .666667, i4 0"),
        "one item": ("melu_segment", "i4 1, i3 .5, i5 .5, i2 0"),
        "two items": ("melu_segment", "i4 1, i3 .5, i6 0"),
        "friend": ("melu_segment", "i1 1, i3 .666667, i2 .666667, i4 0"),
        "four items": ("melu_segment", "i5 .5, i6 0"),
    },
}
"""Lists of the visitors of `tests.recommend.test_lists_by_hand`, but for those that a fallback answers."""


def make_baselines_of_lab() -> dict[str, Any]:
    """Make what the baselines could have learned: of i6 they know nothing."""
    turned = np.array([NORTH, EAST], np.float32)
    sides = np.array([EAST, EAST, EAST, NORTH, NORTH, NOWHERE])
    return {
        "dropoutnet": DropoutNet(make_network(np.concatenate([turned, sum_blocks(["country", "stream x item"])]))),
        "melu": Melu(
            body=make_network(sum_blocks()),
            weights=turned,
            bias=np.zeros(D, np.float32),
            gram=np.zeros((D, D), np.float32),
            scale=1.0,
            config=MeluConfig(inner_steps=0),
        ),
        "item_item": ItemItem(TOGETHER),
        "user_user": UserUser(
            USES, USES.transpose(), np.ones(N_ITEMS, np.float32), USES.lengths().astype(np.float32), 2, 0.0, 1.0
        ),
        "als_fold_in": AlsFoldIn(sides, np.array([3.0, 2.0]), 1.0, Penalty(1.0, 0.0, 0.0, 1.0)),
        "mult_dae": MultDae(
            np.arange(5), ITEM_VECTORS[:5], np.zeros(D, np.float32), ITEM_VECTORS[:5], np.zeros(5, np.float32)
        ),
    }
