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
    calm, steady = found["at_70_percent"], found["at_steady_rate"]
    busy = found["load_average_before"]
    shared = f", busy with other work (load average {busy:.1f})" if busy > 0.5 else ""
    strategies = ", ".join(f"`{name}` {rate:,.0f}" for name, rate in found["by_strategy_per_s"].items())
    beside = found.get("beside_bare_fastapi")
    compared = []
    if beside:
        p99 = [beside[side]["at_70_percent"]["p99_ms"] for side in ("firstday", "bare")]
        compared = [
            f"| recommendations a second, as a part of what a bare FastAPI route of the same bytes takes | "
            f"{beside['ratio']:.2f} |",
            f"| p99 at 70 % of its own rate, ms: firstday, bare FastAPI | {p99[0]:.1f}, {p99[1]:.1f} |",
        ]
    at_rate = []
    if steady["requests_per_s"] < found["recommendations_per_s"]:
        at_rate = [
            f"| latency at {steady['requests_per_s']:,} a second, ms: median, p99, p99.9 | {steady['p50_ms']:.1f}, "
            f"{steady['p99_ms']:.1f}, {steady['p99.9_ms']:.1f} |",
        ]
    return [
        f"| {found['items']:,} items, {found['segments']:,} segments, {found['dimensions']} dimensions, "
        f"users with 10 events, k = 50; machine: {found['cores']} cores{shared} | |",
        "|---|---|",
        f"| recommendations a second, all connections busy | {found['recommendations_per_s']:,.0f} |",
        f"| processor time of one, µs | {found['server_cpu_us_per_recommendation']:,.0f} |",
        *compared,
        f"| latency at 70 % of that, ms: median, p99, p99.9 | {calm['p50_ms']:.1f}, {calm['p99_ms']:.1f}, "
        f"{calm['p99.9_ms']:.1f} |",
        *at_rate,
        f"| latency of one connection alone, ms: mean | {1000 / found['one_connection_per_s']:.1f} |",
        f"| events a second, in batches of 100 | {found['events_per_s']:,.0f} |",
        f"| recommendations a second by strategy | {strategies} |",
        f"| resident memory, MiB: after the load, at its peak | {found['resident_mib']:.0f}, {found['peak_mib']:.0f} |",
        f"| ready after, s | {found['ready_s']:.1f} |",
    ]


def faults() -> list[str]:
    """Return what happened when things broke."""
    broken, swapped, fuzzed = (read_results(f"serve-{name}") for name in ("faults", "reload", "fuzz"))
    rows = ["| what was done | what happened |", "|---|---|"]
    for name, store in (("kill", "SQLite"), ("kill_with_redis", "Redis")):
        if name in broken:
            one = broken[name]
            rows.append(
                f"| `kill -9` at random moments under write load, {store}, {one['kills']} times | all "
                f"{one['acknowledged']:,} acknowledged events there, no batch in part, started every time |"
            )
    for name, what in (("full_disk", "disk filled"), ("read_only_disk", "store's files made read-only")):
        if broken.get(name):
            one = broken[name]
            rows.append(
                f"| {what} under write load | 503, reading went on, all {one['acknowledged']:,} acknowledged events "
                f"there, writing again {1000 * one['recovered_s']:.0f} ms after there was room |"
            )
    for name, what in (("redis_gone", "killed"), ("redis_frozen", "frozen")):
        if name in broken:
            one = broken[name]
            rows.append(
                f"| Redis {what} for {one['gone_s']:g} s | {one['lists_meanwhile']} lists without it, slowest "
                f"{one['slowest_list_ms']:.0f} ms; {one['writes_refused']} writes refused; all well "
                f"{1000 * one['recovered_s']:.0f} ms after it was back |"
            )
    rows.append(
        f"| model swapped {swapped['reloads']} times under load, and {swapped['refused']} damaged ones offered | "
        f"{swapped['answers']:,} answers, none failed, each by the model that it names; slowest "
        f"{swapped['slowest_answer_ms']:.0f} ms, memory at its peak {swapped['peak_mib']:.0f} MiB |"
    )
    rows.append(f"| {fuzzed['cases']:,} made requests (schemathesis) | no 5xx, every answer as described |")
    return rows


