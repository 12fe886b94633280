"""Events of @firstday/client in a real browser: each counted once, with list and position as seen, whatever breaks.

    python benchmarks/client_events.py MODEL [--events 10000] [--seed 0] [--out OUT]

A shop on another origin signs tokens that live for seconds. Its visitors, each with several tabs in one Chromium, get
recorded lists, scroll through them and use items, while the net is cut, tabs are closed and killed, and the server is
killed (SIGKILL), at random moments. In the end the service must have every event of the ledger once, as impressions
exactly the items that stayed in view, and nothing else. Needs Chromium and npm, which builds clients/js.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import typer
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright
from result_files import write_results
from serve_ledger import check
from serve_process import ServerProcess, free_port

import firstday as fd

CLIENT = Path(__file__).parents[1] / "clients" / "js"
SIGNING_KEY = "key-of-tokens-of-at-least-32-characters"
READ_KEY = "read-key-of-16-chars"
LIFETIME_S = 5
VISITORS = ("ada", "ben")
TABS_PER_VISITOR = 2
TILE_PX = 100
VIEW = {"width": 800, "height": 600}
PAGE = """<!doctype html>
<meta charset="utf-8">
<style>body { margin: 0 } main div { height: TILE_PXpx; overflow: hidden }</style>
<main></main>
<script type="module">
import { Client } from "/client.js";
const user = new URLSearchParams(location.search).get("user");
const token = async () => {
  const answer = await fetch(`/token?user=${user}`);
  return answer.text();
};
const client = new Client({ url: "SERVICE", user, token, onRefused: (event, text) => console.error(text) });
const main = document.querySelector("main");
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const waitForFrame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
let list;

/** Show a list, scroll quickly through it, and return it with the positions at least half in view where that ends. */
async function show(options, isNext, top) {
  list = await client.list({ keep_used: true, ...options, ...(isNext && list && { after: list }) });
  main.replaceChildren(...list.items.map((item) => {
    const tile = document.createElement("div");
    tile.textContent = item.item_id;
    client.observe(tile, item);
    return tile;
  }));
  const isInView = ({ top, bottom, height }) => Math.min(bottom, innerHeight) - Math.max(top, 0) >= height / 2;
  const look = () =>
    list.items.filter((_, at) => isInView(main.children[at].getBoundingClientRect())).map((item) => item.position);
  const passed = [];
  for (let place = 0; place < main.scrollHeight; place += 200) {
    const began = performance.now();
    scrollTo(0, place);
    await wait(20);
    if (performance.now() > began + 500) passed.push(...look()); // the machine is busy: this may have been a second
  }
  scrollTo(0, top);
  return { ...list, seen: look(), passed };
}

/** Use items of the list, each under an id that is given. */
const use = (ids) =>
  ids.map((event_id, at) => {
    const item = list?.items[at % list.items.length] ?? "i1";
    client.track("stream", item, { event_id });
    return [event_id, item.item_id ?? item, item.list_id ?? null, item.position ?? null];
  });

async function useSlowly(ids) {
  for (const id of ids) {
    use([id]);
    await wait(1);
  }
}

