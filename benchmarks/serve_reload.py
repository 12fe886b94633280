"""Reload models under load: no request fails, and each answer comes entirely from the model it names.

    python benchmarks/serve_reload.py MODEL [--reloads 20] [--out OUT]

Two versions of a model alternate, by `rollback`; they differ in their titles, so that a mixed answer would show. Now
and then the folder holds a damaged model, which must be rejected while the old one keeps answering.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import typer
from result_files import write_results
from serve_ledger import check
from serve_process import Connection, ServerProcess, write_request

from firstday.model.folder import read_manifest, rollback, save_model
from firstday.model.trained_model import TrainedModel
from firstday.recommend.recommender import open_model

N_CONNECTIONS = 8
LABELS = ("one", "other")


def relabel(model: TrainedModel, label: str) -> TrainedModel:
    """Return the model with titles that identify it."""
    titles = tuple(f"{label} {ix}" for ix in range(model.n_items))
    return replace(model, catalogue=replace(model.catalogue, titles=titles))


@dataclass
class Traffic:
    """What clients saw during reloads."""

    expected: dict[str, str]
    """Label of each version."""
    answers: Counter[str] = field(default_factory=Counter)
    latest: str = ""
    """Version that must answer all requests from now on, unless a reload is in progress."""
    slowest_s: float = 0.0
    stopped: bool = False

    async def ask(self, url: str, number: int) -> None:
        """Request lists until stopped, by both routes, and check each answer."""
        connection = await Connection.open(url)
        requests = (
            write_request("GET", f"/v1/users/u{number}/recommendations"),
            write_request("POST", "/v1/recommendations", {"signals": {"age": 20 + number}, "explain": True}),
        )
        turn = 0
        while not self.stopped:
            turn += 1
            required = self.latest
            began = time.perf_counter()
            status, body = await connection.send(requests[turn % 2])
            self.slowest_s = max(self.slowest_s, time.perf_counter() - began)
            check(status == 200, f"a request failed during a swap: {status} {body[:200]!r}")
            answer = json.loads(body)
            version = answer["model"]
            check(version in self.expected, f"an answer names a model that was never there: {version}")
            check(not required or version == required, "an answer came from the old model after the swap")
            label = self.expected[version]
            check(all(item["title"].startswith(f"{label} ") for item in answer["items"]), "an answer mixes two models")
            self.answers[version] += 1
        connection.close()


def damage(model: Path) -> None:
    """Flip a byte of a model's network; a second call restores it."""
    path = model / read_manifest(model)["version"] / "cold.layers.0.weights.npy"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def reload_under_load(model: Path, folder: Path, n_reloads: int) -> dict[str, Any]:
    """Reload models while clients send requests."""
    trained = open_model(model).model
    served = folder / "served"
    version_of = {
        label: read_manifest(save_model(relabel(trained, label), served))["version"] for label in reversed(LABELS)
    }
    versions = {version: label for label, version in version_of.items()}
    server = ServerProcess(served, folder / "server", {"log_requests": "false"})
    traffic = Traffic(versions)
    refused = 0

    async def swap() -> None:
        nonlocal refused
        admin = await Connection.open(server.url)
        for number in range(n_reloads):
            label = LABELS[(number + 1) % 2]
            if number % 5 == 1:  # first a damaged model
                rollback(served, version_of[label])
                damage(served)
                status, body = await admin.send(write_request("POST", "/v1/model/reload"))
                check(status == 409 and json.loads(body)["code"] == "model_refused", f"{status} {body!r}")
                check(
                    "cold.layers.0.weights.npy: is missing or was changed" in json.loads(body)["message"], body.decode()
                )
                refused += 1
                damage(served)
            traffic.latest = ""
            if number % 5 != 1:
                rollback(served, version_of[label])
            status, body = await admin.send(write_request("POST", "/v1/model/reload"))
            answer = json.loads(body)
            check(status == 200 and answer["changed"] is True, f"{status} {answer}")
            check(answer["model"] == version_of[label], str(answer))
            traffic.latest = version_of[label]
            await asyncio.sleep(0.05)
        traffic.stopped = True
        admin.close()

    async def run() -> None:
        asking = [asyncio.create_task(traffic.ask(server.url, number)) for number in range(N_CONNECTIONS)]
        try:
            await swap()
        finally:
            traffic.stopped = True
            await asyncio.gather(*asking)

    try:
        asyncio.run(run())
        memory = server.memory_mib()
    finally:
        server.stop()
    check(all(traffic.answers[version] > 0 for version in versions), "one of the models never answered")
    return {
        "reloads": n_reloads,
        "refused": refused,
        "answers": sum(traffic.answers.values()),
        "slowest_answer_ms": 1000 * traffic.slowest_s,
        **memory,
    }


def main(model: Path, reloads: int = 20, out: Path | None = None) -> None:
    """Run the reloads, and print what clients saw."""
    with tempfile.TemporaryDirectory() as folder:
        write_results(reload_under_load(model, Path(folder), reloads), out)


if __name__ == "__main__":
    typer.run(main)
