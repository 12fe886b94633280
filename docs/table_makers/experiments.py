"""Tables of simulated experiments: false positives, a planted effect, and broken assignments."""

from __future__ import annotations

from table_makers.measured import interval, read_results


def ab_tests() -> list[str]:
    """Return error rates and power of the intervals and of the sample ratio check."""
    content = read_results("ab-tests")
    aa = content["aa"]
    planted = content["planted"]
    broken = content["broken"]
    expected = interval(aa["expected"])
    lines = ["| experiments | event | rate | expected |", "|---|---|---|---|"]
    title = f"{aa['experiments']:,} x {aa['users']:,} users, no effect"
    for name, rate in aa["false_alarms"].items():
        outcome, _, which = name.partition(": ")
        goal = expected if "last day" in which else "not valid" if "fixed" in which else "at most 5"
        outcome = outcome.replace("used_of_shown", "`used_of_shown`").replace("items_used", "`items_used`")
        which = which.replace("fixed,", "fixed-horizon,").replace("always valid,", "always-valid,")
        lines.append(f"| {title} | false positive, {outcome}: {which} | {rate:.1f} | {goal} |")
    title = f"{planted['experiments']:,} x {planted['users']:,} users, effect {planted['effect']:g} %"
    power = f"{planted['power']:.1f}, the reported power {interval(planted['expected'])}"
    lines.append(
        f"| {title} | detected by the fixed-horizon interval on the last day | {planted['found']:.1f} | {power} |"
    )
    always = f"{planted['found_always_valid']:.1f}"
    lines.append(f"| {title} | detected by the always-valid interval on the last day | {always} | less |")
    title = f"{broken['experiments']:,} x {broken['users']:,} users"
    for way, rate in broken["stopped"].items():
        goal = "0.1" if way == "working" else "100"
        lines.append(f"| {title}, assignment: {way} | sample ratio mismatch | {rate:.1f} | {goal} |")
    return lines
