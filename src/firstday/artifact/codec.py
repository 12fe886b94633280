"""A TrainedModel as named arrays and JSON values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from firstday.artifact.trained_model import Blending, TrainedModel
from firstday.cold.cold_model import ColdModel, Epoch
from firstday.cold.peers import DropoutNet, Melu, Peer
from firstday.cold.ranker import Ranker
from firstday.config import Config, PeerName
from firstday.data.ids import Ids
from firstday.embed.embeddings import FoldIn
from firstday.embed.kept_users import Neighborhood, WarmUsers
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import Encoder
from firstday.segment.segments import ItemCounts, Mixing, Segments
from firstday.sparse import SparseRows

Arrays = dict[str, np.ndarray]
COLD_MODEL = "cold_model"
"""File name of our own network, without ending."""
RANKER = "ranker"
"""File name of the ranker's network, without ending."""


def to_arrays(model: TrainedModel) -> Arrays:
    """Return every array of the model, by file name without ending."""
    encoder = model.encoder
    arrays: Arrays = {"item_vectors": encoder.fold_in.item_vectors}
    for number, vectors in enumerate(encoder.target_vectors.values()):
        arrays[f"target_vectors_{number}"] = vectors
    for number, means in enumerate(encoder.group_means.values()):
        arrays[f"group_means_{number}"] = means
    for number, members in enumerate(encoder.members_of_items.values()):
        arrays[f"members_{number}_starts"] = members.starts
        arrays[f"members_{number}_members"] = members.columns
    if encoder.age_means is not None:
        arrays["age_means"] = encoder.age_means
    _put_segments(arrays, "segments", model.segments)
    _put_segments(arrays, "input_clusters", model.input_clusters)
    _put_counts(arrays, "everyone", model.everyone)
    for number, counted in enumerate(model.profile_groups.values()):
        _put_counts(arrays, f"profile_{number}", counted)
    if model.ranker is not None:
        arrays |= {"ranker_items": model.ranker.items, "ranker_weights": model.ranker.weights}
        arrays["ranker_bias"] = model.ranker.bias
    if model.warm is not None:
        arrays |= {"warm_vectors": model.warm.vectors, "warm_starts": model.warm.uses.starts}
        arrays["warm_items"] = model.warm.uses.columns
    melu = model.peers.get("melu")
    if isinstance(melu, Melu):
        arrays |= {"melu_weights": melu.weights, "melu_bias": melu.bias, "melu_gram": melu.gram}
    return arrays


def to_networks(model: TrainedModel) -> dict[str, bytes]:
    """Return every network of the model as ONNX, by file name without ending."""
    networks = {COLD_MODEL: model.cold.onnx}
    if model.ranker is not None:
        networks[RANKER] = model.ranker.body.onnx
    for name, peer in model.peers.items():
        networks[name] = (peer.body if isinstance(peer, Melu) else peer.network).onnx
    return networks


def to_values(model: TrainedModel) -> dict[str, Any]:
    """Return everything else but the ids and the networks, as JSON values."""
    encoder, fold_in = model.encoder, model.encoder.fold_in
    return {
        "config": model.config.model_dump(mode="json"),
        **model.facts,
        "similarity": model.similarity,
        "fold_in": {
            "rule": fold_in.rule,
            "confidence": fold_in.confidence,
            "regularization": fold_in.regularization,
        },
        "features": {
            "blocks": list(encoder.blocks()),
            "n_inputs": encoder.n_inputs,
            "pairs": [list(pair) for pair in encoder.pairs],
            "targets": list(encoder.target_vectors),
            "groups": list(encoder.group_means),
            "through_items": list(encoder.members_of_items),
            "friends": encoder.friend_vectors is not None,
            "age_centre": encoder.age_centre,
            "age_scale": encoder.age_scale,
        },
        "profile_groups": list(model.profile_groups),
        "catalogue": {
            "entities": list(model.catalogue.entities),
            "groups": {name: list(values) for name, values in model.catalogue.groups.items()},
            "has_ages": model.catalogue.has_ages,
            "signals": list(model.catalogue.signals),
        },
        "mixing": asdict(model.mixing),
        "neighborhood": asdict(model.neighborhood),
        "light_users": 0 if model.warm is None else model.warm.n_light,
        "blending": [dict(weights) for weights in model.blending.weights],
        "history": [asdict(epoch) for epoch in model.cold.history],
        "ranker": None if model.ranker is None else {"history": [asdict(epoch) for epoch in model.ranker.history]},
        "peers": {name: _peer_values(peer) for name, peer in model.peers.items()},
    }


def _peer_values(peer: Peer) -> dict[str, Any]:
    """Return what is neither array nor network of a peer."""
    history = [asdict(epoch) for epoch in peer.history]
    if isinstance(peer, Melu):
        settings = {name: getattr(peer, name) for name in ("scale", "steps", "rate", "negative_weight")}
    else:
        settings = {"transform": peer.transform}
    return {**settings, "history": history}


def _get_peers(
    values: Mapping[str, Any], arrays: Mapping[str, np.ndarray], networks: Mapping[str, bytes]
) -> dict[PeerName, Peer]:
    """Put the peers together again."""
    peers: dict[PeerName, Peer] = {}
    for name, found in values.items():
        settings = {key: value for key, value in found.items() if key != "history"}
        network = ColdModel(networks[name], _history(found))
        if name == "melu":
            weights, bias, gram = (arrays[f"melu_{key}"] for key in ("weights", "bias", "gram"))
            peers["melu"] = Melu(network, weights, bias, gram, **settings)
        else:
            peers["dropoutnet"] = DropoutNet(network, **settings)
    return peers


