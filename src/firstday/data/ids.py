"""Ids: mapping between external ids and dense integer indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl

from firstday.display import readable

NOT_STORED = {"is_stored": False}
"""Metadata of fields that a model folder leaves out."""


@readable
@dataclass(frozen=True, eq=False)
class Ids:
    """External ids in index order: distinct, without nulls, of type String or Int64.

    If they begin with those of `head`, its index is shared; see `extend`.
    """

    values: pl.Series
    head: Ids | None = field(default=None, repr=False, metadata=NOT_STORED)

    @classmethod
    def of(cls, values: Sequence[Any] | pl.Series) -> Ids:
        """Build Ids from distinct ids, keeping their order; integers stay Int64, others become String."""
        series = values if isinstance(values, pl.Series) else pl.Series(list(values))
        return cls(series.cast(pl.Int64 if series.dtype.is_integer() else pl.String))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def are_integers(self) -> bool:
        """Whether the external ids are integers."""
        return self.values.dtype == pl.Int64

    @cached_property
    def _index(self) -> dict[str, int]:
        n_head = len(self.head or ())
        return {str(value): ix for ix, value in enumerate(self.values[n_head:].to_list(), n_head)}

    def index_of(self, value: Any) -> int:
        """Return the index of an id, or -1; ``81`` and ``"81"`` are the same id, ``"081"`` is a different one."""
        index = self._index.get(str(value), -1)
        return self.head.index_of(value) if index < 0 and self.head else index

    def lookup(self, values: pl.Series) -> np.ndarray:
        """Return the index of each id, int32, shape (n,), -1 if unknown or null."""
        # Other types are compared as text, like `index_of`: as numbers, "081" and 81.5 would equal 81.
        kind = pl.Int64() if self.are_integers and values.dtype.is_integer() else pl.String()
        table = pl.DataFrame({"id": self.values.cast(kind), "ix": np.arange(len(self), dtype=np.int32)})
        rows = values.cast(kind, strict=False).to_frame("id")
        return rows.join(table, on="id", how="left", maintain_order="left")["ix"].fill_null(-1).to_numpy()

    def extend(self, values: pl.Series) -> Ids:
        """Return these ids followed by others, at a cost that depends on the others alone.

        Integers remain, even if the others are integers as text.
        """
        numbers = values.cast(self.values.dtype, strict=False)
        is_same = numbers.cast(values.dtype).eq_missing(values).all()
        frames = [self.values.to_frame("id"), (numbers if is_same else values).to_frame("id")]
        return Ids(pl.concat(frames, how="vertical_relaxed")["id"], self)

    def take(self, ix: np.ndarray) -> pl.Series:
        """Return the ids at the given indexes as a Series."""
        return self.values[np.asarray(ix, dtype=np.uint32)]

    def __getitem__(self, ix: int) -> Any:
        return self.values[int(ix)]


def stable_numbers(ids: Ids, seed: int) -> np.ndarray:
    """Return the 8-byte BLAKE2b digest of "SEED:ID" of each id, uint64, shape (n_ids,).

    It does not depend on other ids: users with the smallest hashes are a random sample that remains stable as users
    come and go.
    """
    digests = [blake2b(f"{seed}:{identity}".encode(), digest_size=8).digest() for identity in ids.values.to_list()]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
