"""Tables of simulated experiments: false alarms, a planted effect, and broken assignments."""

from __future__ import annotations

from table_makers.measured import interval, read_results


def ab_tests() -> list[str]:
    """Return how often intervals and the check of the sample ratio are wrong and right."""
    content = read_results("ab-tests")
    aa, planted, broken = content["aa"], content["planted"], content["broken"]
    expected = interval(aa["expected"])
    lines = ["| experiments | what happens | of them | expected |", "|---|---|---|---|"]
    title = f"{aa['experiments']:,} of {aa['users']:,} users without any difference"
    for name, rate in aa["false_alarms"].items():
        outcome, _, which = name.partition(": ")
        goal = expected if "last day" in which else "it is not meant so" if "fixed" in which else "at most 5"
        outcome = outcome.replace("used_of_shown", "`used_of_shown`").replace("items_used", "`items_used`")
        which = which.replace("fixed,", "interval for one look, read").replace("always valid,", "for every look, read")
        lines.append(f"| {title} | false alarm, {outcome}: {which} | {rate:.1f} | {goal} |")
    title = f"{planted['experiments']:,} of {planted['users']:,} users with a true change of {planted['effect']:g} %"
    power = f"{planted['power']:.1f}, the power that reports state {interval(planted['expected'])}"
    lines.append(f"| {title} | found on the last day, interval for one look | {planted['found']:.1f} | {power} |")
    always = f"{planted['found_always_valid']:.1f}"
    lines.append(f"| {title} | found on the last day, for every look | {always} | less |")
    title = f"{broken['experiments']:,} of {broken['users']:,} users"
    for way, rate in broken["stopped"].items():
        goal = "0.1" if way == "working" else "100"
        lines.append(f"| {title}, assignment: {way} | stopped by the check of the sample ratio | {rate:.1f} | {goal} |")
    return lines
