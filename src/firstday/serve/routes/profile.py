"""What newcomers can say of themselves: profile columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from fastapi import APIRouter

from firstday.serve.schemas import ProfileAnswer
from firstday.serve.service import ModelDep

MAX_VALUES = 500
"""Maximum values of a profile column in a response, most frequent first."""

router = APIRouter(prefix="/v1", tags=["newcomers"])


@router.get("/profile", response_model=ProfileAnswer, summary="List profile fields for newcomers")
async def read_profile(served: ModelDep) -> dict[str, Any]:
    """Return the profile columns known to the model, with the values of warm users."""
    groups = served.trained.profile_groups
    groups_by_name = served.trained.catalogue.groups
    ages = np.flatnonzero(groups["age"].sizes if "age" in groups else ())
    return {
        "model": served.version,
        "age": {"youngest": ages[0], "oldest": ages[-1]} if len(ages) else None,
        "columns": [
            _describe_column(name, groups_by_name[name], groups[name].sizes)
            for name in groups_by_name
            if name in groups
        ],
    }


def _describe_column(name: str, names: Sequence[str], sizes: np.ndarray) -> dict[str, Any]:
    """Return the most frequent values of a profile column among warm users, sorted by value."""
    values = pl.DataFrame({"value": names, "users": sizes}).filter(pl.col("users") > 0)
    top = values.top_k(MAX_VALUES, by="users").sort("value")
    return {"column": name, "values": top.to_dicts(), "values_left_out": values.height - top.height}