def _get_ranker(
    values: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray], networks: Mapping[str, bytes]
) -> Ranker | None:
    """Put the ranker together again."""
    if values is None:
        return None
    items, weights, bias = (arrays[f"ranker_{key}"] for key in ("items", "weights", "bias"))
    return Ranker(ColdModel(networks[RANKER], _history(values)), items, weights, bias)


def _get_warm(arrays: Mapping[str, np.ndarray], people: Ids | None, n_items: int, n_light: int) -> WarmUsers | None:
    """Put the warm users together again."""
    if people is None:
        return None
    columns = arrays["warm_items"]
    ones = np.broadcast_to(np.float32(1), len(columns))  # takes no memory
    uses = SparseRows(arrays["warm_starts"], columns, ones, n_items)
    return WarmUsers(people, arrays["warm_vectors"], uses, n_light)


def _history(values: Mapping[str, Any]) -> tuple[Epoch, ...]:
    """Read how a training went."""
    return tuple(Epoch(**epoch) for epoch in values["history"])


def from_parts(
    arrays: Mapping[str, np.ndarray],
    values: Mapping[str, Any],
    networks: Mapping[str, bytes],
    items: Ids,
    titles: tuple[str, ...] | None,
    entities: Mapping[str, Ids],
    people: Ids | None,
) -> TrainedModel:
    """Put a model together again."""
    config = Config.model_validate(values["config"])
    features, catalogue = values["features"], values["catalogue"]
    encoder = Encoder(
        pairs=tuple((signal, entity) for signal, entity in features["pairs"]),
        target_vectors={name: arrays[f"target_vectors_{n}"] for n, name in enumerate(features["targets"])},
        group_means={name: arrays[f"group_means_{n}"] for n, name in enumerate(features["groups"])},
        age_means=arrays.get("age_means"),
        age_centre=features["age_centre"],
        age_scale=features["age_scale"],
        fold_in=FoldIn(arrays["item_vectors"], **values["fold_in"]),
        config=config.features,
        signals=config.signals,
        members_of_items={
            name: _get_members(arrays, number, len(entities[name]))
            for number, name in enumerate(features["through_items"])
        },
        friend_vectors=arrays["warm_vectors"] if features["friends"] else None,
    )
    n_items = len(items)
    return TrainedModel(
        config=config,
        catalogue=Catalogue(
            items,
            entities,
            {name: tuple(group) for name, group in catalogue["groups"].items()},
            catalogue["has_ages"],
            tuple(catalogue["signals"]),
            titles,
            people,
        ),
        encoder=encoder,
        similarity=values["similarity"],
        cold=ColdModel(networks[COLD_MODEL], _history(values)),
        segments=_get_segments(arrays, "segments", n_items),
        input_clusters=_get_segments(arrays, "input_clusters", n_items),
        everyone=_get_counts(arrays, "everyone", n_items),
        profile_groups={
            name: _get_counts(arrays, f"profile_{n}", n_items) for n, name in enumerate(values["profile_groups"])
        },
        facts={"data": values["data"], "metrics": values["metrics"]},
        mixing=Mixing(**values["mixing"]),
        peers=_get_peers(values.get("peers", {}), arrays, networks),
        ranker=_get_ranker(values["ranker"], arrays, networks),
        warm=_get_warm(arrays, people, n_items, values["light_users"]),
        neighborhood=Neighborhood(**values["neighborhood"]),
        blending=Blending(tuple(values["blending"])),
    )


def _get_members(arrays: Mapping[str, np.ndarray], number: int, n_members: int) -> SparseRows:
    """Read which members of an entity each item belongs to."""
    columns = arrays[f"members_{number}_members"]
    return SparseRows(arrays[f"members_{number}_starts"], columns, np.ones(len(columns), dtype=np.float32), n_members)


def _put_counts(arrays: Arrays, name: str, counted: ItemCounts) -> None:
    """Add the arrays of item counts."""
    arrays[f"{name}_starts"] = counted.counts.starts
    arrays[f"{name}_items"] = counted.counts.columns
    arrays[f"{name}_counts"] = counted.counts.weights
    arrays[f"{name}_sizes"] = counted.sizes


def _get_counts(arrays: Mapping[str, np.ndarray], name: str, n_items: int) -> ItemCounts:
    """Read the arrays of item counts."""
    rows = SparseRows(arrays[f"{name}_starts"], arrays[f"{name}_items"], arrays[f"{name}_counts"], n_items)
    return ItemCounts(rows, arrays[f"{name}_sizes"])


def _put_segments(arrays: Arrays, name: str, segments: Segments) -> None:
    """Add the arrays of segments."""
    arrays[f"{name}_centroids"] = segments.centroids
    arrays[f"{name}_top_items"] = segments.top_items
    arrays[f"{name}_spread"] = segments.spread
    _put_counts(arrays, name, segments.items)


def _get_segments(arrays: Mapping[str, np.ndarray], name: str, n_items: int) -> Segments:
    """Read the arrays of segments."""
    return Segments(
        arrays[f"{name}_centroids"],
        _get_counts(arrays, name, n_items),
        arrays[f"{name}_top_items"],
        arrays[f"{name}_spread"],
    )
