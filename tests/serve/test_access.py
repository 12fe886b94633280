"""Keys, hosts and rates: who may do what, and how often."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from serve_process import ServerProcess

from firstday.errors import ConfigError
from firstday.serve.middleware import MAX_CLIENTS, RateLimit
from firstday.serve.settings import ServeSettings, load_settings
from tests.serve.conftest import StartServer, assert_error, open_client

READ, WRITE, ADMIN = "read-key-of-16-chars", "write-key-of-16-chars", "admin-key-of-16-chars"
SPARE = "a-second-read-key-16"
USER = {"age": 24}
CALLS: dict[str, tuple[str, str, object]] = {
    "put": ("PUT", "/v1/users/u", USER),
    "events": ("POST", "/v1/events", {"events": [{"event_id": "e", "user_id": "u", "entity_id": "i001"}]}),
    "delete": ("DELETE", "/v1/users/nobody", None),
    "user": ("GET", "/v1/users/u", None),
    "list": ("GET", "/v1/users/u/recommendations", None),
    "signals": ("POST", "/v1/recommendations", {}),
    "segments": ("GET", "/v1/segments", None),
    "segment": ("GET", "/v1/segments/0", None),
    "items": ("GET", "/v1/items", None),
    "onboarding": ("GET", "/v1/onboarding", None),
    "model": ("GET", "/v1/model", None),
    "metrics": ("GET", "/metrics", None),
    "reload": ("POST", "/v1/model/reload", None),
}
NEEDS = {name: "write" if name in ("put", "events", "delete") else "read" for name in CALLS} | {"reload": "admin"}
OPEN = ("/healthz", "/readyz", "/v1/openapi.json")


@pytest.fixture(scope="module")
def guarded(model: Path, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    settings = {"read_keys": f"{READ}, {SPARE}", "write_keys": WRITE, "admin_keys": ADMIN, "host": "0.0.0.0"}
    return ServerProcess(model, tmp_path_factory.mktemp("guarded"), {**settings, "rate_limit_per_s": 0})


@pytest.fixture(scope="module", autouse=True)
def _stopped(guarded: ServerProcess) -> object:
    yield
    guarded.stop()


def call(server: ServerProcess, name: str, key: str = "") -> httpx.Response:
    method, path, body = CALLS[name]
    with open_client(server, key) as http:
        return http.request(method, path, json=body)


@pytest.mark.parametrize("name", CALLS)
def test_each_call_needs_its_own_key(guarded: ServerProcess, name: str) -> None:
    keys = {"read": READ, "write": WRITE, "admin": ADMIN}
    call(guarded, "put", WRITE)
    missing = call(guarded, name)
    assert_error(missing, 401, "unauthorized")
    assert missing.headers["www-authenticate"] == "Bearer"
    for wrong in ("x", READ[:-1], READ + "x", READ.upper(), "ünïcode-key-that-is-long".encode().decode("latin-1")):
        with httpx.Client(base_url=guarded.url) as http:
            method, path, body = CALLS[name]
            headers = {"Authorization": f"Bearer {wrong}".encode("latin-1")}
            assert_error(http.request(method, path, json=body, headers=headers), 401, "unauthorized")  # type: ignore[arg-type]
    for right, key in keys.items():
        answer = call(guarded, name, key)
        if right == NEEDS[name]:
            assert answer.status_code in (200, 204), answer.text
        else:
            assert_error(answer, 403, "forbidden")


def test_any_of_several_keys_opens(guarded: ServerProcess) -> None:
    assert call(guarded, "model", SPARE).status_code == 200


def test_the_check_comes_before_the_body_is_looked_at(guarded: ServerProcess) -> None:
    with open_client(guarded, READ) as http:
        assert_error(http.post("/v1/events", json={"wrong": 1}), 403, "forbidden")


def test_probes_and_the_description_need_no_key(guarded: ServerProcess) -> None:
    with open_client(guarded) as http:
        for path in OPEN:
            assert http.get(path).status_code == 200


def test_no_key_is_in_the_log(guarded: ServerProcess) -> None:
    for key in (READ, WRITE, "wrong-key-of-16-chars"):
        call(guarded, "model", key)
    text = guarded.log_path.read_text()
    assert "ready" in text
    assert not [key for key in (READ, WRITE, ADMIN, SPARE, "wrong-key-of-16-chars") if key in text]


def test_what_has_no_key_is_closed_once_there_is_any(start_server: StartServer) -> None:
    server = start_server(read_keys=READ)
    assert call(server, "model", READ).status_code == 200
    assert_error(call(server, "put", READ), 403, "forbidden")
    assert_error(call(server, "put"), 401, "unauthorized")


def test_without_keys_other_names_for_this_machine_are_refused(http: httpx.Client, server: ServerProcess) -> None:
    for host in ("localhost", "127.0.0.1:8000", "[::1]:9", "LOCALHOST:1"):
        assert http.get("/healthz", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", ""):
        assert_error(http.get("/healthz", headers={"Host": host}), 403, "host_not_allowed")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_another_address_is_refused_without_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match="no key is set"):
        load_settings({"host": host})
    assert load_settings({"host": host, "read_keys": READ}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_addresses_need_none(host: str) -> None:
    assert load_settings({"host": host}).is_loopback


def test_the_command_refuses_in_one_sentence(model: Path) -> None:
    command = [sys.executable, "-m", "firstday", "serve", str(model), "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("error: serve: host 0.0.0.0 can be reached from other machines and no key is set; ")
    assert done.stderr.count("\n") == 1


def test_short_keys_are_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"write_keys": "long-enough-to-be-one,short"})
    assert str(caught.value) == "FIRSTDAY_SERVE_WRITE_KEYS: a key is shorter than 16 characters; make a longer one."


def test_settings_do_not_show_their_secrets() -> None:
    settings = ServeSettings(read_keys=READ, store="redis://:password@localhost")  # type: ignore[arg-type]
    assert READ not in repr(settings) + str(settings.model_dump_json())
    assert "password" not in repr(settings) + str(settings.model_dump_json())


def test_a_client_that_asks_too_often_is_told_to_wait(start_server: StartServer) -> None:
    server = start_server(rate_limit_per_s=20, read_keys=f"{READ},{SPARE}")
    with open_client(server, READ) as http:
        answers = [http.get("/v1/model") for _ in range(30)]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        assert len(answers) - len(refused) >= 20
        assert_error(refused[0], 429, "too_many_requests")
        assert int(refused[0].headers["retry-after"]) >= 1
        assert call(server, "model", SPARE).status_code == 200  # another client
        time.sleep(0.2)
        assert http.get("/v1/model").status_code == 200


def test_a_bucket_holds_a_seconds_worth_and_fills_at_the_rate() -> None:
    now = 0.0
    limit = RateLimit(10, lambda: now)
    assert [limit.take("a") for _ in range(10)] == [0.0] * 10
    assert limit.take("a") == pytest.approx(0.1)
    assert limit.take("b") == 0
    now += 0.05
    assert limit.take("a") == pytest.approx(0.05)
    now += 0.05
    assert limit.take("a") == 0
    now += 100
    assert [limit.take("a") for _ in range(11)][-2:] == [0, pytest.approx(0.1)]
    assert [RateLimit(0).take("a") for _ in range(3)] == [0, 0, 0]


def test_clients_that_never_come_back_are_forgotten() -> None:
    limit = RateLimit(1, lambda: 0.0)
    for number in range(MAX_CLIENTS + 5):
        limit.take(str(number))
    assert len(limit._buckets) == MAX_CLIENTS
    assert limit.take(str(MAX_CLIENTS + 4)) > 0
    assert limit.take("0") == 0
