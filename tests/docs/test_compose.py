"""compose.yaml, the alerts and the dashboard fit the service and each other, with real processes where installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from serve_process import ServerProcess, free_port
from store_servers import PostgresProcess

from firstday.recommend.recommender import open_model
from tests.environments import ROOT, run

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
DASHBOARD = json.loads((DEPLOY / "dashboard.json").read_text(encoding="utf-8"))
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
VALUES = {"READ_KEY": "a-key-to-read-with", "WRITE_KEY": "a-key-to-write-with"}
SERIES = re.compile(r"\b(firstday_\w+|process_\w+|up)\b(?:{(.*?)})?")
SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds."""
needs_prometheus = pytest.mark.skipif(not shutil.which("promtool"), reason="needs Prometheus")


def test_compose_pins_images_checks_health_and_holds_no_secret() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for name, service in COMPOSE["services"].items():
        assert re.search(r":v?\d+\.\d+", service["image"]), name
        assert "healthcheck" in service or (service["image"].startswith("firstday:") and "HEALTHCHECK" in dockerfile), (
            name
        )
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        for setting, value in service["environment"].items() if "environment" in service else ():
            if re.search("KEY|PASSWORD|SECRET", setting):
                assert re.fullmatch(r"\$\{\w+:\?.+\}", value), setting
        for needed in service.get("depends_on", ()):
            assert needed in COMPOSE["services"]
    done = subprocess.run(["git", "check-ignore", ".env"], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0 or not (ROOT / ".git").exists()


def test_compose_mounts_what_exists() -> None:
    for service in COMPOSE["services"].values():
        for mount in service["volumes"]:
            source = mount.replace("${MODEL:-models}", "models").partition(":")[0]
            assert (ROOT / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"]
        for kind in ("configs", "secrets"):
            assert {each["source"] for each in service.get(kind, ())} <= set(COMPOSE[kind])
    grafana = COMPOSE["services"]["grafana"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    (mount,) = grafana["volumes"]
    assert mount == f"./deploy/dashboard.json:{home}:ro"
    (provider,) = yaml.safe_load(COMPOSE["configs"]["grafana_dashboards"]["content"])["providers"]
    assert Path(provider["options"]["path"]) == Path(home).parent
    (source,) = yaml.safe_load(COMPOSE["configs"]["grafana_datasources"]["content"])["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"


def test_grafana_knows_every_field_of_the_dashboard() -> None:
    pytest.importorskip("grafana_foundation_sdk")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    def read(dashboard: dict[str, Any]) -> Any:
        """Return what Grafana understands; fields that it does not know are lost."""
        return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(json.loads(json.dumps(dashboard)))))

    def lost(given: Any, kept: Any) -> list[Any]:
        if isinstance(given, dict):
            return [name if name not in kept else part for name in given for part in lost(given[name], kept.get(name))]
        if isinstance(given, list):
            return [part for one, other in zip(given, kept, strict=True) for part in lost(one, other)]
        return [] if given == kept else [given]

    assert version("grafana-foundation-sdk").endswith(COMPOSE["services"]["grafana"]["image"].partition(":")[2])
    register_default_plugins()
    assert lost(DASHBOARD, read(DASHBOARD)) == []
    misspelled = json.loads(json.dumps(DASHBOARD).replace('"expr"', '"expression"', 1))
    assert lost(misspelled, read(misspelled)) == ["expression"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken = {
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    }
    assert len(taken) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in DASHBOARD["panels"])
    assert max(x for x, _ in taken) < 24


@dataclass(frozen=True)
class Case:
    """Series, a value per minute, by which an alert fires, and by which it does not; when, in minutes."""

    fires: dict[str, str]
    quiet: dict[str, str]
    minute: int = 10
    labels: str = ""


def list_times(slow: str) -> dict[str, str]:
    """Return the buckets of a histogram of which a share of values is above 50 ms."""
    name = 'firstday_request_seconds_bucket{route="/v1/recommendations"'
    return {f'{name},le="0.05"}}': "0+95x30", f'{name},le="0.1"}}': slow, f'{name},le="+Inf"}}': slow}


def popular_lists(share: str) -> dict[str, str]:
    """Return 1,000 lists per hour over a day of which a tenth were by popularity, and then a share of another hour."""
    name = "firstday_recommendations_total"
    return {
        f'{name}{{answered_by="popular"}}': f"0+10x1440 {share}",
        f'{name}{{answered_by="blend"}}': "0+90x1600",
    }


CASES = {
    "FirstdayDown": Case({'up{job="firstday"}': "1 0x9"}, {'up{job="firstday"}': "1x8 0 1"}, 9, 'job="firstday"'),
    "FirstdayStoreDown": Case(
        {'firstday_store_up{for="writes"}': "1 0x9", 'firstday_store_up{for="reads"}': "1x10"},
        {'firstday_store_up{for="writes"}': "1x10", 'firstday_store_up{for="reads"}': "1x10"},
        labels='for="writes"',
    ),
    "FirstdayNotRecorded": Case(
        {"firstday_lists_not_recorded_total": "0x5 1x20"}, {"firstday_lists_not_recorded_total": "1x25"}
    ),
    "FirstdayErrors": Case(
        {'firstday_requests_total{status="200"}': "0+98x20", 'firstday_requests_total{status="503"}': "0+2x20"},
        {'firstday_requests_total{status="200"}': "0+995x20", 'firstday_requests_total{status="503"}': "0+5x20"},
    ),
    "FirstdayModelRefused": Case(
        {'firstday_model_reloads_total{outcome="refused"}': "0x5 1x20"},
        {'firstday_model_reloads_total{outcome="refused"}': "0x25"},
        labels='outcome="refused"',
    ),
    "FirstdayModelOld": Case(
        {"firstday_model_loaded_timestamp_seconds": f"{-8 * 86400 - 1}x20"},
        {"firstday_model_loaded_timestamp_seconds": f"{-7 * 86400}x20"},
    ),
    "FirstdaySlow": Case(list_times("0+100x30"), list_times("0+95x30"), 20),
    "FirstdayOverloaded": Case(
        {'firstday_requests_total{route="none",status="503"}': "0+1x20"},
        {'firstday_requests_total{route="none",status="404"}': "0+1x20"},
        labels='route="none",status="503"',
    ),
    "FirstdayBackupFailed": Case(
        {'firstday_store_backups_total{outcome="failed"}': "0x5 1x20"},
        {'firstday_store_backups_total{outcome="failed"}': "1x25"},
        labels='outcome="failed"',
    ),
    "FirstdaySignalsMissing": Case(popular_lists("14400+90x160"), popular_lists("14400+10x160"), 1590),
    "FirstdayItemsUnknown": Case(
        {
            "firstday_events_not_understood_total": "0+20x200",
            'firstday_events_total{outcome="accepted"}': "0+100x200",
        },
        {
            "firstday_events_not_understood_total": "0+5x200",
            'firstday_events_total{outcome="accepted"}': "0+100x200",
        },
        150,
    ),
}


@needs_prometheus
def test_every_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    assert set(CASES) == set(ALERTS)
    run("promtool", "check", "rules", "--lint-fatal", DEPLOY / "alerts.yaml", folder=ROOT)
    assert _test_rules(tmp_path, swapped=False) == []
    assert sorted(_test_rules(tmp_path, swapped=True)) == sorted([*CASES, *CASES])  # the test does notice


def _test_rules(folder: Path, *, swapped: bool) -> list[str]:
    """Return the alerts of which promtool finds an expectation broken; with firing and quiet swapped, all are."""
    tests = []
    for name, case in CASES.items():
        labels = {**ALERTS[name]["labels"], **dict(re.findall(r'(\w+)="(.*?)"', case.labels))}
        fired = [{"exp_labels": labels, "exp_annotations": ALERTS[name]["annotations"]}]
        for series, expected in ((case.fires, fired), (case.quiet, [])):
            if swapped:
                expected = [] if expected else fired
            tests.append(
                {
                    "interval": "1m",
                    "input_series": [{"series": each, "values": values} for each, values in series.items()],
                    "alert_rule_test": [{"eval_time": f"{case.minute}m", "alertname": name, "exp_alerts": expected}],
                }
            )
    path = folder / "cases.yaml"
    path.write_text(json.dumps({"rule_files": [str(DEPLOY / "alerts.yaml")], "tests": tests}), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    broken = re.findall(r"alertname: (\w+)", done.stdout + done.stderr)
    assert (done.returncode == 0) == (broken == []), done.stdout + done.stderr
    return broken


@dataclass
class Running:
    """The processes of compose.yaml, without containers and Grafana."""

    postgres: PostgresProcess
    service: ServerProcess
    prometheus: str

    def open_client(self) -> httpx.Client:
        """Return a client of the service that may read and write."""
        return httpx.Client(base_url=self.service.url, headers={"Authorization": f"Bearer {VALUES['WRITE_KEY']}"})

    def is_ready(self) -> bool:
        """Return whether Prometheus answers."""
        try:
            return httpx.get(f"{self.prometheus}/-/ready").is_success
        except httpx.TransportError:
            return False

    def ask(self, path: str, **params: str) -> Any:
        """Return an answer of Prometheus."""
        answer = httpx.get(f"{self.prometheus}/api/v1/{path}", params=params).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def firing(self) -> set[str]:
        """Return the alerts that fire."""
        return {each["labels"]["alertname"] for each in self.ask("alerts")["alerts"] if each["state"] == "firing"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start what compose.yaml starts, with its settings, on free ports and faster clocks."""
    if not (shutil.which("prometheus") and PostgresProcess.is_installed()):
        pytest.skip("needs Prometheus and Postgres")
    folder = tmp_path_factory.mktemp("compose")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        postgres = stack.enter_context(PostgresProcess())
        values = {**VALUES, "POSTGRES_PASSWORD": postgres.password}
        given = COMPOSE["services"]["firstday"]["environment"]
        settings = {name: re.sub(r"\$\{(\w+).*?\}", lambda match: values[match[1]], given[name]) for name in given}
        patch.setenv("PGPASSWORD", settings.pop("PGPASSWORD"))
        settings = {name.removeprefix("FIRSTDAY_SERVE_").lower(): value for name, value in settings.items()}
        settings["store"] = settings["store"].replace("@postgres/firstday", f"@127.0.0.1:{postgres.port}/postgres")
        settings["read_keys"] += f",{VALUES['WRITE_KEY']}"
        settings["experiment"] = "first-2026: control=popular*50, treatment=segment*50"
        make, serve = (COMPOSE["services"][name]["command"] for name in ("model", "firstday"))
        run(sys.executable, "-m", "firstday", *make[:-1], folder / "data", folder=folder)
        assert serve == ["serve", f"{make[-1]}/model"]
        service = ServerProcess(folder / "data" / "model", folder / "serving", settings)
        stack.callback(service.kill)
        address = f"127.0.0.1:{free_port()}"
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={_write_config(folder, service)}",
                f"--web.listen-address={address}",
                "--storage.tsdb.path=data",  # Debian's default is one for all runs
            ],
            cwd=folder,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        running = Running(postgres, service, f"http://{address}")
        _wait_for(running.is_ready, lambda: None)
        yield running


def _write_config(folder: Path, service: ServerProcess) -> Path:
    """Write the configuration for Prometheus, with the service's address, and seconds in place of minutes."""
    (folder / "read_key").write_text(VALUES["READ_KEY"], encoding="utf-8")
    alerts = (DEPLOY / "alerts.yaml").read_text(encoding="utf-8")
    (folder / "alerts.yaml").write_text(alerts.replace("for: 1m", "for: 1s").replace("[5m]", "[10s]"))
    config = (DEPLOY / "prometheus.yaml").read_text(encoding="utf-8")
    config = config.replace("firstday:8000", service.url.removeprefix("http://")).replace("15s", "1s")
    (folder / "prometheus.yaml").write_text(config, encoding="utf-8")
    run("promtool", "check", "config", folder / "prometheus.yaml", folder=folder)
    return folder / "prometheus.yaml"


def _wait_for(look: Callable[[], Any], load: Callable[[], object], timeout_s: float = 60) -> None:
    """Apply load until a condition holds."""
    until = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < until
        load()
        time.sleep(0.05)


@pytest.mark.slow
def test_prometheus_scrapes_evaluates_and_alerts(running: Running) -> None:
    status: list[int] = []
    item = str(open_model(running.service.model).model.catalogue.items[0])
    with running.open_client() as http:

        def use() -> None:
            user = f"u{time.monotonic_ns()}"
            events = [{"event_id": each, "user_id": user, "entity_id": each} for each in (item, "unknown")]
            status.append(http.post("/v1/events", json={"events": events}).status_code)
            for person in (user, f"{user}-new"):
                http.get(f"/v1/users/{person}/recommendations", params={"k": 3})
            http.get("/nowhere")

        def is_scraped() -> bool:
            return [target["health"] for target in running.ask("targets")["activeTargets"]] == ["up"]

        _wait_for(is_scraped, use)
        assert set(status) == {200}
        exposed = http.get("/metrics").text
        for query in [*QUERIES, *(rule["expr"] for rule in ALERTS.values())]:
            assert_exposed(query, exposed)
        shown = [query for query in QUERIES if "store_errors" not in query]
        _wait_for(lambda: all(ask_now(running, query) for query in shown), use)
        rules = [rule for group in running.ask("rules")["groups"] for rule in group["rules"]]
        assert {rule["name"]: rule["health"] for rule in rules} == dict.fromkeys(ALERTS, "ok")
        assert running.firing() & {"FirstdayDown", "FirstdayStoreDown", "FirstdayErrors"} == set()

        running.postgres.stop()
        _wait_for(lambda: {"FirstdayStoreDown", "FirstdayErrors"} <= running.firing(), use)
        _wait_for(lambda: all(ask_now(running, query) for query in QUERIES), use)
        assert status[-1] == 503
    running.service.kill()
    _wait_for(lambda: "FirstdayDown" in running.firing(), lambda: None)


def ask_now(running: Running, query: str) -> list[Any]:
    """Return what a query of the dashboard gives now."""
    return running.ask("query", query=query.replace("$__rate_interval", "10s"))["result"]


def assert_exposed(query: str, exposed: str) -> None:
    """Assert that a service has the series, labels and outcomes of a query."""
    labels: dict[str, dict[str, set[str]]] = {"up": {}}
    for family in text_string_to_metric_families(exposed):
        labels.setdefault(f"{family.name}_total" if family.type == "counter" else family.name, {})
        for sample in family.samples:
            for name, value in sample.labels.items():
                labels.setdefault(sample.name, {}).setdefault(name, set()).add(value)
    series = SERIES.findall(query)
    assert series, query
    for name, matchers in series:
        assert name in labels, query
        for label, value in re.findall(r'(\w+)=~?"(.*?)"', matchers):
            assert label in labels[name].keys() | SCRAPED, query
            assert label != "outcome" or value in labels[name][label], query
    grouped = {label for group in re.findall(r"by \((.*?)\)", query) for label in group.split(", ")}
    assert grouped <= {label for name, _ in series for label in labels[name]}, query
