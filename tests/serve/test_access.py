"""Keys, hosts and rates: who may do what, and how often."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from firstday.errors import ConfigError
from firstday.serve.settings import ServeSettings, is_loopback, load_settings
from tests.serve.conftest import StartApp, assert_error
from tests.serve.in_process import RunningApp, running_app

READ = "read-key-of-16-chars"
WRITE = "write-key-of-16-chars"
ADMIN = "admin-key-of-16-chars"
SPARE = "a-second-read-key-16"
USER = {"age": 24}
CALLS: dict[str, tuple[str, str, object]] = {
    "put": ("PUT", "/v1/users/u", USER),
    "events": ("POST", "/v1/events", {"events": [{"event_id": "e", "user_id": "u", "entity_id": "i001"}]}),
    "merge": ("POST", "/v1/users/nobody/merge", {"from": "guest"}),
    "delete": ("DELETE", "/v1/users/nobody", None),
    "user": ("GET", "/v1/users/u", None),
    "list": ("GET", "/v1/users/u/recommendations", None),
    "signals": ("POST", "/v1/recommendations", {}),
    "segments": ("GET", "/v1/segments", None),
    "segment": ("GET", "/v1/segments/0", None),
    "items": ("GET", "/v1/items", None),
    "similar": ("GET", "/v1/items/i001/similar", None),
    "onboarding": ("GET", "/v1/onboarding", None),
    "model": ("GET", "/v1/model", None),
    "metrics": ("GET", "/metrics", None),
    "reload": ("POST", "/v1/model/reload", None),
}
NEEDS = {name: "write" if name in ("put", "events", "merge", "delete") else "read" for name in CALLS} | {
    "reload": "admin",
}
OPEN = ("/healthz", "/readyz", "/v1/openapi.json")


@pytest.fixture(scope="module")
def guarded(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("guarded")
    settings = {"read_keys": f"{READ}, {SPARE}", "write_keys": WRITE, "admin_keys": ADMIN, "host": "0.0.0.0"}
    with running_app(model, folder, **settings) as running:
        yield running


def call(app: RunningApp, name: str, key: str = "") -> httpx.Response:
    method, path, body = CALLS[name]
    with app.open_client(key) as http:
        return http.request(method, path, json=body)


@pytest.mark.parametrize("name", CALLS)
def test_each_call_needs_its_own_key(guarded: RunningApp, name: str) -> None:
    keys = {"read": READ, "write": WRITE, "admin": ADMIN}
    call(guarded, "put", WRITE)
    missing = call(guarded, name)
    assert_error(missing, 401, "unauthorized")
    assert missing.headers["www-authenticate"] == "Bearer"
    for wrong in ("x", READ[:-1], READ + "x", READ.upper(), "ünïcode-key-that-is-long".encode().decode("latin-1")):
        with guarded.open_client() as http:
            method, path, body = CALLS[name]
            headers = {"Authorization": f"Bearer {wrong}".encode("latin-1")}
            assert_error(http.request(method, path, json=body, headers=headers), 401, "unauthorized")  # type: ignore[arg-type]
    for right, key in keys.items():
        answer = call(guarded, name, key)
        if right == NEEDS[name]:
            assert answer.status_code in (200, 204), answer.text
        else:
            assert_error(answer, 403, "forbidden")


def test_any_of_several_keys_opens(guarded: RunningApp) -> None:
    assert call(guarded, "model", SPARE).status_code == 200


def test_the_check_comes_before_the_body_is_looked_at(guarded: RunningApp) -> None:
    with guarded.open_client(READ) as http:
        assert_error(http.post("/v1/events", json={"wrong": 1}), 403, "forbidden")


def test_nothing_is_read_from_who_has_no_key(guarded: RunningApp) -> None:
    """FastAPI reads a body before it checks keys; nobody without one may keep a request in work by that."""
    start, body = guarded.start(guarded.send_unfinished("/v1/events")).result(timeout=60)
    assert start["status"] == 401
    assert b'"code":"unauthorized"' in body["body"]


def test_probes_and_the_description_need_no_key(guarded: RunningApp) -> None:
    with guarded.open_client() as http:
        for path in OPEN:
            assert http.get(path).status_code == 200


def test_the_document_names_the_keys_where_there_are_any(guarded: RunningApp, http: httpx.Client) -> None:
    with guarded.open_client() as client:
        document = client.get("/v1/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"read", "write", "items", "admin"}
    assert document["paths"]["/v1/users/{user_id}/recommendations"]["get"]["security"] == [{"read": []}]
    assert document["paths"]["/v1/events"]["post"]["security"] == [{"write": []}]
    assert "security" not in document["paths"]["/healthz"]["get"]
    assert "securitySchemes" not in http.get("/v1/openapi.json").json()["components"]


def test_the_document_has_every_schema_that_it_refers_to(http: httpx.Client) -> None:
    response = http.get("/v1/openapi.json")
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', response.text))
    assert named
    assert named - response.json()["components"]["schemas"].keys() == set()


def test_no_key_is_in_the_log(log: Callable[[], str], start_app: StartApp) -> None:
    app = start_app(read_keys=READ, write_keys=WRITE)
    for key in (READ, WRITE, "wrong-key-of-16-chars"):
        call(app, "model", key)
    text = log()
    assert text.count('"event":"request"') == 3
    assert not [key for key in (READ, WRITE, "wrong-key-of-16-chars") if key in text]


def test_what_has_no_key_is_closed_once_there_is_any(start_app: StartApp) -> None:
    app = start_app(read_keys=READ)
    assert call(app, "model", READ).status_code == 200
    assert_error(call(app, "put", READ), 403, "forbidden")
    assert_error(call(app, "put"), 401, "unauthorized")


def test_without_keys_other_names_for_this_machine_are_refused(http: httpx.Client) -> None:
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
    assert is_loopback(load_settings({"host": host}).host)


def test_short_keys_are_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"write_keys": "long-enough-to-be-one,short"})
    sentence = str(caught.value)
    assert sentence.startswith("FIRSTDAY_SERVE_WRITE_KEYS[1]: ")
    assert "16 characters" in sentence
    assert "item" not in sentence
    assert "short" not in sentence


def test_settings_do_not_show_their_secrets() -> None:
    settings = ServeSettings(read_keys=READ, store="redis://:password@localhost")  # type: ignore[arg-type]
    assert READ not in repr(settings) + str(settings.model_dump_json())
    assert "password" not in repr(settings) + str(settings.model_dump_json())
