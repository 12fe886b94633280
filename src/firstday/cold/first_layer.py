"""First layer in training: skips feature blocks that are zero. Needs torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable

WIDE = 1024
"""Minimum input width to look for zeros; narrower inputs are faster to multiply than to scan."""
COLUMNS_AT_ONCE = 64
"""Columns per scanned block."""
MOSTLY = 0.75
"""Share of rows with non-zero values above which a block is treated as dense."""


class FirstLayer(nn.Linear):
    """A linear layer that skips zero blocks of wide inputs in training on the CPU; the result is the same."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (n, n_inputs) to (n, width)."""
        if not self.training or features.device.type != "cpu" or self.in_features < WIDE:
            return super().forward(features)
        product: torch.Tensor = _Product.apply(features, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return product


class _Product(torch.autograd.Function):
    """features @ weight.T + bias, for features without gradient."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        ctx.parts, ctx.width = [], weight.shape[1]
        product = bias.repeat(len(features), 1)
        for places, columns in find_parts(features.numpy()):
            rows = None if places is None else torch.from_numpy(places)
            if rows is None:
                part = features[:, columns]
                product.addmm_(part, weight[:, columns].t())
            else:
                part = features[:, columns].index_select(0, rows)
                product.index_add_(0, rows, part @ weight[:, columns].t())
            ctx.parts.append((rows, columns, part))
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[None, torch.Tensor, torch.Tensor]:
        of_weight = torch.zeros(slope.shape[1], ctx.width)
        for rows, columns, part in ctx.parts:
            of_weight[:, columns] = (slope if rows is None else slope.index_select(0, rows)).t() @ part
        return None, of_weight, slope.sum(dim=0)


def find_parts(features: np.ndarray) -> list[tuple[np.ndarray | None, slice]]:
    """Find the non-zero parts of features, float32, shape (n, n_inputs).

    Each part has row indexes, int64, or None for all rows, and a run of columns. Every non-zero value is in exactly one
    part.
    """
    n, width = features.shape
    n_whole = width // COLUMNS_AT_ONCE
    filled = np.ones((n, n_whole + 1), dtype=bool)  # the remaining columns are treated as dense
    filled[:, :n_whole] = features[:, : n_whole * COLUMNS_AT_ONCE].reshape(n, n_whole, COLUMNS_AT_ONCE).any(axis=2)
    n_filled = filled.sum(axis=0)
    filled[:, n_filled > MOSTLY * n] = True
    starts = np.flatnonzero(np.append(True, (filled[:, 1:] != filled[:, :-1]).any(axis=0))).tolist()
    parts: list[tuple[np.ndarray | None, slice]] = []
    for start, end in zip(starts, [*starts[1:], n_whole + 1], strict=True):
        if n_filled[start]:
            rows = None if n_filled[start] > MOSTLY * n else np.flatnonzero(filled[:, start])
            parts.append((rows, slice(start * COLUMNS_AT_ONCE, min(end * COLUMNS_AT_ONCE, width))))
    return parts
