"""Tokens of browsers: what they open, for whom, from where, how long and how often."""

from __future__ import annotations

import base64
import hmac
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import firstday as fd
from firstday.errors import ConfigError
from firstday.serve.middleware import MAX_TOKEN_BYTES, MAX_TOKEN_QUERY_BYTES
from firstday.serve.settings import TOKEN_KEY_LENGTH, load_settings
from firstday.serve.tokens import RateLimit, read_token
from tests.serve.conftest import StartApp, assert_error, ids_of, read_body
from tests.serve.in_process import RunningApp, running_app
from tests.serve.test_access import CALLS

KEY = "token-key-of-at-least-32-characters"
SPARE = "another-token-key-of-32-characters"
READ = "read-key-of-16-chars"
SHOP = "https://shop.example"
OTHER_SHOP = "https://other.example:8443"
STRANGER = "https://stranger.example"
SETTINGS = {"read_keys": READ, "write_keys": "write-key-of-16-chars", "admin_keys": "admin-key-of-16-chars"}
PAGES = {"token_keys": f"{KEY}, {SPARE}", "origins": f"{SHOP}, {OTHER_SHOP}", "token_requests": 1000}
LISTS = "/v1/users/u/recommendations"
EVENTS = "/v1/events"
DOCS = Path(__file__).parents[2] / "docs" / "browsers.md"


@pytest.fixture(scope="module")
def shop(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with running_app(model, tmp_path_factory.mktemp("shop"), **SETTINGS, **PAGES) as running:
        yield running


def sign(user: str = "u", key: str = KEY, origins: tuple[str, ...] = (SHOP,), lifetime_s: float = 60) -> str:
    return fd.sign_token(user, key, origins, lifetime_s)


def ask(
    app: RunningApp, token: str, method: str = "GET", path: str = LISTS, origin: str | None = SHOP, **options: Any
) -> httpx.Response:
    """Send a request as a browser does for a page of an origin."""
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"} if origin else {}
    with app.open_client(token) as http:
        return http.request(method, path, headers=headers, **options)


def event(event_id: str = "e", user_id: str = "u") -> dict[str, Any]:
    return {"event_id": event_id, "user_id": user_id, "entity_id": "i001"}


def encode(part: object) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def test_a_token_opens_the_lists_of_its_user_and_takes_the_users_events(shop: RunningApp) -> None:
    token = sign()
    first = read_body(ask(shop, token, params={"k": 3, "record": True}))
    assert first["user_id"] == "u"
    assert first["list_id"]
    rules = {"deny": ids_of(first)[:1]}
    second = read_body(ask(shop, token, "POST", json={"k": 3, "rules": rules, "record": True}))
    assert second["list_id"] not in (None, first["list_id"])
    assert ids_of(first)[0] not in ids_of(second)
    body = {"events": [event() | {"list_id": first["list_id"], "position": 1}, event("e2")]}
    assert read_body(ask(shop, token, "POST", EVENTS, json=body))["accepted"] == 2
    with shop.open_client(READ) as http:
        stored = http.get("/v1/users/u").json()
    assert [(one["event_id"], one["position"]) for one in stored["events"]] == [("e", 1), ("e2", None)]
    assert [one["list_id"] for one in stored["lists"]] == [first["list_id"], second["list_id"]]


def test_a_user_with_a_token_takes_part_in_experiments(start_app: StartApp) -> None:
    app = start_app(**SETTINGS, **PAGES, experiment="pages: control=segment*50, treatment=popular*50")
    answer = read_body(ask(app, sign()))
    with app.open_client(READ) as http:
        (assignment,) = http.get("/v1/users/u").json()["assignments"]
    assert (assignment["experiment"], assignment["variant"]) == ("pages", answer["variant"])


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("list", "events")])
def test_a_token_opens_nothing_else(shop: RunningApp, name: str) -> None:
    method, path, body = CALLS[name]
    assert_error(ask(shop, sign("nobody" if "nobody" in path else "u"), method, path, json=body), 403, "forbidden")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users/v/recommendations",
        "/v1/users/u%2F..%2Fv/recommendations",
        "/v1/users/U/recommendations",
        "/v1/users/u /recommendations",
        "/v1/users/u",
        "/v1/lists",
        "/v1/lists/sold_out",
        "/v1/segments",
        "/v1/events/",
        "/v1/openapi.json",
        "/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_token_opens_no_other_path(shop: RunningApp, path: str, method: str) -> None:
    assert_error(ask(shop, sign(), method, path), 403, "forbidden")