def recording() -> list[str]:
    """Return what it costs to record lists."""
    rows = [
        "| store, strategy | lists a second: without, with `record=true` | part (each turn) | "
        "processor time of a list, µs: without, with | lists a second before any was recorded |",
        "|---|---|---|---|---|",
    ]
    for store in ("sqlite", "redis"):
        for one in read_results(f"serve-record-{store}")["by_strategy"]:
            turns = ", ".join(f"{ratio:.2f}" for ratio in one["ratios"])
            rows.append(
                f"| {store}, `{one['strategy']}` | {one['plain_per_s']:,.0f}, {one['recorded_per_s']:,.0f} | "
                f"{one['ratio']:.2f} ({turns}) | {one['plain_cpu_us']:,.0f}, {one['recorded_cpu_us']:,.0f} | "
                f"{one['plain_before_any_list_per_s']:,.0f} |"
            )
    return rows


def first_days() -> list[str]:
    """Return what became of a service that was killed again and again."""
    runs: list[dict[str, Any]] = json.loads((DOCS / "results" / "lifecycle.json").read_text(encoding="utf-8"))
    rows = [
        f"| {runs[0]['newcomers']:,} newcomers in {runs[0]['days']} days | {' | '.join(run['store'] for run in runs)} |"
    ]
    rows.append("|---|" + "---|" * len(runs))
    for name, text in (
        ("kills", "`kill -9` while it served"),
        ("models", "models that answered"),
        ("exports", "exports while it served"),
        ("lists", "acknowledged recorded lists"),
        ("impressions_of_recorded_lists", "their impressions, where the client did not say what was seen"),
        ("impressions_seen_by_clients", "acknowledged impressions that clients saw"),
        ("uses", "acknowledged uses"),
        ("assignments", "assignments to a variant"),
        ("events_sent_again", "events that were sent again, since no answer came"),
        ("trained_items", "items of the model that `firstday train` made of the exported tables"),
        ("reported", "users in the report of `firstday experiment` on them: control, treatment"),
        ("lists_kept_without_an_answer", "lists that were kept and whose answer was lost"),
        ("lost", "lost of what was acknowledged, in the store or the tables"),
        ("twice", "there twice"),
    ):
        rows.append(f"| {text} | {' | '.join(_count(run, name) for run in runs)} |")
    return rows


def _count(run: dict[str, Any], name: str) -> str:
    if name == "reported":
        return ", ".join(f"{run['reported_users'][variant]:,}" for variant in ("control", "treatment"))
    return f"{run[name]:,}"


def exporting() -> list[str]:
    """Return what an export costs a service."""
    found = read_results("serve-export")
    lists = found["lists_ms"]
    return [
        f"| {found['users']:,} users, {found['events']:,} events, {found['impressions']:,} impressions | |",
        "|---|---|",
        f"| a copy of the SQLite store ({found['copy_mib']:.0f} MiB), s | {found['copy_s']:.1f} |",
        f"| the first export of it, s; its processor time, s | {found['export_s']:.1f}; {found['export_cpu_s']:.1f} |",
        f"| a second one with nothing new | {found['second_export_s']:.1f}; {found['second_export_cpu_s']:.1f} |",
        *(
            f"| lists meanwhile, {text}, ms: median, p99 | {lists[name]['p50_ms']:.1f}, {lists[name]['p99_ms']:.1f} |"
            for name, text in (
                ("calm", "nothing else done"),
                ("while_copying", "one copy after the other"),
                ("while_exporting", "export by another process"),
            )
        ),
    ]


TABLES = {
    "settings": settings,
    "load": load,
    "faults": faults,
    "recording": recording,
    "first_days": first_days,
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
