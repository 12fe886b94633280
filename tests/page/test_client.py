"""@firstday/client in Chromium and Node, against real servers, and the code of docs/browsers.md."""

from __future__ import annotations

import gzip
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
from client_events import (
    CLIENT,
    READ_KEY,
    READER,
    SIGNING_KEY,
    run,
    running_shop,
)
from playwright.sync_api import Browser, Error
from serve_process import free_port

from firstday.recommend.recommender import Recommender
from tests.serve.in_process import RunningApp, listening_app

DOCS = (Path(__file__).parents[2] / "docs" / "browsers.md").read_text(encoding="utf-8")
NODE = shutil.which("node")
BOTH_KEY = "read-and-write-key-of-16-chars"


@pytest.fixture(scope="module")
def model(tiny: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("client") / "model")


@pytest.fixture(scope="module")
def shop(model: Path, client: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, str]]:
    """A server, and a shop on another origin that signs tokens for it."""
    port = free_port()
    with running_shop(f"http://127.0.0.1:{port}", client) as origin:
        settings = {
            "port": port,
            "read_keys": f"{READ_KEY},{BOTH_KEY}",
            "write_keys": BOTH_KEY,
            "token_keys": SIGNING_KEY,
            "origins": origin,
        }
        with listening_app(model, tmp_path_factory.mktemp("shop"), **settings) as server:
            yield server, origin


def read_events(server: RunningApp, user: str, n: int = 1) -> list[dict[str, Any]]:
    """Return the stored events of a user, once there are as many as expected."""
    until = time.monotonic() + 60
    while True:
        answer = httpx.get(f"{server.url}/v1/users/{user}", headers=READER)
        events: list[dict[str, Any]] = answer.json().get("events", [])
        if len(events) >= n:
            return events
        assert time.monotonic() < until, events
        time.sleep(0.05)


