"""Write into docs/architecture.md which files a request and a training run through: python docs/write_paths.py.

Both are done for real, on a small simulated service, and each file of firstday is noted when one of its functions is
first called.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

import firstday as fd
from firstday.config import parse_config
from firstday.serve.app import make_app
from firstday.serve.service import Service
from firstday.serve.settings import load_settings
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import simulate

PAGE = Path(__file__).parent / "architecture.md"
PACKAGE = str(Path(fd.__file__).parent) + os.sep
CONFIG = {
    "threads": 1,
    "cold_model": {"epochs": 1, "hidden": [8]},
    "ranker": {"epochs": 1, "hidden": [8]},
    "sampled": {"min_items": 3, "day_ones": 1},
}


@contextmanager
def noting_files() -> Iterator[list[str]]:
    """Note the files of firstday in which a function is called, each once, in order."""
    files: dict[str, None] = {}

    def note(frame: FrameType, event: str, _value: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(PACKAGE):
            files.setdefault(name.removeprefix(PACKAGE).removesuffix(".py").replace(os.sep, "/"))

    noted: list[str] = []
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield noted
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        # The door of the public names is on the path only where somebody came by it before.
        noted += [name for name in files if not name.endswith(("progress", "arguments", "__init__"))]


def trace_training(tables: Path) -> tuple[fd.Recommender, list[str]]:
    """Train on tables that are loaded already; return the model, and the files that training ran through."""
    config = parse_config(CONFIG)
    dataset = fd.load(tables, config=config)
    fd.train(dataset, config)  # what is loaded once is no part of it
    with noting_files() as files:
        recommender = fd.train(dataset, config)
    return recommender, files


def trace_request(model: Path, folder: Path) -> list[str]:
    """Ask a service for the list of a stored user; return the files that the request ran through."""

    async def ask() -> list[str]:
        settings = load_settings({"store": f"sqlite:///{folder / 'users.sqlite'}", "log_requests": False})
        app = make_app(Service(model, settings))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await client.put("/v1/users/u1", json={"age": 24})
            event = {"event_id": "e1", "user_id": "u1", "entity_id": fd.open_model(model).model.catalogue.items[0]}
            await client.post("/v1/events", json={"events": [{**event, "entity_id": str(event["entity_id"])}]})
            path = "/v1/users/u1/recommendations?k=10&strategy=segment"
            await client.get(path)  # what is loaded once is no part of it
            with noting_files() as files:
                answer = await client.get(path)
        assert answer.status_code == 200, answer.text
        return files

    return asyncio.run(ask())


def trace_both() -> dict[str, list[str]]:
    """Return the files of a request and of a training."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(SimulationSettings(600, 300), folder / "tables")
        recommender, training = trace_training(folder / "tables")
        return {"request": trace_request(recommender.save(folder / "model"), folder), "training": training}


def write_path(files: list[str]) -> str:
    """Write files as a sentence, folder by folder."""
    return f"{len(files)} files: " + ", ".join(f"`{name}`" for name in files) + "."


def fold(text: str) -> str:
    """Break a text into lines of 120 characters."""
    return "\n".join(textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False))


def fill_in(page: str, paths: dict[str, list[str]]) -> str:
    """Put the paths between their marks in the page."""
    for name, files in paths.items():
        write: Callable[[re.Match[str]], str] = lambda found, files=files: (  # type: ignore[misc] # noqa: E731
            f"{found.group(1)}\n{fold(write_path(files))}\n{found.group(2)}"
        )
        page = re.sub(rf"(<!-- path: {name} -->)\n.*?(<!-- end -->)", write, page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    PAGE.write_text(fill_in(PAGE.read_text(encoding="utf-8"), trace_both()), encoding="utf-8")
