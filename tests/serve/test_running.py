"""The process: when it is ready, how it stops, what it logs and counts, and when it takes another model."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from redis import Redis
from serve_process import ServerProcess
from serve_reload import damage, relabel
from store_servers import PostgresProcess, RedisProcess

from firstday.model.folder import read_manifest, save_model
from firstday.recommend.recommender import Recommender
from firstday.serve.app import repeat
from tests.serve.conftest import (
    StartApp,
    StartServer,
    add_events,
    assert_error,
    connect,
    get_list,
    open_client,
    read_lines,
    run_command,
    wait_for,
)

TRAINING = ("torch", "scipy", "sklearn", "implicit", "faiss", "matplotlib")


def test_it_says_when_it_is_ready_and_answers_at_once(server: ServerProcess, model: Path) -> None:
    ready = server.log()[0]
    version = read_manifest(model)["version"]
    assert ready["event"] == "ready"
    assert (ready["url"], ready["model"], ready["pid"]) == (server.url, version, server.process.pid)
    assert ready["keys"].startswith("none")
    with open_client(server) as http:
        assert http.get("/healthz").json() == {"status": "ok"}
        assert http.get("/readyz").json() == {
            "status": "ready",
            "model": version,
            "store_reads": "ok",
            "store_writes": "ok",
        }


def wait_for_store(http: httpx.Client, reads: str, writes: str) -> None:
    """Wait until `/readyz` and the gauges say this of the store."""

    def is_so() -> bool:
        ready, metrics = http.get("/readyz"), http.get("/metrics").text
        assert ready.status_code == 200
        return (ready.json()["store_reads"], ready.json()["store_writes"]) == (reads, writes) and all(
            f'firstday_store_up{{for="{use}"}} {float(state == "ok")}' in metrics
            for use, state in (("reads", reads), ("writes", writes))
        )

    wait_for(is_so)


def test_readiness_says_that_the_store_is_away(start_app: StartApp, tmp_path: Path) -> None:
    with start_app().open_client() as http:
        wait_for_store(http, "ok", "ok")
        (file,) = tmp_path.rglob("users.sqlite")
        file.rename(file.with_suffix(".away"))
        body = assert_error(http.put("/v1/users/u", json={"age": 20}), 503, "store_unavailable")
        assert str(tmp_path) not in body["message"]
        assert get_list(http, "u")["signals_from"] == "store_unavailable"
        wait_for_store(http, "unavailable", "unavailable")
        file.with_suffix(".away").rename(file)
        assert http.put("/v1/users/u", json={"age": 20}).status_code == 200
        wait_for_store(http, "ok", "ok")


@pytest.mark.parametrize("cause", ["full", "replica"])
def test_readiness_finds_a_redis_that_refuses_writes(
    redis: RedisProcess, start_app: StartApp, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    monkeypatch.setattr("firstday.serve.app.PROBE_S", 0.1)
    with Redis.from_url(redis.url) as client, start_app(store=redis.url, redis_prefix=cause).open_client() as http:
        wait_for_store(http, "ok", "ok")
        try:
            client.config_set("maxmemory", 1) if cause == "full" else client.replicaof("127.0.0.1", 1)
            wait_for_store(http, "ok", "unavailable")
            assert get_list(http, "u", record=True)["list_id"] is None
            assert "firstday_lists_not_recorded_total 1.0" in http.get("/metrics").text
            assert http.delete("/v1/users/u").status_code == (204 if cause == "full" else 503)
        finally:
            client.config_set("maxmemory", 0)
            client.replicaof("NO", "ONE")
        wait_for_store(http, "ok", "ok")


def test_readiness_finds_a_postgres_that_is_read_only(
    postgres: PostgresProcess, start_app: StartApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstday.serve.app.PROBE_S", 0.1)
    with start_app(store=postgres.make_schema()).open_client() as http:
        wait_for_store(http, "ok", "ok")
        try:
            postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            postgres.execute("SELECT pg_reload_conf()")
            wait_for_store(http, "ok", "unavailable")
        finally:
            postgres.execute("ALTER SYSTEM RESET default_transaction_read_only")
            postgres.execute("SELECT pg_reload_conf()")
        wait_for_store(http, "ok", "ok")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_no_training_library_is_in_the_process(server: ServerProcess) -> None:
    with open_client(server) as http:
        assert http.get("/v1/users/u/recommendations", params={"explain": True}).status_code == 200
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "numpy" in mapped
    assert not [name for name in TRAINING if f"/{name}" in mapped]


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (["none-such"], {}, "error: none-such: contains no model (manifest.json is missing); train one with"),
        ([], {"FIRSTDAY_SERVE_PROT": "80"}, "error: FIRSTDAY_SERVE_PROT: is not a setting; see docs/operations.md"),
        ([], {"FIRSTDAY_SERVE_PORT": "high"}, "error: FIRSTDAY_SERVE_PORT: Input should be a valid integer"),
        ([], {"FIRSTDAY_SERVE_STORE": "mysql://x"}, "error: store: the URL is not supported; give"),
        (
            [],
            {"FIRSTDAY_SERVE_STORE": "sqlite:////proc/none/u.sqlite"},
            "error: store: /proc/none/u.sqlite cannot be opened",
        ),
        (
            [],
            {"FIRSTDAY_SERVE_EXPERIMENT": "nothing"},
            "error: experiment: 'nothing' is not an experiment; write it as ",
        ),
        ([], {"FIRSTDAY_SERVE_EXPERIMENT": "x: a=segment*50, b=none*50"}, "error: strategy: 'none' is unknown"),
        (
            ["--host", "0.0.0.0"],
            {},
            "error: serve: Host 0.0.0.0 can be reached from other machines and no key is set; ",
        ),
    ],
)
def test_a_mistake_is_one_sentence(
    model: Path,
    tmp_path: Path,
    arguments: list[str],
    settings: dict[str, str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where a store would be made
    for name, value in {"FIRSTDAY_SERVE_PORT": "0", **settings}.items():
        monkeypatch.setenv(name, value)
    status, text = run_command(capsys, "serve", *arguments, *([] if "none-such" in arguments else [str(model)]))
    assert (status, text.count("\n")) == (2, 1)
    assert text.startswith(sentence)


def test_a_port_in_use_is_named(server: ServerProcess, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = urlsplit(server.url).port
    told = f"error: 127.0.0.1:{port}: is in use; give another with --port or --host.\n"
    assert run_command(capsys, "serve", str(model), "--port", str(port)) == (2, told)


def test_told_to_stop_it_finishes_what_is_in_work(start_server: StartServer, start_app: StartApp) -> None:
    server = start_server(drain_delay_s=0.5)
    body = json.dumps({"events": [{"event_id": "e", "user_id": "u", "entity_id": "i001"}]}).encode()
    head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    with connect(server) as slow, open_client(server) as http:
        slow.sendall(head + body[:10])
        assert http.get("/readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: http.get("/readyz").status_code == 503)
        assert_error(http.get("/readyz"), 503, "draining")
        assert http.get("/v1/users/u/recommendations").status_code == 200  # still
        wait_for(lambda: refuses_connections(server))
        assert server.process.poll() is None
        slow.sendall(body[10:])
        slow.settimeout(60)
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.process.wait(timeout=60) == 0
    assert server.log()[-1]["event"] == "stopped"
    with start_app(folder=server.log_path.parent).open_client() as http:
        assert len(http.get("/v1/users/u").json()["events"]) == 1


def refuses_connections(server: ServerProcess) -> bool:
    try:
        connect(server).close()
    except OSError:
        return True
    return False


def test_a_new_model_is_taken_on_a_signal_and_a_second_one_to_stop_does_not_wait(
    start_server: StartServer, recommender: Recommender, tmp_path: Path
) -> None:
    folder = save_model(recommender.model, tmp_path / "model")
    server = start_server(folder, drain_delay_s=600, log_requests=False)
    save_model(relabel(recommender.model, "new"), folder)
    server.process.send_signal(signal.SIGHUP)
    version = read_manifest(folder)["version"]
    with open_client(server) as http:
        wait_for(lambda: http.get("/v1/model").json()["model"] == version)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: http.get("/readyz").status_code == 503)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=60) == 0
    assert [line["event"] for line in server.log()] == ["ready", "model swapped", "stopped"]
    assert server.log()[1]["to"] == version
    assert "Traceback" not in server.log_path.read_text()


def test_a_reload_takes_what_the_folder_holds(start_app: StartApp, recommender: Recommender, tmp_path: Path) -> None:
    folder = save_model(recommender.model, tmp_path / "model")
    with start_app(folder).open_client() as http:
        first = http.get("/v1/model").json()["model"]
        assert http.post("/v1/model/reload").json() == {"model": first, "before": first, "changed": False}
        save_model(relabel(recommender.model, "new"), folder)
        assert get_list(http, "u")["model"] == first
        answer = http.post("/v1/model/reload").json()
        second = read_manifest(folder)["version"]
        assert answer == {"model": second, "before": first, "changed": True}
        listed = get_list(http, "u")
        assert listed["model"] == second
        assert listed["items"][0]["title"].startswith("new ")
        assert http.get("/v1/items", params={"query": "new 7"}).json()["items"]

        damage(folder)
        refused = http.post("/v1/model/reload")
        body = assert_error(refused, 409, "model_refused")
        assert body["message"].endswith(
            "cold.layers.0.weights.npy: is missing or was changed after it was written; train or copy the model again."
        )
        (folder / "manifest.json").unlink()
        assert_error(http.post("/v1/model/reload"), 409, "model_refused")
        assert get_list(http, "u")["model"] == second
        counted = http.get("/metrics").text
    for outcome, times in (("unchanged", 1), ("swapped", 1), ("refused", 2)):
        assert f'firstday_model_reloads_total{{outcome="{outcome}"}} {times}.0' in counted
    assert f'firstday_model_info{{version="{second}"}} 1.0' in counted


def test_a_model_that_cannot_answer_is_refused(start_app: StartApp, recommender: Recommender, tmp_path: Path) -> None:
    """Every file as it was written, but the network has no inputs."""
    folder = save_model(recommender.model, tmp_path / "model")
    app = start_app(folder)
    save_model(
        replace(recommender.model, cold=replace(recommender.model.cold, layers=recommender.model.cold.layers[1:])),
        folder,
    )
    with app.open_client() as http:
        body = assert_error(http.post("/v1/model/reload"), 409, "model_refused")
        assert "cannot be used (" in body["message"]
        assert http.get("/v1/users/u/recommendations").status_code == 200


def test_a_reload_tries_again_if_the_store_fails(start_app: StartApp, recommender: Recommender, tmp_path: Path) -> None:
    folder = save_model(recommender.model, tmp_path / "model")
    app = start_app(folder)
    (file,) = tmp_path.rglob("users.sqlite")
    with app.open_client() as http:
        save_model(relabel(recommender.model, "new"), folder)
        file.rename(file.with_suffix(".away"))
        reload = app.start(app.service.holder.reload())
        wait_for_store(http, "unavailable", "ok")
        file.with_suffix(".away").rename(file)
        reload.result()
        assert get_list(http, "u")["model"] == read_manifest(folder)["version"]


def test_a_new_model_is_taken_by_looking(start_app: StartApp, recommender: Recommender, tmp_path: Path) -> None:
    folder = save_model(recommender.model, tmp_path / "model")
    with start_app(folder, model_poll_s=0.05).open_client() as http:
        save_model(relabel(recommender.model, "new"), folder)
        version = read_manifest(folder)["version"]
        wait_for(lambda: http.get("/v1/model").json()["model"] == version)


def test_what_expired_is_removed_beside_the_work(start_app: StartApp) -> None:
    app = start_app(retention_days=1e-5, purge_every_s=0.1)
    with app.open_client() as http:
        sqlite_log = app.service.store.log._reader  # type: ignore[attr-defined]
        add_events(http, "u", "i001")
        wait_for(lambda: http.get("/v1/users/u").status_code == 404)
        kinds = "SELECT kind FROM log WHERE owner = 'u'"
        wait_for(lambda: sqlite_log.execute(kinds).fetchall() == [("user",)])


def test_every_request_is_logged_and_counted(log: Callable[[], str], start_app: StartApp) -> None:
    with start_app().open_client() as http:
        for path in ("/v1/users/someone/recommendations?k=3", "/v1/users/someone", "/nope"):
            http.get(path)
        counted = http.get("/metrics")
    text = log()
    lines = [line for line in read_lines(text) if line["event"] == "request"]
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
    assert "someone" not in text
    assert counted.headers["content-type"].startswith("text/plain")
    for series in (
        'firstday_requests_total{method="GET",route="/v1/users/{user_id}/recommendations",status="200"} 1.0',
        'firstday_request_seconds_count{method="GET",route="/v1/users/{user_id}"} 1.0',
        'firstday_recommendations_total{answered_by="popular",strategy="segment"} 1.0',
        'firstday_store_up{for="reads"} 1.0',
        'firstday_store_up{for="writes"} 1.0',
        "process_resident_memory_bytes",
    ):
        assert series in counted.text


def test_background_work_goes_on_after_any_error(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    async def fail() -> None:
        done.append(1)
        raise asyncio.CancelledError if len(done) == 3 else ValueError("unforeseen")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(repeat(fail, 0))
    assert len(done) == 3
    assert "background work failed" in caplog.text
