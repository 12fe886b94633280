"""Settings of the networks: the cold model, the ranker, and their peers of the literature."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from firstday.config_values import Count, Fraction, Section

PeerName = Literal["dropoutnet", "melu"]
"""Other cold models of the literature."""


class TrainingConfig(Section):
    """How a network is trained."""

    hidden: tuple[Count, ...] = Field(
        default=(400, 300, 200), description="Widths of the hidden layers. Source: PAPER."
    )
    schedule: Literal["one-cycle", "flat"] = Field(
        default="one-cycle", description="Learning rate: warm-up and decay, or flat as in the paper."
    )
    learning_rate: float = Field(default=3e-3, gt=0, description="Peak (one-cycle) or constant (flat); paper: 1e-4.")
    weight_decay: float = Field(
        default=1e-2, ge=0, description="Decoupled weight decay of AdamW; 0 is the paper's Adam."
    )
    epochs: Count = Field(default=20, description="Passes over the warm users' day ones, at most. Paper: 130.")
    batch_size: Annotated[int, Field(ge=2)] | None = Field(
        default=None,
        description="Day ones in a step; empty: a 64th of those in a pass, from 32 to 512, so that few users make no "
        "fewer steps. Paper: 512.",
    )
    patience: Count = Field(
        default=6, description="Checks of validation precision without a gain before training stops; the best is kept."
    )
    day_ones_per_pass: Count = Field(
        default=4,
        description="Day ones of each warm user in a pass, on average; where there are more (`sampled.day_ones`), each "
        "pass draws its own.",
    )
    most_rows: int = Field(default=262_144, ge=512, description="Day ones of all warm users in a pass, at most.")

    def resolve_batch(self, n_rows: int) -> int:
        """Return how many of that many day ones in a pass make a step."""
        return min(self.batch_size or min(max(n_rows // 64, 32), 512), n_rows)


class ColdModelConfig(TrainingConfig):
    """The network that predicts a cold user's vector (PAPER, step 2)."""

    neighbor_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight of a second loss, by which the network learns a vector of its own for `neighbors`, to find "
        "warm users who use what the user goes on to use; 0: `neighbors` takes the predicted vector. Not in the paper.",
    )
    stop_by: Literal["both", "segment"] = Field(
        default="both",
        description="The lists by whose precision on validation users training stops: those of the nearest segment and "
        "of the nearest items alike, or those of the nearest `segment` alone. Peers stop by both.",
    )
    peers: tuple[PeerName, ...] = Field(
        default=(),
        description="Other cold models to train beside ours, `dropoutnet` and `melu`, for the strategies named after "
        "them; `evaluate` adds those that its strategies need. Layers, schedule, epochs, batch size, patience "
        "and what makes a pass are theirs too.",
    )

    @property
    def stopped_by(self) -> tuple[str, ...]:
        """Strategies whose precision, or mean precision, on validation users decides when training stops."""
        return ("segment", "personal") if self.stop_by == "both" else ("segment",)


class RankerConfig(TrainingConfig):
    """The network that ranks items from day-one features, for `direct` and `blend`; not in the paper."""

    enabled: bool = Field(default=True, description="Whether to train it; without it, `direct` cannot answer.")
    hidden: tuple[Count, ...] = Field(default=(300,), description="Widths of the hidden layers.")
    learning_rate: float = Field(default=3e-3, gt=0, description="As in `cold_model`.")
    epochs: Count = Field(default=8, description="As in `cold_model`.")
    patience: Count = Field(default=4, description="As in `cold_model`.")
    input_dropout: float = Field(default=0.2, ge=0, lt=1, description="Share of features hidden at every step.")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="Share of hidden numbers left out at every step.")
    most_items: Count = Field(
        default=8192, description="Items that it ranks, at most: the most used ones. Time and memory grow with them."
    )
    most_rows: int = Field(default=65_536, ge=512, description="As in `cold_model`.")


class DropoutNetConfig(Section):
    """DropoutNet (Volkovs et al., NeurIPS 2017), a peer of the cold model."""

    preference_dropout: Fraction = Field(
        default=0.5, description="Share of users whose warm vector is hidden from the input, drawn anew at every step."
    )
    transform: Literal["zeros", "mean"] = Field(
        default="zeros",
        description="What stands in the input for a hidden or unknown vector: zeros, or the mean vector of day-one "
        "items (the article's transform).",
    )
    items_per_step: Count = Field(
        default=1000, description="Items whose scores are to be reproduced, drawn anew at every step."
    )
    learning_rate: float = Field(default=1e-2, gt=0, description="As in `cold_model`.")


class MeluConfig(Section):
    """MeLU (Lee et al., KDD 2019), a peer of the cold model."""

    inner_steps: Annotated[int, Field(ge=0)] = Field(
        default=1, description="Gradient steps that the last layer takes for each user on the items of day one."
    )
    inner_rate: float = Field(
        default=0.1, gt=0, description="Their size; for the layer's weights it is divided by the layer's width."
    )
    negative_weight: float = Field(
        default=20.0,
        ge=0,
        description="Weight of the mean over all items against the mean over used items in the loss.",
    )
    query_items: Count = Field(
        default=32, description="Later items that an adapted user is judged on in training, drawn anew at every step."
    )
    learning_rate: float = Field(default=1e-2, gt=0, description="As in `cold_model`.")