Object.assign(window, { client, show, use, useSlowly, wait, waitForFrame });
</script>
"""


def install_tools() -> bool:
    """Install what builds the client, unless it is there; return whether it is now."""
    is_there = (CLIENT / "node_modules").exists()
    return is_there or subprocess.run(["npm", "ci", "--silent"], cwd=CLIENT, check=False).returncode == 0


def build_client() -> bytes:
    """Build the client, and return the module."""
    subprocess.run(["npm", "run", "--silent", "build"], cwd=CLIENT, check=True, capture_output=True)
    return (CLIENT / "dist" / "index.js").read_bytes()


@contextmanager
def running_shop(service_url: str, client: bytes) -> Iterator[str]:
    """Serve the page, the client and tokens on another site than the service; give the origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?user=")
            if path == "/token":
                text = fd.sign_token(query, SIGNING_KEY, [origin], LIFETIME_S)
                self.answer("text/plain", text.encode())
            elif path == "/client.js":
                self.answer("text/javascript", client)
            else:
                page = PAGE.replace("SERVICE", service_url).replace("TILE_PX", str(TILE_PX))
                self.answer("text/html", page.encode())

        def answer(self, content_type: str, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        origin = f"http://localhost:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield origin
        server.shutdown()


@dataclass
class Ledger:
    """What the pages have done, by visitor."""

    uses: dict[str, dict[str, tuple[Any, ...]]] = field(default_factory=lambda: {name: {} for name in VISITORS})
    """Item, list and position of each use, by event id."""
    unsure: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in VISITORS})
    """Ids of uses by tabs that were killed meanwhile."""
    lists: dict[str, dict[str, dict[int, str]]] = field(default_factory=lambda: {name: {} for name in VISITORS})
    """Items by position of each list that was shown."""
    seen: dict[str, dict[str, set[int]]] = field(default_factory=lambda: {name: {} for name in VISITORS})
    """Positions that were in view, by list."""
    seen_long: dict[str, dict[str, set[int]]] = field(default_factory=lambda: {name: {} for name in VISITORS})
    """Those that stayed in view for more than a second."""

    def count(self) -> int:
        """Return the number of events that must be stored."""
        n_uses = sum(len(uses) for uses in self.uses.values())
        return n_uses + sum(len(seen) for lists in self.seen_long.values() for seen in lists.values())

    def compare(self, visitor: str, events: list[dict[str, Any]]) -> dict[str, int]:
        """Check the stored events of a visitor."""
        ids = Counter(event["event_id"] for event in events)
        check(max(ids.values()) == 1, "an event is stored twice")
        stored = {
            event["event_id"]: (event["entity_id"], event["list_id"], event["position"])
            for event in events
            if event["signal"] == "stream"
        }
        for event_id, use in self.uses[visitor].items():
            check(event_id in stored, f"the event {event_id} is lost")
            check(stored[event_id] == use, f"{event_id} is {stored[event_id]}, not {use}")
        check(stored.keys() <= self.uses[visitor].keys() | self.unsure[visitor], "an event is stored that nobody sent")
        shown = [event for event in events if event["signal"] == "shown"]
        reported: dict[str, set[int]] = {}
        for event in shown:
            list_id, position = event["list_id"], event["position"]
            item = self.lists[visitor][list_id][position]
            check(event["entity_id"] == item, f"position {position} of {list_id} is {item}")
            check(position not in reported.setdefault(list_id, set()), "an impression is stored twice")
            reported[list_id].add(position)
        for list_id, positions in reported.items():
            check(positions <= self.seen[visitor][list_id], f"{positions} of {list_id} were not in view")
        for list_id, positions in self.seen_long[visitor].items():
            check(positions <= reported.get(list_id, set()), f"of {positions}, {reported.get(list_id)} are reported")
        return {
            "uses": len(self.uses[visitor]),
            "uses_of_killed_tabs": len(stored) - len(self.uses[visitor]),
            "impressions": len(shown),
        }


