"""The page on operations and the files for deployment: names exist, and the container starts and checks the service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from serve_process import ServerProcess

from firstday.recommend.recommender import Recommender
from firstday.serve.settings import PREFIX, ServeSettings
from tests.serve.in_process import running_app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
DEPLOYED = (PAGE, ROOT / "Dockerfile", ROOT / "compose.yaml", *sorted((ROOT / "deploy").iterdir()), ROOT / "README.md")


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: path.name)
def test_every_documented_setting_exists(path: Path) -> None:
    known = {PREFIX + name.upper() for name in ServeSettings.model_fields}
    named = set(re.findall(rf"{PREFIX}\w*[A-Z]", path.read_text(encoding="utf-8")))
    assert named <= known, named - known


def test_every_endpoint_is_on_the_page(tiny: Recommender, tmp_path: Path) -> None:
    with running_app(tiny.save(tmp_path / "model"), tmp_path) as app, app.open_client() as http:
        paths = http.get("/v1/openapi.json").json()["paths"]
    page = PAGE.read_text(encoding="utf-8").replace("items/{id}", "items/{item_id}")
    page = page.replace("{id}", "{user_id}").replace("{n}", "{segment}")
    for path, methods in paths.items():
        assert path in page
        for method in methods:
            assert re.search(rf"`{method.upper()} [^|]*{re.escape(path)}", page), (method, path)


def test_the_health_check_of_the_container_detects_a_stopped_server(tiny: Recommender, tmp_path: Path) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    command = json.loads(re.search(r"^HEALTHCHECK .*?CMD (\[.*\])$", text, re.MULTILINE)[1])  # type: ignore[index]
    assert command[0] == "python"
    server = ServerProcess(tiny.save(tmp_path / "model"), tmp_path)
    environment = {**os.environ, "FIRSTDAY_SERVE_PORT": server.url.rpartition(":")[2]}

    def run() -> int:
        return subprocess.run(
            [sys.executable, *command[1:]], env=environment, capture_output=True, check=False
        ).returncode

    try:
        assert run() == 0
    finally:
        server.stop()
    assert run() != 0
