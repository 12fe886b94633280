"""compose.yaml, the alerts and the dashboard fit the service and each other, with real processes where installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from store_servers import PostgresProcess

from firstday.recommend.recommender import Recommender
from tests.environments import ROOT, run
from tests.serve.in_process import running_app

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
    tests = []
    for name, case in CASES.items():
        labels = {**ALERTS[name]["labels"], **dict(re.findall(r'(\w+)="(.*?)"', case.labels))}
        fired = [{"exp_labels": labels, "exp_annotations": ALERTS[name]["annotations"]}]
        for series, expected in ((case.fires, fired), (case.quiet, [])):
            tests.append(
                {
                    "interval": "1m",
                    "input_series": [{"series": each, "values": values} for each, values in series.items()],
                    "alert_rule_test": [{"eval_time": f"{case.minute}m", "alertname": name, "exp_alerts": expected}],
                }
            )
    path = tmp_path / "cases.yaml"
    path.write_text(json.dumps({"rule_files": [str(DEPLOY / "alerts.yaml")], "tests": tests}), encoding="utf-8")
    run("promtool", "test", "rules", path, folder=tmp_path)


@needs_prometheus
def test_the_service_has_what_prometheus_and_the_dashboard_ask_for(
    tiny: Recommender, postgres: PostgresProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings of compose.yaml."""
    values = {**VALUES, "POSTGRES_PASSWORD": postgres.password}
    given = COMPOSE["services"]["firstday"]["environment"]
    settings = {name: re.sub(r"\$\{(\w+).*?\}", lambda match: values[match[1]], given[name]) for name in given}
    monkeypatch.setenv("PGPASSWORD", settings.pop("PGPASSWORD"))
    settings = {name.removeprefix("FIRSTDAY_SERVE_").lower(): value for name, value in settings.items()}
    settings["store"] = settings["store"].replace("@postgres/firstday", f"@127.0.0.1:{postgres.port}/postgres")
    settings["experiment"] = "first-2026: control=popular*50, treatment=segment*50"
    with (
        running_app(tiny.save(tmp_path / "model"), tmp_path, **settings) as app,
        app.open_client(VALUES["WRITE_KEY"]) as writing,
        app.open_client(VALUES["READ_KEY"]) as http,
    ):
        events = [{"event_id": item, "user_id": "u", "entity_id": item} for item in ("i1", "unknown")]
        assert writing.post("/v1/events", json={"events": events}).status_code == 200
        for user in ("u", "new"):
            assert http.get(f"/v1/users/{user}/recommendations", params={"k": 3}).status_code == 200
        http.get("/nowhere")
        exposed = http.get("/metrics").text
    for query in [*QUERIES, *(rule["expr"] for rule in ALERTS.values())]:
        assert_exposed(query, exposed)
    for name in ("alerts.yaml", "prometheus.yaml"):
        (tmp_path / name).write_text((DEPLOY / name).read_text(encoding="utf-8"))
    (tmp_path / "read_key").write_text(VALUES["READ_KEY"])
    run("promtool", "check", "config", tmp_path / "prometheus.yaml", folder=tmp_path)


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
