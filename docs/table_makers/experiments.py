"""Table of simulated experiments: false positives, planted effects, guests, and broken assignments."""

from __future__ import annotations

from table_makers.measured import interval, make_table, read_results

WORDS = {
    "used_of_shown": "`used_of_shown`",
    "items_used": "`items_used`",
    "fixed,": "fixed-horizon,",
    "always valid,": "always-valid,",
}
"""Names in the results, and the words of the page."""


def ab_tests() -> list[str]:
    """Return error rates and power of the intervals and of the sample ratio check."""
    content = read_results("ab-tests")
    same = content["aa"]
    planted = content["planted"]
    broken = content["broken"]
    title = f"{same['experiments']:,} x {same['users']:,} users, no effect; false positive:"
    rows = [[title, "", ""]]
    for name, rate in same["false_alarms"].items():
        at_any_look = "not valid" if "fixed" in name else "at most 5"
        expected = interval(same["expected"]) if "last day" in name else at_any_look
        event = name
        for before, after in WORDS.items():
            event = event.replace(before, after)
        rows.append([event, f"{rate:.1f}", expected])
    title = f"{planted['experiments']:,} x {planted['users']:,} users, effect {planted['effect']:g} %; detected:"
    power = f"{planted['power']:.1f}, the reported power {interval(planted['expected'])}"
    rows.append([title, "", ""])
    rows.append(["fixed-horizon, on the last day", f"{planted['found']:.1f}", power])
    rows.append(["always-valid, on the last day", f"{planted['found_always_valid']:.1f}", "less"])
    guests = content["guests"]
    title = f"{guests['experiments']:,} x {guests['users']:,} users, a third began as guests, effect on these"
    rows.append([f"{title} {guests['effect']:g} %; detected:", "", ""])
    for name in ("merged", "not merged"):
        of_name = guests[name]
        expected = f"estimate {of_name['estimate']:g} % over all users"
        rows.append([f"fixed-horizon, on the last day, guests {name}", f"{of_name['found']:.1f}", expected])
    title = f"{broken['experiments']:,} x {broken['users']:,} users; sample ratio mismatch:"
    rows.append([title, "", ""])
    for assignment, rate in broken["stopped"].items():
        expected = "0.1" if assignment == "working" else "100"
        rows.append([f"assignment {assignment}", f"{rate:.1f}", expected])
    return make_table(("experiments; event", "rate", "expected"), rows)
