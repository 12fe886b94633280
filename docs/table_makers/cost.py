"""Tables of what a list costs."""

from __future__ import annotations

from table_makers.measured import make_table, read_results


def list_growth() -> list[str]:
    """Return what a list costs with growing catalogues, relative to the smallest, by strategy and kind of rule."""
    results = read_results("list-growth")["items"]
    first, *larger = results
    lines = []
    for strategy, costs in results[first].items():
        rules = costs if strategy == "auto" else ("no rules", "cap")  # the others grow as with `auto`
        for rule in rules:
            cost = costs[rule]
            ratios = (results[n][strategy][rule] for n in larger)
            cells = [f"`{strategy}`, {rule}", f"{cost['compiled']:.2f}"]
            lines.append([*cells, *(f"{of['compiled_ratio']:.2f}/{of['cold_ratio']:.2f}" for of in ratios)])
    columns = ("strategy, rule", f"{int(first):,} items, ms", *(f"x, {int(n):,} items" for n in larger))
    return make_table(columns, lines)


def list_varied() -> list[str]:
    """Return what a list costs with one number varied, relative to the usual case."""
    varied = read_results("list-growth")["varied"]
    usual = varied.pop("usual")
    costs_of: dict[str, dict[str, dict[str, float]]] = {}
    for setting, costs in varied.items():
        name, _, value = setting.partition("=")
        costs_of.setdefault(name, {})[value] = costs
    rows = []
    for name, by_value in costs_of.items():
        ratios = (", ".join(f"{costs[f'{of}_ratio']:.2f}" for costs in by_value.values()) for of in usual)
        rows.append([f"{name}: {', '.join(by_value)}", *ratios])
    return make_table(("varied", *(f"`{of}`, x" for of in usual)), rows)


def start() -> list[str]:
    """Say when workers are ready, and how much memory they need."""
    found = read_results("serve-start")
    private, shared = (found[name] for name in ("private_mib", "proportional_mib"))
    return [
        f"ready after {min(found['ready_s']):.1f} to {max(found['ready_s']):.1f} s, with {min(private):,} to "
        f"{max(private):,} MiB of private memory, or {min(shared):,} to {max(shared):,} with their part of the shared.",
    ]


def load() -> list[str]:
    """Return the load that one process bears."""
    found = read_results("serve-load")
    steady = found["at_70_percent"]
    busy = found["load_average_before"]
    burst = found["burst"]
    comparison = found["beside_bare_fastapi"]
    shared = f", busy with other work (load average {busy:.1f})" if busy > 0.5 else ""
    title = (
        f"{found['items']:,} items, {found['segments']:,} segments, {found['dimensions']} dimensions, users with 10 "
        f"events, k = 50; machine: {found['cores']} cores{shared}"
    )
    p99 = [f"{comparison['auto'][side]['at_70_percent']['p99_ms']:.1f}" for side in ("firstday", "bare")]
    latency = [f"{steady[name]:.1f}" for name in ("p50_ms", "p99_ms", "p99.9_ms")]
    by_strategy = [f"`{name}` {rate:,.0f}" for name, rate in found["by_strategy_per_s"].items()]
    rows = {
        "lists per second at full load": f"{found['recommendations_per_s']:,.0f}",
        "CPU time per list, µs": f"{found['server_cpu_us_per_recommendation']:,.0f}",
        "lists per second, relative to a bare FastAPI route of the same bytes": ", ".join(
            f"`{name}` {of['ratio']:.2f}" for name, of in comparison.items()
        ),
        "p99 at 70 % of full load in that comparison, ms: firstday, bare FastAPI": ", ".join(p99),
        "latency at 70 % of full load, ms: median, p99, p99.9": ", ".join(latency),
        "mean latency of a single connection, ms": f"{1000 / found['one_connection_per_s']:.1f}",
        "events per second, in batches of 100": f"{found['events_per_s']:,.0f}",
        "lists per second by strategy": ", ".join(by_strategy),
        f"burst of {sum(burst[name] for name in ('answered', 'refused')):,} requests: answered, refused": (
            f"{burst['answered']:,}, {burst['refused']:,}"
        ),
        "slowest of these, ms": ", ".join(
            f"{burst[name]:,.0f}" for name in ("slowest_answered_ms", "slowest_refused_ms") if name in burst
        ),
        "resident memory, MiB: after the load, peak": f"{found['resident_mib']:.0f}, {found['peak_mib']:.0f}",
        "startup, s": f"{found['ready_s']:.1f}",
    }
    return make_table((title, ""), rows.items())