@pytest.fixture
def run_node(shop: tuple[RunningApp, str]) -> Callable[[str], Any]:
    """Run code in Node in which `client` is one of a user; return what it puts into `answer`."""
    server, origin = shop

    def run_code(code: str, user: str = "node") -> Any:
        before = f"""
            import {{ Client, ServiceError }} from {json.dumps((CLIENT / "dist" / "index.js").as_uri())};
            let answer, nTokens = 0;
            const token = async () => {{
              nTokens += 1;
              return (await fetch("{origin}/token?user={user}")).text();
            }};
            const options = {{ url: "{server.url}/", user: "{user}", token }};
            const client = new Client(options);
        """
        command = [str(NODE), "--input-type=module", "-e", f"{before}{code}\nconsole.log(JSON.stringify(answer));"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run_code


@pytest.mark.slow
def test_each_event_counts_once_whatever_breaks(browser: Browser, client: bytes, model: Path, tmp_path: Path) -> None:
    done = run(browser, client, model, tmp_path, 700, seed=0, k=6)
    assert done["uses"] > 400
    assert done["impressions"] > 0
    assert min(done[fault] for fault in ("net_cut", "tabs_closed", "tabs_killed", "server_killed")) >= 1


def test_a_closing_page_sends_what_waits(browser: Browser, shop: tuple[RunningApp, str]) -> None:
    server, origin = shop
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{origin}/?user=closing")
        list_id = page.evaluate("async () => (await show({ k: 3 }, false, 0)).list_id")
        page.evaluate("use(['last'])")
        page.close()
        events = [event for event in read_events(server, "closing") if event["event_id"] == "last"]
    assert [(event["list_id"], event["position"]) for event in events] == [(list_id, 1)]


def test_the_next_page_sends_what_one_without_net_left(browser: Browser, shop: tuple[RunningApp, str]) -> None:
    server, origin = shop
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{origin}/?user=offline")
        context.set_offline(True)
        page.evaluate("use(['a', 'b'])")
        assert page.evaluate("client.flush()") == 2
        page.close()
        context.set_offline(False)
        assert httpx.get(f"{server.url}/v1/users/offline", headers=READER).status_code == 404
        context.new_page().goto(f"{origin}/?user=offline")
        assert [event["event_id"] for event in read_events(server, "offline", 2)] == ["a", "b"]


def test_only_what_stays_in_view_is_reported_and_once(browser: Browser, shop: tuple[RunningApp, str]) -> None:
    server, origin = shop
    with browser.new_context(viewport={"width": 400, "height": 250}) as context:
        page = context.new_page()
        page.goto(f"{origin}/?user=looking")
        shown = page.evaluate("show({ k: 6 }, false, 0)")
        assert shown["seen"] == [1, 2, 3]  # the third by half
        page.evaluate("wait(1500)")
        page.evaluate("async () => { scrollTo(0, 1000); await wait(300); scrollTo(0, 0); }")
        tiles = "document.querySelectorAll('main div')"
        page.evaluate(f"items => items.forEach((item, at) => client.observe({tiles}[at], item))", shown["items"])
        page.evaluate("wait(1500)")
        assert page.evaluate("client.flush()") == 0
    events = [event for event in read_events(server, "looking", 3) if event["signal"] == "shown"]
    items = {item["position"]: item["item_id"] for item in shown["items"]}
    assert sorted((event["position"], event["entity_id"]) for event in events) == [(at, items[at]) for at in (1, 2, 3)]
    assert {event["list_id"] for event in events} == {shown["list_id"]}


def test_a_page_of_an_origin_that_is_not_listed_gets_nothing(browser: Browser, shop: tuple[RunningApp, str]) -> None:
    server, origin = shop
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{origin.replace('localhost', '127.0.0.1')}/?user=stranger")
        page.wait_for_function("'client' in window")
        with pytest.raises(Error, match="Failed to fetch"):
            page.evaluate("client.list()")
        page.evaluate("use(['x'])")
        assert page.evaluate("client.flush()") == 1
    assert httpx.get(f"{server.url}/v1/users/stranger", headers=READER).status_code == 404


def test_rules_rows_and_continued_lists(run_node: Callable[[str], Any]) -> None:
    first, second, rows = run_node(
        """
        const rules = { k: 2, keep_used: true, rules: { deny: ["i1"] } };
        const first = await client.list(rules);
        const second = await client.list({ ...rules, after: first });
        const rows = [{ name: "a", k: 1 }, { name: "b", k: 1, deny: ["i3"] }];
        answer = [first, second, await client.rows(rows, { keep_used: true })];
        """
    )
    assert [item["position"] for one in (first, second) for item in one["items"]] == [1, 2, 3, 4]
    assert len({item["item_id"] for one in (first, second) for item in one["items"]} - {"i1"}) == 4
    assert {item["list_id"] for item in second["items"]} == {second["list_id"]}
    assert [(row["name"], [item["position"] for item in row["items"]]) for row in rows] == [("a", [1]), ("b", [1])]


def test_an_error_of_the_service_has_its_code_and_fields(run_node: Callable[[str], Any]) -> None:
    name, status, code, fields = run_node(
        """
        try {
          await client.list({ k: 0 });
        } catch (error) {
          answer = [error instanceof ServiceError, error.status, error.code, error.errors.map((one) => one.field)];
        }
        """
    )
    assert (name, status, code, fields) == (True, 422, "invalid", ["k"])


def test_an_expired_token_is_renewed(run_node: Callable[[str], Any]) -> None:
    code = """
        await client.list();
        await client.list();
        const before = nTokens;
        await new Promise((resolve) => setTimeout(resolve, 6000));
        await client.list();
        answer = nTokens - before;
    """
    assert run_node(code) == 1


def test_invalid_events_do_not_hold_up_others(shop: tuple[RunningApp, str], run_node: Callable[..., Any]) -> None:
    code = """
        const refused = [];
        const other = new Client({ ...options, onRefused: (event) => refused.push(event.event_id) });
        other.track("stream", "i1", { event_id: "good" });
        other.track("stream", "i1", { event_id: "bad", position: -1 });
        other.track("x".repeat(1000), "i1", { event_id: "worse" });
        other.track("stream", "i2", { event_id: "late", timestamp: "2999-01-01T00:00:00Z" });
        answer = [await other.flush(), refused];
    """
    assert run_node(code, "mixed") == [0, ["bad", "worse"]]
    events = read_events(shop[0], "mixed", 2)
    assert [(event["event_id"], event["timestamp"] is None) for event in events] == [("good", False), ("late", True)]


def test_types_are_those_of_the_openapi_document(shop: tuple[RunningApp, str], tmp_path: Path) -> None:
    command = [str(NODE), "types.js", f"{shop[0].url}/v1/openapi.json", str(tmp_path / "api.ts")]
    subprocess.run(command, cwd=CLIENT, check=True)
    written = (tmp_path / "api.ts").read_text(encoding="utf-8")
    assert written == (CLIENT / "src" / "api.ts").read_text(encoding="utf-8"), "run npm run types URL in clients/js"


def test_the_client_is_small_and_alone(client: bytes) -> None:
    assert len(gzip.compress(client, 9)) < 6000
    assert "dependencies" not in json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))


def test_the_documented_page_works(browser: Browser, shop: tuple[RunningApp, str]) -> None:
    server, origin = shop
    code = find_code("javascript").replace("https://reco.example", server.url)
    code = code.replace('filter: "in_stock"', 'deny: ["i1"]').replace('fetch("/token")', 'fetch("/token?user=u-4711")')
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{origin}/?user=other")
        page.add_script_tag(content=code.replace("@firstday/client", "/client.js"), type="module")
        page.locator("a").nth(1).click()
        title = page.locator("a").nth(1).text_content()
        events = read_events(server, "u-4711")
    (used,) = [event for event in events if event["signal"] == "stream"]
    assert used["position"] == 2
    assert {"i1": "One", "i2": "Two", "i3": "Three", "i4": "Four", "i5": "Five", "i6": ""}[used["entity_id"]] == title


def test_the_documented_python_works(shop: tuple[RunningApp, str]) -> None:
    code = find_code("python").replace("http://127.0.0.1:8000", shop[0].url).replace("KEY", BOTH_KEY)
    names: dict[str, Any] = {}
    exec(code, names)
    shown = names["get_list"]("python", k=2)
    assert len(shown["items"]) == 2
    event = {"event_id": "p", "user_id": "python", "entity_id": "i1", "list_id": shown["list_id"], "position": 1}
    assert names["send"]([event])["accepted"] == 1
    assert names["send"]([event])["duplicates"] == 1
    with pytest.raises(httpx.HTTPStatusError):
        names["send"]([{"event_id": "p"}])
    assert names["get_list"]("python", k=0) is None


def find_code(language: str) -> str:
    """Return the code of the page in a language."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    return code
