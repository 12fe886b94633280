"""What models have learned as bytes, to compare them."""

from __future__ import annotations

from typing import Any

from firstday.cold.cold_model import ColdModel
from firstday.model.codec import encode
from firstday.model.trained_model import TrainedModel


def network_bytes(network: ColdModel) -> bytes:
    """Return all numbers of a network."""
    arrays = [part for layer in network.layers for part in (layer.weights, layer.bias, layer.scale, layer.shift)]
    return b"".join(array.tobytes() for array in arrays if array is not None)


def networks_of(model: TrainedModel) -> dict[str, Any]:
    """Return the arrays of every network of a model as bytes, by their files' names."""
    _, files = encode(model)
    return {name: content.tobytes() for name, content in files.items() if ".layers." in name}  # type: ignore[union-attr]


def statistics_of(model: TrainedModel) -> dict[str, Any]:
    """Return what else training made of data: arrays as bytes by their files' names, and all that is no array."""
    values, contents = encode(model)
    parts = ("signal_encoder", "fold_in", "segments", "everyone", "profile_groups")
    files = {
        name: content.tobytes()  # type: ignore[union-attr]
        for name, content in contents.items()
        if name.startswith((*parts, "learned.input_clusters"))
    }
    return files | {part: values[part] for part in parts} | {"clusters": values["learned"]["input_clusters"]}
