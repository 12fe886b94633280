"""The first layer in training: blocks of features that a user has not cost nothing. Needs torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from firstday.cold.cold_model import WIDE, find_parts


class FirstLayer(nn.Linear):
    """A linear layer that, in training on the CPU, passes over wide inputs' blocks of zeros; the result is the same."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (n, n_inputs) to (n, width)."""
        if not self.training or features.device.type != "cpu" or self.in_features < WIDE:
            return super().forward(features)
        product: torch.Tensor = _Product.apply(features, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return product


class _Product(torch.autograd.Function):
    """features @ weight.T + bias, of features that need no gradient."""

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
