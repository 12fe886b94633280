"""A package of a stranger's own, the one of docs/add-a-method.md, works from evaluation to the service."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import firstday as fd
from firstday.cli.main import app
from firstday.recommend import registry
from tests.environments import ROOT
from tests.serve.in_process import running_app

PAGE = (ROOT / "docs" / "add-a-method.md").read_text(encoding="utf-8")
ENTRY_POINTS = """
[firstday.strategies]
tamed = my_methods:TAMED
[firstday.cold_models]
linear = my_methods:LINEAR
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
NAMES = ("tamed", "linear_personal", "linear_segment")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registry: None) -> Path:
    """A folder with tables, and an installed package: a module and its metadata."""
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    metadata = tmp_path / "installed" / "my_methods-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata.parent / "my_methods.py").write_text(code.group(1))
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-methods\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(metadata.parent)
    registry._registry.cache_clear()
    (tmp_path / "settings.toml").write_text(SETTINGS)
    rng = np.random.default_rng(0)
    rows = [f"u{user},i{item}" for user in range(120) for item in np.flatnonzero(rng.random(60) < 0.5)]
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "interactions.csv").write_text("\n".join(["user_id,item_id", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> str:
    """Return what a command prints."""
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.slow
def test_a_strangers_package_goes_all_the_way(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strategies = [part for name in NAMES for part in ("--strategy", name)]
    evaluated = call(
        "evaluate", "tables", "--config", "settings.toml", "--plugin", "my_methods", "--json", "-", *strategies
    )
    results = {row["strategy"]: row for row in json.loads(evaluated)["results"]}
    assert tuple(results)[-3:] == NAMES
    assert all(results[name]["routes"][name] > 0 for name in NAMES)

    call("train", "tables", "--config", "settings.toml", "--out", "model")
    model = fd.open_model("model").model
    learned = model.learned
    assert [type(learned[name]).__module__ for name in ("tamed", "linear")] == ["my_methods", "my_methods"]
    np.testing.assert_allclose(learned["tamed"].weights, np.array(model.popularity) ** 0.25, rtol=1e-5)
    fd.Recommender(model).save("copy")
    assert (fd.open_model("copy").model.learned["tamed"].weights == learned["tamed"].weights).all()

    user = {"interactions": [["stream", "item", "i1"]]}
    listed = json.loads(
        call("recommend", "model", "--user", json.dumps(user), "--json", "-k", "5", "--strategy", "tamed")
    )
    assert listed["route"] == "tamed"
    assert len(listed["items"]) == 5

    with running_app(place / "model", place) as running, running.open_client() as http:
        assert set(NAMES) <= set(http.get("/v1/model").json()["strategies"])
        body = {"signals": user, "k": 5, "strategy": "tamed", "explain": True}
        served = http.post("/v1/recommendations", json=body).json()
        assert [item["item_id"] for item in served["items"]] == [item["item_id"] for item in listed["items"]]
        assert served["explanation"]["route"]

    monkeypatch.setattr(registry, "entry_points", lambda **_group: ())
    registry._registry.cache_clear()
    with pytest.warns(UserWarning, match="tamed, linear"):
        recommender = fd.open_model("model")
    assert len(recommender.recommend({}, 5)) == 5
