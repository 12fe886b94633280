"""First layer of networks, which skips feature blocks of zeros in training. Needs torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

MIN_INPUTS = 1024
"""Minimum input width for skipping zeros; narrower inputs are faster to multiply than to scan."""
BLOCK = 128
"""Columns per block."""


class FirstLayer(nn.Linear):
    """A linear layer that skips blocks of zeros in wide inputs, in training on the CPU, with the same result."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (n, n_inputs) to (n, width)."""
        if not self.training or features.device.type != "cpu" or self.in_features < MIN_INPUTS:
            return super().forward(features)
        return _Product.apply(features, self.weight, self.bias)  # type: ignore[no-untyped-call]


class _Product(torch.autograd.Function):
    """features @ weight.T + bias, for features without gradient; in each block, rows of zeros are skipped."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        ctx.parts = []
        product = bias.repeat(len(features), 1)
        for start in range(0, weight.shape[1], BLOCK):
            block = features[:, start : start + BLOCK]
            rows = block.any(dim=1).nonzero()[:, 0]
            part = block[rows]
            product.index_add_(0, rows, part @ weight[:, start : start + BLOCK].t())
            ctx.parts.append((rows, part))
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, torch.Tensor, torch.Tensor]:
        return None, torch.cat([gradient[rows].t() @ part for rows, part in ctx.parts], dim=1), gradient.sum(dim=0)