def test_one_event_of_another_user_refuses_the_batch(shop: RunningApp) -> None:
    body = {"events": [event("x1", "mixed"), event("x2", "victim")]}
    assert_error(ask(shop, sign("mixed"), "POST", EVENTS, json=body), 403, "forbidden")
    with shop.open_client(READ) as http:
        for user in ("mixed", "victim"):
            assert_error(http.get(f"/v1/users/{user}"), 404, "not_found")


def test_a_stream_of_events_needs_a_key(shop: RunningApp) -> None:
    with shop.open_client(sign()) as http:
        content = json.dumps(event("s", "victim"))
        answer = http.post(EVENTS, content=content, headers={"Content-Type": "application/x-ndjson"})
    assert_error(answer, 415, "unsupported_media_type")


def test_rules_sent_with_a_token_have_the_limit_of_other_bodies(start_app: StartApp) -> None:
    app = start_app(**SETTINGS, **PAGES, max_body_bytes=2000)
    body = {"rules": {"deny": ["i" * 50] * 50}}
    assert_error(ask(app, sign(), "POST", json=body), 413, "body_too_large")
    assert ask(app, READ, "POST", origin=None, json=body).status_code == 200


def test_bodies_and_queries_sent_with_a_token_are_small(shop: RunningApp) -> None:
    assert_error(ask(shop, sign(), params={"filter": "x" * MAX_TOKEN_QUERY_BYTES}), 431, "head_too_large")
    body = {"rules": {"deny": ["i" * 50] * (MAX_TOKEN_BYTES // 50)}}
    assert_error(ask(shop, sign(), "POST", json=body), 413, "body_too_large")
    assert ask(shop, READ, "POST", origin=None, json=body).status_code == 200


def test_a_token_works_only_for_pages_of_its_origins(shop: RunningApp) -> None:
    for origin in (OTHER_SHOP, STRANGER, "null", f"{SHOP}.evil.example", "http://shop.example"):
        assert_error(ask(shop, sign(), origin=origin), 403, "origin_not_allowed")
    assert ask(shop, sign(origins=(SHOP, OTHER_SHOP)), origin=OTHER_SHOP).status_code == 200
    assert ask(shop, sign(), origin=None).status_code == 200  # not a browser, or a page of the service itself


@pytest.mark.parametrize("origin", [SHOP, OTHER_SHOP])
def test_pages_of_listed_origins_may_read_answers_and_errors(shop: RunningApp, origin: str) -> None:
    token = sign(origins=(SHOP, OTHER_SHOP))
    answers = [
        ask(shop, token, origin=origin),
        ask(shop, token, "POST", EVENTS, origin=origin, json={"events": [event("c", "u")]}),
        ask(shop, token, "POST", EVENTS, origin=origin, json={"wrong": 1}),
        ask(shop, "x", origin=origin),
        ask(shop, sign("v"), origin=origin),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 422, 401, 403]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers


def test_pages_of_other_origins_and_other_paths_get_no_permission(shop: RunningApp) -> None:
    answers = [ask(shop, READ, origin=origin) for origin in (STRANGER, "null", SHOP.upper(), f"{SHOP}/")]
    answers += [
        ask(shop, READ, path=path) for path in ("/v1/users/u", "/v1/model", "/v1/items", "/metrics", "/healthz")
    ]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_preflights_are_answered_for_listed_origins_and_paths(shop: RunningApp) -> None:
    def ask_first(path: str, origin: str) -> httpx.Response:
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        with shop.open_client() as http:
            return http.options(path, headers=headers)

    for path in (EVENTS, LISTS, "/v1/users/someone%20else/recommendations"):
        answer = ask_first(path, SHOP)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert answer.headers["access-control-allow-methods"] == "GET, POST"
        assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-origin" not in ask_first(path, STRANGER).headers
    for path in ("/v1/users/u/merge", "/v1/users/u", "/v1/model", "/v1/lists/sold_out", "/v1/model/reload"):
        answer = ask_first(path, SHOP)
        assert answer.status_code == 401
        assert "access-control-allow-origin" not in answer.headers


def test_without_listed_origins_no_page_gets_a_permission(http: httpx.Client) -> None:
    answer = http.get(LISTS, headers={"Origin": SHOP})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    assert http.options(LISTS, headers={"Origin": SHOP}).status_code == 405


def test_an_expired_token_is_refused(shop: RunningApp) -> None:
    for lifetime_s in (0, -1, -1e9):
        assert_error(ask(shop, sign(lifetime_s=lifetime_s)), 401, "unauthorized")


def test_a_token_is_refused_before_it_is_valid_and_under_another_scheme(shop: RunningApp) -> None:
    claims = {"sub": "u", "aud": [SHOP], "exp": time.time() + 60}
    for nbf, status in ((time.time() + 30, 401), (time.time() - 30, 200)):
        text = f"{sign().partition('.')[0]}.{encode({**claims, 'nbf': nbf})}"
        token = f"{text}.{encode(hmac.digest(KEY.encode(), text.encode(), 'sha256'))}"
        assert ask(shop, token).status_code == status
    with shop.open_client() as http:
        for scheme in ("Basic ", "", "Bearer"):
            answer = http.get(LISTS, headers={"Authorization": scheme + sign(), "Origin": SHOP})
            assert_error(answer, 401, "unauthorized")


def test_an_altered_token_is_refused(shop: RunningApp) -> None:
    token = sign()
    head, body, signature = token.split(".")
    for_another = encode({"sub": "v", "aud": [SHOP], "exp": time.time() + 60})
    altered = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, len(token), 7)]
    altered += [f"{head}.{for_another}.{signature}", f"{head}.{body}.", f"{head}.{body}", f".{body}.{signature}"]
    altered += [token + "=", token[:-1], token + "A", f"{token}.{signature}", f"{head}.{body}\u00e9.{signature}"]
    for wrong in altered:
        assert read_token(f"Bearer {wrong}", [KEY]) is None
        with shop.open_client() as http:
            headers = {"Authorization": f"Bearer {wrong}".encode("latin-1")}
            assert_error(http.get(LISTS, headers=headers), 401, "unauthorized")  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["none", "None", "", "HS512", "RS256", "ES256"])
