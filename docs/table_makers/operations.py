"""Tables for operators: what a service costs, and what happens when something fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from firstday.training.table_signs import SIGNS
from table_makers.measured import make_table, read_results

ALERTS = Path(__file__).parents[2] / "deploy" / "alerts.yaml"


def clean_nights() -> list[str]:
    """Return how many clean nights were refused, by log."""
    logs = read_results("spoiled-tables")["logs"]
    return [
        "; ".join(
            f"{name}: {sum(log['clean'].values()) - log['clean'].get('', 0)} of {sum(log['clean'].values())}"
            for name, log in logs.items()
        )
        + "."
    ]


def damages() -> list[str]:
    """Return what stopped each damage to tables, by log; damages with the same outcome share a row."""
    logs = read_results("spoiled-tables")["logs"]
    first, *_ = logs.values()
    damages_of: dict[tuple[str, ...], list[str]] = {}
    for title in first["damaged"]:
        outcomes = tuple(_name_signs(log["damaged"][title]) for log in logs.values())
        damages_of.setdefault(outcomes, []).append(title)
    return make_table(("damage", *logs), (["; ".join(titles), *outcomes] for outcomes, titles in damages_of.items()))


def _name_signs(outcome: Mapping[str, str]) -> str:
    """Name the two first signs that fell, or the check that stopped the tables."""
    if outcome["by"] != "damaged":
        return {"": "published", "fault": "error", "smaller": "smaller"}.get(outcome["by"], outcome["by"])
    found = [name for name, meaning in SIGNS.items() if meaning in outcome["sentence"]]
    return ", ".join(found[:2])


def stores() -> list[str]:
    """Return what one process bears with each store."""
    names = {
        "lists": "lists per second",
        "recorded_lists": "with `record=true`",
        "events_in_batches": "events per second, in batches of 100",
        "single_events": "one event per request",
    }
    rows = []
    for store, found in read_results("serve-stores")["by_store"].items():
        cells = [
            f"{found[f'{name}_per_s']:,.0f} ({found[f'{name}_range_per_s'][0]:,.0f} to "
            f"{found[f'{name}_range_per_s'][1]:,.0f})"
            for name in names
        ]
        rows.append([store, *cells])
    return make_table(("store", *names.values()), rows)


def faults() -> list[str]:
    """Return what happened when things broke."""
    broken = read_results("serve-faults")
    reload = read_results("serve-reload")
    rows = {}
    stores = ("", "_with_redis", "_with_postgres")

    def add_up(fault: str, count: str) -> str:
        return f"{sum(broken[fault + store][count] for store in stores):,}"

    kills = {
        "kill": ("under write load", "events kept, no partial batch"),
        "kill_during_merges": ("during merges of guests", "events with their person, once, and with nobody else"),
        "kill_during_puts": ("while items are put and withdrawn", "writes kept, no bulk in part"),
    }
    for name, (when, result) in kills.items():
        n_kept = add_up(name, "acknowledged")
        rows[f"`kill -9` at random moments {when}, {add_up(name, 'kills')} times"] = (
            f"all {n_kept} acknowledged {result}"
        )
    n_deletions = add_up("delete_during_merges", "deletions")
    rows[f"a guest merged and person or guest deleted at once, {n_deletions} times"] = (
        "nothing of the deleted user left"
    )
    fault = broken["full_disk"]
    rows["disk filled under write load"] = (
        f"writes get 503, reads continue; all {fault['acknowledged']:,} acknowledged events kept; writes resume "
        f"{1000 * fault['recovered_s']:.0f} ms after recovery"
    )
    gone = {"redis_gone": "Redis killed", "redis_frozen": "Redis frozen"}
    gone |= {"postgres_gone": "Postgres killed", "postgres_frozen": "Postgres frozen"}
    for name, what in gone.items():
        fault = broken[name]
        rows[f"{what} for {fault['gone_s']:g} s"] = (
            f"{fault['lists_meanwhile']} lists without stored signals, slowest {fault['slowest_list_ms']:.0f} ms; "
            f"{fault['writes_refused']} writes refused; back to normal {1000 * fault['recovered_s']:.0f} ms after its "
            "return"
        )
    rows[f"model swapped {reload['reloads']} times under load, {reload['refused']} damaged ones offered"] = (
        f"{reload['answers']:,} responses, none failed, each from the model it names; slowest "
        f"{reload['slowest_answer_ms']:.0f} ms, peak memory {reload['peak_mib']:.0f} MiB"
    )
    rows[f"{read_results('serve-fuzz')['cases']:,} generated requests (schemathesis)"] = (
        "no 5xx, all responses match the schema"
    )
    return make_table(("fault", "result"), rows.items())


def alerts() -> list[str]:
    """Return what the rules for Prometheus report."""
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rows = (
        (f"`{rule['alert']}` ({rule['labels']['severity']})", rule["annotations"]["summary"]) for rule in group["rules"]
    )
    return make_table(("alert (severity)", "meaning"), rows)


def attacks() -> list[str]:
    """Return what attacks on a service achieve."""
    rows = [
        (name, "" if (ms := row["healthz_ms"]) is None else f"{ms:,.0f}", row["found"].replace("|", "\\|"))
        for name, row in read_results("serve-attacks").items()
    ]
    return make_table(("attack", "longest /healthz, ms", "result"), rows)
