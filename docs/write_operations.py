"""Fill the tables of docs/operations.md from the settings in the code and from docs/results.

python docs/write_operations.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from firstday.serve.settings import ServeSettings

DOCS = Path(__file__).parent
PAGE = DOCS / "operations.md"


def read_results(name: str) -> dict[str, Any]:
    """Return a file of docs/results."""
    values: dict[str, Any] = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return values


def settings() -> list[str]:
    """Return every setting, its default and what it does."""
    rows = ["| setting | default | what it does |", "|---|---|---|"]
    for name, field in ServeSettings.model_fields.items():
        value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = "empty" if value in ("", ()) else f"`{str(value).lower() if isinstance(value, bool) else value}`"
        description = " ".join((field.description or "").split())
        rows.append(f"| `{name.upper()}` | {shown} | {description} |")
    return rows


def load() -> list[str]:
    """Return what one process takes."""
    found = read_results("serve-load")
    calm = found["at_70_percent"]
    steady = found["at_steady_rate"]
    busy = found["load_average_before"]
    shared = f", busy with other work (load average {busy:.1f})" if busy > 0.5 else ""
    strategies = ", ".join(f"`{name}` {rate:,.0f}" for name, rate in found["by_strategy_per_s"].items())
    beside = found.get("beside_bare_fastapi")
    compared = []
    if beside:
        p99 = [beside[side]["at_70_percent"]["p99_ms"] for side in ("firstday", "bare")]
        compared = [
            f"| lists per second, relative to a bare FastAPI route of the same bytes | {beside['ratio']:.2f} |",
            f"| p99 at 70 % of full load in that comparison, ms: firstday, bare FastAPI | {p99[0]:.1f}, {p99[1]:.1f} |",
        ]
    at_rate = []
    if steady["requests_per_s"] < found["recommendations_per_s"]:
        at_rate = [
            f"| latency at {steady['requests_per_s']:,} per second, ms: median, p99, p99.9 | {steady['p50_ms']:.1f}, "
            f"{steady['p99_ms']:.1f}, {steady['p99.9_ms']:.1f} |",
        ]
    return [
        f"| {found['items']:,} items, {found['segments']:,} segments, {found['dimensions']} dimensions, "
        f"users with 10 events, k = 50; machine: {found['cores']} cores{shared} | |",
        "|---|---|",
        f"| lists per second at full load | {found['recommendations_per_s']:,.0f} |",
        f"| CPU time per list, µs | {found['server_cpu_us_per_recommendation']:,.0f} |",
        *compared,
        f"| latency at 70 % of full load, ms: median, p99, p99.9 | {calm['p50_ms']:.1f}, {calm['p99_ms']:.1f}, "
        f"{calm['p99.9_ms']:.1f} |",
        *at_rate,
        f"| mean latency of a single connection, ms | {1000 / found['one_connection_per_s']:.1f} |",
        f"| events per second, in batches of 100 | {found['events_per_s']:,.0f} |",
        f"| lists per second by strategy | {strategies} |",
        f"| resident memory, MiB: after the load, peak | {found['resident_mib']:.0f}, {found['peak_mib']:.0f} |",
        f"| startup, s | {found['ready_s']:.1f} |",
    ]


def faults() -> list[str]:
    """Return what happened when things broke."""
    broken, swapped, fuzzed = (read_results(f"serve-{name}") for name in ("faults", "reload", "fuzz"))
    rows = ["| fault | result |", "|---|---|"]
    for name, store in (("kill", "SQLite"), ("kill_with_redis", "Redis")):
        if name in broken:
            one = broken[name]
            rows.append(
                f"| `kill -9` at random moments under write load, {store}, {one['kills']} times | all "
                f"{one['acknowledged']:,} acknowledged events kept, no partial batch, every restart succeeded |"
            )
    for name, what in (("full_disk", "disk filled"), ("read_only_disk", "store's files made read-only")):
        if broken.get(name):
            one = broken[name]
            rows.append(
                f"| {what} under write load | writes get 503, reads continue; all {one['acknowledged']:,} acknowledged "
                f"events kept; writes resume {1000 * one['recovered_s']:.0f} ms after recovery |"
            )
    for name, what in (("redis_gone", "killed"), ("redis_frozen", "frozen")):
        if name in broken:
            one = broken[name]
            rows.append(
                f"| Redis {what} for {one['gone_s']:g} s | {one['lists_meanwhile']} lists without stored "
                f"signals, slowest {one['slowest_list_ms']:.0f} ms; {one['writes_refused']} writes refused; back to "
                f"normal {1000 * one['recovered_s']:.0f} ms after its return |"
            )
    rows.append(
        f"| model swapped {swapped['reloads']} times under load, {swapped['refused']} damaged ones offered | "
        f"{swapped['answers']:,} responses, none failed, each from the model it names; slowest "
        f"{swapped['slowest_answer_ms']:.0f} ms, peak memory {swapped['peak_mib']:.0f} MiB |"
    )
    rows.append(f"| {fuzzed['cases']:,} generated requests (schemathesis) | no 5xx, all responses match the schema |")
    return rows


def recording() -> list[str]:
    """Return what it costs to record lists."""
    rows = [
        "| store, strategy | lists per second: without, with `record=true` | median ratio (range) | "
        "CPU time per list, µs: without, with | lists per second before any recording |",
        "|---|---|---|---|---|",
    ]
    for store in ("sqlite", "redis"):
        for one in read_results(f"serve-record-{store}")["by_strategy"]:
            turns = f"{min(one['ratios']):.2f} to {max(one['ratios']):.2f}"
            rows.append(
                f"| {store}, `{one['strategy']}` | {one['plain_per_s']:,.0f}, {one['recorded_per_s']:,.0f} | "
                f"{one['ratio']:.2f} ({turns}) | {one['plain_cpu_us']:,.0f}, {one['recorded_cpu_us']:,.0f} | "
                f"{one['plain_before_any_list_per_s']:,.0f} |"
            )
    return rows


def exporting() -> list[str]:
    """Return what an export costs a service."""
    found = read_results("serve-export")
    lists = found["lists_ms"]
    return [
        f"| {found['users']:,} users, {found['events']:,} events, {found['impressions']:,} impressions | |",
        "|---|---|",
        f"| first export, s; its CPU time, s | {found['export_s']:.1f}; {found['export_cpu_s']:.1f} |",
        f"| second export, nothing new | {found['second_export_s']:.1f}; {found['second_export_cpu_s']:.1f} |",
        *(
            f"| list latency {text}, ms: median, p99 | {lists[name]['p50_ms']:.1f}, {lists[name]['p99_ms']:.1f} |"
            for name, text in (
                ("calm", "when idle"),
                ("while_exporting", "during an export"),
            )
        ),
    ]


TABLES = {
    "settings": settings,
    "load": load,
    "faults": faults,
    "recording": recording,
    "exporting": exporting,
}


def render(page: str) -> str:
    """Return a page with its tables as they are now."""

    def renew(found: re.Match[str]) -> str:
        rows = "\n".join(TABLES[found[2]]())
        return f"{found[1]}{rows}\n{found[3]}"

    return re.sub(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", renew, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
