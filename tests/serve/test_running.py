"""The process: when it is ready, how it stops, what it logs and counts, and when it takes another model."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from serve_process import ServerProcess
from serve_reload import damage, relabel

from firstday.artifact.folder import read_manifest, save_model
from firstday.recommend.recommender import Recommender
from tests.serve.conftest import StartServer, assert_error, open_client, wait_for

TRAINING = ("torch", "scipy", "sklearn", "implicit", "faiss", "gensim", "matplotlib")


def test_it_says_when_it_is_ready_and_answers_at_once(server: ServerProcess, http: httpx.Client, model: Path) -> None:
    ready = server.log()[0]
    version = read_manifest(model)["version"]
    assert ready["event"] == "ready"
    assert (ready["url"], ready["model"], ready["pid"]) == (server.url, version, server.process.pid)
    assert ready["keys"].startswith("none")
    assert server.ready_s < 15  # far less, where the machine is not busy
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ready", "model": version, "store": "ok"}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_no_training_library_is_in_the_process(server: ServerProcess, http: httpx.Client) -> None:
    assert http.get("/v1/users/u/recommendations", params={"explain": True}).status_code == 200
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "onnxruntime" in mapped
    assert not [name for name in TRAINING if f"/{name}" in mapped]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": "none-such"}, "error: none-such: holds no model (manifest.json is missing); train one with"),
        ({"FIRSTDAY_SERVE_PROT": "80"}, "error: FIRSTDAY_SERVE_PROT: is not a setting; see docs/operations.md"),
        ({"FIRSTDAY_SERVE_PORT": "high"}, "error: FIRSTDAY_SERVE_PORT: input should be a valid integer"),
        ({"FIRSTDAY_SERVE_STORE": "postgres://x"}, "error: store: its URL begins with neither"),
        (
            {"FIRSTDAY_SERVE_STORE": "sqlite:////proc/none/u.sqlite"},
            "error: store: /proc/none/u.sqlite cannot be opened",
        ),
    ],
)
def test_a_mistake_is_one_sentence(model: Path, settings: dict[str, str], sentence: str) -> None:
    values = {"FIRSTDAY_SERVE_PORT": "0", "COLUMNS": "200", **settings}
    command = [sys.executable, "-m", "firstday", "serve", values.pop("model", str(model))]
    environment = {**os.environ, **values}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence), done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_named(server: ServerProcess, model: Path) -> None:
    port = urlsplit(server.url).port
    command = [sys.executable, "-m", "firstday", "serve", str(model), "--port", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == f"error: 127.0.0.1:{port}: is in use; give another with --port or --host.\n"


def test_told_to_stop_it_finishes_what_is_in_work(start_server: StartServer) -> None:
    server = start_server(drain_delay_s=0.5)
    body = json.dumps({"events": [{"event_id": "e", "user_id": "u", "entity_id": "i001"}]}).encode()
    head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port)) as slow, open_client(server) as http:
        slow.sendall(head + body[:10])
        assert http.get("/readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: http.get("/readyz").status_code == 503)
        assert_error(http.get("/readyz"), 503, "draining")
        assert http.get("/v1/users/u/recommendations").status_code == 200  # still
        wait_for(lambda: not _connects(server))
        assert server.process.poll() is None
        slow.sendall(body[10:])
        slow.settimeout(10)
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.process.wait(timeout=10) == 0
    assert server.log()[-1]["event"] == "stopped"
    server.start()
    with open_client(server) as http:
        assert len(http.get("/v1/users/u").json()["events"]) == 1


def _connects(server: ServerProcess) -> bool:
    parts = urlsplit(server.url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_second_signal_does_not_wait(start_server: StartServer) -> None:
    server = start_server(drain_delay_s=30)
    for _ in range(2):
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    assert server.process.wait(timeout=10) == 0
    assert [line["event"] for line in server.log()] == ["ready", "stopped"]
    assert "Traceback" not in server.log_path.read_text()


def test_no_request_fails_while_it_drains_behind_a_proxy(start_server: StartServer) -> None:
    """Clients that heed /readyz see no failure at all."""
    server = start_server(drain_delay_s=0.5)
    failures: list[Any] = []

    def ask() -> None:
        with open_client(server) as http:
            while http.get("/readyz").status_code == 200:
                if http.get("/v1/users/u/recommendations").status_code != 200:
                    failures.append("status")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert not failures


def test_a_reload_takes_what_the_folder_holds(
    start_server: StartServer, recommender: Recommender, tmp_path: Path
) -> None:
    folder = save_model(recommender.model, tmp_path / "model")
    server = start_server(folder)
    with open_client(server) as http:
        first = http.get("/v1/model").json()["model"]
        assert http.post("/v1/model/reload").json() == {"model": first, "before": first, "changed": False}
        save_model(relabel(recommender.model, "new"), folder)
        assert http.get("/v1/users/u/recommendations").json()["model"] == first
        answer = http.post("/v1/model/reload").json()
        second = read_manifest(folder)["version"]
        assert answer == {"model": second, "before": first, "changed": True}
        listed = http.get("/v1/users/u/recommendations").json()
        assert listed["model"] == second
        assert listed["items"][0]["title"].startswith("new ")
        assert http.get("/v1/items", params={"query": "new 7"}).json()["items"]

        damage(folder)
        refused = http.post("/v1/model/reload")
        body = assert_error(refused, 409, "model_refused")
        assert body["message"].endswith("cold.onnx: was changed after it was written; train or copy the model again.")
        (folder / "manifest.json").unlink()
        assert_error(http.post("/v1/model/reload"), 409, "model_refused")
        assert http.get("/v1/users/u/recommendations").json()["model"] == second
        counted = http.get("/metrics").text
    for outcome, times in (("unchanged", 1), ("swapped", 1), ("refused", 2)):
        assert f'firstday_model_reloads_total{{outcome="{outcome}"}} {times}.0' in counted
    assert f'firstday_model_info{{version="{second}"}} 1.0' in counted


def test_a_model_that_cannot_answer_is_refused(
    start_server: StartServer, recommender: Recommender, tmp_path: Path
) -> None:
    """Every file as it was written, but the network is none."""
    folder = save_model(recommender.model, tmp_path / "model")
    server = start_server(folder)
    save_model(replace(recommender.model, cold=replace(recommender.model.cold, onnx=b"no network")), folder)
    with open_client(server) as http:
        body = assert_error(http.post("/v1/model/reload"), 409, "model_refused")
        assert "cannot be used (" in body["message"]
        assert http.get("/v1/users/u/recommendations").status_code == 200


@pytest.mark.parametrize("way", ["signal", "poll"])
def test_a_new_model_is_taken_on_a_signal_or_by_looking(
    start_server: StartServer, recommender: Recommender, tmp_path: Path, way: str
) -> None:
    folder = save_model(recommender.model, tmp_path / "model")
    server = start_server(folder, model_poll_s=0.1 if way == "poll" else 0)
    save_model(relabel(recommender.model, "new"), folder)
    if way == "signal":
        server.process.send_signal(signal.SIGHUP)
    version = read_manifest(folder)["version"]
    with open_client(server) as http:
        wait_for(lambda: http.get("/v1/model").json()["model"] == version)
    assert [line["to"] for line in server.log() if line["event"] == "model swapped"] == [version]


def test_what_expired_is_removed_and_the_store_copied_beside_the_work(
    start_server: StartServer, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.sqlite"
    server = start_server(retention_days=1e-5, purge_every_s=0.1, backup_file=copy, backup_every_s=0.1)
    with open_client(server) as http:
        http.post("/v1/events", json={"events": [{"event_id": "e", "user_id": "u", "entity_id": "i001"}]})
        wait_for(lambda: http.get("/v1/users/u").status_code == 404)
        wait_for(lambda: any(line["event"] == "removed what has expired" for line in server.log()))
        wait_for(copy.is_file)
        assert 'firstday_store_backups_total{outcome="done"}' in http.get("/metrics").text


def test_every_request_is_logged_and_counted(start_server: StartServer) -> None:
    server = start_server()
    with open_client(server) as http:
        for path in ("/v1/users/someone/recommendations?k=3", "/v1/users/someone", "/nope"):
            http.get(path)
        counted = http.get("/metrics")
    lines = [line for line in server.log() if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in lines[:3]] == [
        ("GET", "/v1/users/{user_id}/recommendations", 200),
        ("GET", "/v1/users/{user_id}", 404),
        ("GET", "none", 404),
    ]
    assert all(
        set(line) == {"time", "level", "event", "request_id", "method", "route", "status", "ms", "client"}
        for line in lines
    )
    assert all(line["client"] == "127.0.0.1" and 0 < line["ms"] < 60_000 for line in lines)
    assert "someone" not in server.log_path.read_text()
    assert counted.headers["content-type"].startswith("text/plain")
    for series in (
        'firstday_requests_total{method="GET",route="/v1/users/{user_id}/recommendations",status="200"} 1.0',
        'firstday_request_seconds_count{method="GET",route="/v1/users/{user_id}"} 1.0',
        'firstday_recommendations_total{answered_by="popular",strategy="segment"} 1.0',
        "firstday_store_up 1.0",
        "process_resident_memory_bytes",
    ):
        assert series in counted.text


def test_logs_can_be_plain_or_less(start_server: StartServer, tmp_path: Path) -> None:
    quiet = start_server(folder=tmp_path / "quiet", log_requests="false")
    with open_client(quiet) as http:
        http.get("/healthz")
    assert [line["event"] for line in quiet.log()] == ["ready"]