class Visit:
    """Visitors in their tabs, and what breaks meanwhile."""

    def __init__(self, context: BrowserContext, server: ServerProcess, origin: str, k: int, seed: int) -> None:
        self.context, self.server, self.origin, self.k = context, server, origin, k
        self.rng = random.Random(seed)
        self.ledger = Ledger()
        self.done: Counter[str] = Counter()
        self.console: list[str] = []
        self.faults: list[Callable[[int], None]] = []
        self.n_ids = 0
        self.online_at = 0.0
        self.tabs = [(name, self.open_tab(name)) for name in VISITORS for _ in range(TABS_PER_VISITOR)]

    def open_tab(self, visitor: str) -> Page:
        """Open the shop in a new tab."""
        self.cut_net(0)
        page = self.context.new_page()
        page.on("console", lambda message: self.console.append(message.text))
        page.goto(f"{self.origin}/?user={visitor}")
        page.wait_for_function("'client' in window")
        return page

    def cut_net(self, seconds: float) -> None:
        """Cut the net of all tabs, or restore it; `step` restores it later."""
        self.context.set_offline(seconds > 0)
        self.online_at = time.monotonic() + seconds if seconds else 0.0
        self.done["net_cut"] += seconds > 0

    def make_ids(self) -> list[str]:
        """Return new event ids."""
        first = self.n_ids
        self.n_ids += self.rng.randint(30, 90)
        return [f"e{number}" for number in range(first, self.n_ids)]

    def step(self) -> None:
        """Let one tab do something, then break something or not."""
        if self.online_at and time.monotonic() > self.online_at:
            self.cut_net(0)
        at = self.rng.randrange(len(self.tabs))
        visitor, page = self.tabs[at]
        if self.rng.random() < 0.15:
            self.look(visitor, page)
        else:
            for event_id, *use in page.evaluate("ids => use(ids)", self.make_ids()):
                self.ledger.uses[visitor][event_id] = tuple(use)
        if self.rng.random() < 0.5:
            page.evaluate("() => void client.flush()")
            time.sleep(self.rng.uniform(0, 0.03))
        if self.rng.random() < 0.25:
            if not self.faults:
                self.faults = [self.cut_net_shortly, self.close_tab, self.kill_tab, self.kill_server]
                self.rng.shuffle(self.faults)
            self.faults.pop()(at)

    def look(self, visitor: str, page: Page) -> None:
        """Show a list, stay for more than a second at a place, and note what was in view there."""
        top = TILE_PX * self.rng.randint(0, self.k) + self.rng.choice((0, 20, 40, 60, 80))
        try:
            answer = page.evaluate(
                "([options, isNext, top]) => show(options, isNext, top)",
                [{"k": self.k}, self.rng.random() < 0.3, top],
            )
        except Error:  # the net or the server is gone, so the page has no list
            self.done["lists_failed"] += 1
            return
        list_id, seen = answer["list_id"], set(answer["seen"])
        if list_id is None:
            self.done["lists_not_recorded"] += 1
            return
        self.ledger.lists[visitor][list_id] = {item["position"]: str(item["item_id"]) for item in answer["items"]}
        self.ledger.seen[visitor][list_id] = seen | set(answer["passed"])
        if self.rng.random() < 0.8:
            page.evaluate("() => wait(1600).then(waitForFrame).then(waitForFrame)")
            self.ledger.seen_long[visitor][list_id] = seen

    def cut_net_shortly(self, _: int) -> None:
        """Cut the net; the tabs go on."""
        self.cut_net(self.rng.uniform(0.2, 2))

    def close_tab(self, at: int) -> None:
        """Close a tab with what it has not sent, and open another."""
        visitor, page = self.tabs[at]
        page.close()
        self.tabs[at] = visitor, self.open_tab(visitor)
        self.done["tabs_closed"] += 1

    def kill_tab(self, at: int) -> None:
        """Kill the process of a tab in the middle of some events, and open another."""
        visitor, page = self.tabs[at]
        ids = self.make_ids()
        self.ledger.unsure[visitor].update(ids)
        page.evaluate("ids => void useSlowly(ids)", ids)
        time.sleep(self.rng.uniform(0, 0.06))
        try:
            page.goto("chrome://kill")
        except Error:
            page.close()
        self.tabs[at] = visitor, self.open_tab(visitor)
        self.done["tabs_killed"] += 1

    def kill_server(self, _: int) -> None:
        """Kill the server, and start it again on the same port."""
        self.count_duplicates()
        self.server.kill()
        for _name, page in self.tabs:
            page.evaluate("() => void client.flush()")
        time.sleep(self.rng.uniform(0, 1))
        self.server.start()
        self.done["server_killed"] += 1

    def count_duplicates(self) -> None:
        """Count the events that the server received again since it started."""
        text = httpx.get(f"{self.server.url}/metrics", headers=READER).text
        found = re.search(r'^firstday_events_total{outcome="duplicate"} (\S+)$', text, re.MULTILINE)
        self.done["sent_again"] += int(float(found[1])) if found else 0

    def finish(self) -> None:
        """Restore everything, and wait until all tabs have sent all events."""
        self.cut_net(0)
        for _, page in self.tabs:
            until = time.monotonic() + 120
            while (n_left := page.evaluate("() => client.flush()")) > 0:
                check(time.monotonic() < until, f"{n_left} events are not sent")
                time.sleep(0.5)
        self.count_duplicates()


READER = {"Authorization": f"Bearer {READ_KEY}"}


def run(
    browser: Browser, client: bytes, model: Path, folder: Path, n_events: int, seed: int = 0, k: int = 12
) -> dict[str, Any]:
    """Let visitors make events until there are enough, and check what is stored."""
    port = free_port()
    with running_shop(f"http://127.0.0.1:{port}", client) as origin:
        settings = {
            "port": port,
            "read_keys": READ_KEY,
            "token_keys": SIGNING_KEY,
            "origins": origin,
            "token_requests": 200,
            "max_events_per_user": 100_000,
            "max_shown_per_user": 100_000,
            "max_lists_per_user": 10_000,
        }
        with ServerProcess(model, folder, settings) as server, browser.new_context(viewport=VIEW) as context:  # type: ignore[arg-type]
            visit = Visit(context, server, origin, k, seed)
            while visit.ledger.count() < n_events:
                visit.step()
            visit.finish()
            check(not [text for text in visit.console if text.startswith("events[")], "valid events were refused")
            counts: Counter[str] = Counter()
            for visitor in VISITORS:
                events = httpx.get(f"{server.url}/v1/users/{visitor}", headers=READER).json()["events"]
                counts.update(visit.ledger.compare(visitor, events))
    return {"events": visit.ledger.count(), **counts, **visit.done}


def main(model: Path, events: int = 10_000, seed: int = 0, out: Path | None = None) -> None:
    """Run it, and print what happened."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path)
        install_tools()
        write_results(run(browser, build_client(), model, Path(folder), events, seed), out)


if __name__ == "__main__":
    typer.run(main)