def test_the_header_of_a_token_chooses_no_algorithm(shop: RunningApp, algorithm: str) -> None:
    _, body, signature = sign().split(".")
    head = encode({"alg": algorithm, "typ": "JWT"})
    for sent in ("", signature, encode(KEY.encode()), "none"):
        assert_error(ask(shop, f"{head}.{body}.{sent}"), 401, "unauthorized")


def test_only_keys_of_the_settings_sign(shop: RunningApp) -> None:
    assert ask(shop, sign(key=SPARE)).status_code == 200
    for key in ("", READ, KEY[:-1], KEY + "x", KEY.upper(), f"{KEY}, {SPARE}", "wrong-key-of-at-least-32-characters"):
        assert_error(ask(shop, sign(key=key)), 401, "unauthorized")


def test_a_key_of_tokens_is_no_key_of_the_service(shop: RunningApp) -> None:
    assert_error(ask(shop, KEY, path="/v1/model"), 401, "unauthorized")


def test_without_token_keys_no_token_opens(start_app: StartApp) -> None:
    app = start_app(**SETTINGS)
    for key in ("", KEY, READ):
        assert_error(ask(app, sign(key=key), origin=None), 401, "unauthorized")


def test_token_keys_alone_close_everything_else(start_app: StartApp) -> None:
    app = start_app(**PAGES)
    assert ask(app, sign()).status_code == 200
    with app.open_client() as http:
        assert_error(http.get("/v1/model"), 401, "unauthorized")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "u", "aud": [SHOP]},
        {"sub": "u", "exp": 1e12},
        {"aud": [SHOP], "exp": 1e12},
        {"sub": "", "aud": [SHOP], "exp": 1e12},
        {"sub": 7, "aud": [SHOP], "exp": 1e12},
        {"sub": "u", "aud": SHOP, "exp": 1e12},
        {"sub": "u", "aud": [], "exp": 1e12},
        {"sub": "u", "aud": [SHOP], "exp": "1e12"},
        {"sub": "u", "aud": [SHOP], "exp": float("nan")},
        {"sub": "u", "aud": [SHOP], "exp": None},
        [],
        "u",
        b"\xff",
    ],
)
def test_signed_claims_of_another_form_are_refused(shop: RunningApp, claims: object) -> None:
    assert_error(ask(shop, sign_text(f"{encode({'alg': 'HS256'})}.{encode(claims)}")), 401, "unauthorized")


