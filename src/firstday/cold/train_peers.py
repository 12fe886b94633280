"""Train the peers of the cold model that are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from firstday.cold.dropoutnet import train_dropoutnet
from firstday.cold.melu import train_melu
from firstday.cold.peer_data import PeerData
from firstday.cold.peers import Peer
from firstday.config import Config, PeerName


class Trainer(Protocol):
    """What trains a peer; see `train_dropoutnet`."""

    def __call__(
        self,
        data: PeerData,
        validate: Callable[[np.ndarray], float],
        config: Config,
        *,
        progress: Callable[[int, int], None],
    ) -> Peer:
        """Train."""


TRAINERS: dict[PeerName, Trainer] = {"dropoutnet": train_dropoutnet, "melu": train_melu}


def train_peers(
    data: PeerData,
    validate: Callable[[np.ndarray], float],
    config: Config,
    *,
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> dict[PeerName, Peer]:
    """Train the peers of `config.cold_model.peers`.

    Parameters
    ----------
    data
        What they learn from.
    validate
        Precision in %, higher is better, of validation users' predicted vectors; decides when to stop.
    config
        The configuration.
    progress
        Called with the peer's name, epochs done and epochs at most.

    Returns
    -------
    dict
        The peers by name.
    """
    peers: dict[PeerName, Peer] = {}
    for name, train in TRAINERS.items():
        if name in config.cold_model.peers:

            def told(done: int, total: int, name: str = name) -> None:
                progress(name, done, total)

            peers[name] = train(data, validate, config, progress=told)
    return peers
