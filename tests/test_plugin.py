"""A package of a stranger's own, the one of docs/add-a-method.md, works from evaluation to the service."""

from __future__ import annotations

import json
import os
import re
import sysconfig
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tests.environments import ROOT, make_environment, run, serve

PAGE = (ROOT / "docs" / "add-a-method.md").read_text(encoding="utf-8")
PROJECT = """
[build-system]
requires = ["hatchling>=1.25"]
build-backend = "hatchling.build"
[project]
name = "my-methods"
version = "1"
[project.entry-points."firstday.strategies"]
tamed = "my_methods:TAMED"
[project.entry-points."firstday.cold_models"]
linear = "my_methods:LINEAR"
[tool.hatch.build.targets.wheel]
include = ["my_methods.py"]
"""
SETTINGS = """
methods = ["tamed", "linear"]
threads = 1
[cold_model]
epochs = 1
hidden = [8]
[ranker]
enabled = false
[plugins.tamed]
powers = [0.25]
"""
LOOK = """
import json, sys, firstday as fd
recommender = fd.open_model("model")
learned = recommender.model.learned
shares = recommender.model.popularity
fd.Recommender(recommender.model).save("copy")
again = fd.open_model("copy").model.learned
print(json.dumps({
    "modules": [type(learned[name]).__module__ for name in ("tamed", "linear")],
    "weights": [float(weight) for weight in learned["tamed"].weights],
    "shares": [float(share) for share in shares],
    "linear": list(learned["linear"].weights.shape),
    "same": bool((again["tamed"].weights == learned["tamed"].weights).all()),
}))
"""


WITHOUT = """
import importlib.metadata, warnings
importlib.metadata.entry_points = lambda **_group: ()
import firstday as fd
with warnings.catch_warnings(record=True) as caught:
    recommender = fd.open_model("model")
print(caught[0].message, len(recommender.recommend({}, 5)))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables and an environment of its own: firstday, the package, and beside them the libraries."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "package").mkdir()
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    (folder / "package" / "my_methods.py").write_text(code.group(1))
    (folder / "package" / "pyproject.toml").write_text(PROJECT)
    (folder / "settings.toml").write_text(SETTINGS)
    make_environment(folder / "env", "--no-deps", sources=(ROOT, folder / "package"))
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")  # numpy, torch, ...; not firstday
    rng = np.random.default_rng(0)
    rows = [f"u{user},i{item}" for user in range(120) for item in np.flatnonzero(rng.random(60) < 0.5)]
    (folder / "tables").mkdir()
    (folder / "tables" / "interactions.csv").write_text("\n".join(["user_id,item_id", *rows]) + "\n")
    return folder


ALONE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
"""The environment without what would put the checkout before the installed package."""


def call(place: Path, command: str, *arguments: str) -> str:
    """Return the output of a program of the stranger's environment."""
    return run(place / "env" / "bin" / command, *arguments, folder=place, environment=ALONE)


@pytest.mark.slow
def test_a_strangers_package_goes_all_the_way(place: Path) -> None:
    where = call(place, "python", "-c", "import firstday; print(firstday.__file__)")
    assert where.startswith(str(place))  # the one installed there, not the checkout

    evaluated = call(
        place, "firstday", "evaluate", "tables", "--config", "settings.toml", "--plugin", "my_methods", "--json", "-",
        "--strategy", "tamed", "--strategy", "linear_personal", "--strategy", "linear_segment",
    )  # fmt: skip
    results = {row["strategy"]: row for row in json.loads(evaluated)["results"]}
    assert list(results)[-3:] == ["tamed", "linear_personal", "linear_segment"]
    assert all(results[name]["routes"][name] > 0 for name in ("tamed", "linear_personal", "linear_segment"))

    call(place, "firstday", "train", "tables", "--config", "settings.toml", "--out", "model")
    looked = json.loads(call(place, "python", "-c", LOOK))
    assert looked["modules"] == ["my_methods", "my_methods"]
    np.testing.assert_allclose(looked["weights"], np.array(looked["shares"]) ** 0.25, rtol=1e-5)
    assert looked["same"]

    user = json.dumps({"interactions": [["stream", "item", "i1"]]})
    command = ("firstday", "recommend", "model", "--user", user, "--json", "-k", "5", "--strategy")
    listed = json.loads(call(place, *command, "tamed"))
    assert listed["route"] == "tamed"
    assert len(listed["items"]) == 5

    with serve(place / "env" / "bin" / "python", place / "model", ALONE) as url:
        with urllib.request.urlopen(f"{url}/v1/model", timeout=10) as answer:
            assert {"tamed", "linear_personal", "linear_segment"} <= set(json.load(answer)["strategies"])
        body = {"signals": {"interactions": [{"entity_id": "i1"}]}, "k": 5, "strategy": "tamed", "explain": True}
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/v1/recommendations", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            served = json.load(answer)
        assert [item["item_id"] for item in served["items"]] == [item["item_id"] for item in listed["items"]]
        assert served["explanation"]["route"]

    warning = call(place, "python", "-c", WITHOUT)
    assert "tamed, linear" in warning
    assert warning.strip().endswith(" 5")