def sign_text(text: str) -> str:
    from firstday.serve.tokens import _sign

    return f"{text}.{_sign(text.encode(), KEY).decode()}"


def test_a_user_who_asks_too_often_has_to_wait(start_app: StartApp) -> None:
    app = start_app(**SETTINGS, **{**PAGES, "token_requests": 3})
    body = {"events": [event("often")]}
    assert [ask(app, sign()).status_code for _ in range(2)] == [200, 200]
    assert ask(app, sign(lifetime_s=90), "POST", EVENTS, json=body).status_code == 200
    for answer in (ask(app, sign()), ask(app, sign(key=SPARE), "POST", EVENTS, json=body)):
        assert_error(answer, 429, "too_many_requests")
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert answer.headers["access-control-allow-origin"] == SHOP
    assert ask(app, sign("v"), path="/v1/users/v/recommendations").status_code == 200
    assert [ask(app, READ).status_code for _ in range(5)] == [200] * 5


def test_a_window_of_the_rate_limit_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("firstday.serve.tokens.time.monotonic", lambda: now)
    limit = RateLimit(2)
    assert [limit.wait_s("u") for _ in range(3)] == [0, 0, 10]
    now += 4.5
    assert [limit.wait_s("u"), limit.wait_s("v")] == [6, 0]
    now += 6
    assert [limit.wait_s("u") for _ in range(3)] == [0, 0, 10]
    assert list(limit._counts) == ["u"]


def test_no_token_is_in_the_log(log: Callable[[], str], start_app: StartApp) -> None:
    app = start_app(**SETTINGS, **PAGES)
    tokens = [sign(), sign("v"), sign(lifetime_s=-1), sign(key="x"), sign(origins=(STRANGER,))]
    for token in tokens:
        ask(app, token)
        ask(app, token, "POST", EVENTS, json={"events": [event()]})
    text = log()
    assert text.count('"route":"/v1/users/{user_id}/recommendations"') > 0
    for secret in (KEY, SPARE, *(part for token in tokens for part in token.split(".")[1:])):
        assert secret not in text


def test_settings_of_tokens_are_checked_without_being_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"token_keys": f"{KEY},{KEY[: TOKEN_KEY_LENGTH - 1]}"})
    assert str(caught.value).startswith("FIRSTDAY_SERVE_TOKEN_KEYS[1]: ")
    assert KEY[:10] not in str(caught.value)
    assert KEY not in repr(load_settings({"token_keys": KEY}))


@pytest.mark.parametrize("origin", ["*", "shop.example", f"{SHOP}/", f"{SHOP}/page", "https://Shop.example", "null"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"^FIRSTDAY_SERVE_ORIGINS\[1\]: "):
        load_settings({"origins": f"{SHOP},{origin}"})


def test_the_documented_javascript_signs() -> None:
    path = shutil.which("node")
    if path is None:
        pytest.skip("node is not installed")
    (code,) = re.findall(r"```js\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    user = 'ünï/"u'
    command = [path, "-e", f"{code}console.log(signToken(process.env.U, process.env.K, [process.env.O]))"]
    done = subprocess.run(command, env={"U": user, "K": KEY, "O": SHOP}, capture_output=True, text=True, check=True)
    claims = read_token(f"Bearer {done.stdout.strip()}", [KEY])
    assert claims is not None
    assert (claims.sub, claims.aud) == (user, [SHOP])
    assert 0 < claims.exp - time.time() <= 900
