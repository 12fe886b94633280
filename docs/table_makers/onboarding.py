"""Tables of the questionnaire."""

from __future__ import annotations

from table_makers.measured import estimate, make_table, read_results

ARMS = {
    "segments": "chosen items",
    "popular": "the most used items",
    "random": "random, among the 300 most used",
}
"""Ways to choose questions."""


def onboarding(name: str, made_by: str) -> list[str]:
    """Return P@50 by questions asked, for one way to make lists."""
    results = read_results(f"onboarding-{name}")["results"]
    rows = {(row["arm"], row["questions"]): row for row in results if row["list"] == made_by}
    numbers = sorted({questions for _, questions in rows})
    last = numbers[-1]
    columns = ["questions about; P@50, % [95 % interval]", *(f"after {n}" for n in numbers)]
    columns[-1] += " answers"
    columns += [f"yeses, of {last}", f"ratio to most used, after {last}", "same ratio, common truth"]
    lines = []
    for arm, title in ARMS.items():
        cells = [estimate(rows[arm, n]["precision"], rows[arm, n]["precision_ci"]) for n in numbers]
        after_all = rows[arm, last]
        cells.append(f"{after_all['yes']:.1f}")
        for metric in ("precision_ratio", "precision_common_ratio"):
            is_compared = metric in after_all
            cells.append(estimate(after_all[metric], after_all[f"{metric}_ci"], ".2f") if is_compared else "")
        lines.append([title, *cells])
    return make_table(columns, lines)


def onboarding_variants(name: str) -> list[str]:
    """Return P@50 on validation users of other settings and ways to choose questions."""
    rows = read_results(f"onboarding-{name}")["ablations"]
    cells = [(row["changed"], *(f"{value:.1f}" for value in row["precision"].values())) for row in rows]
    return make_table(("P@50, %, validation", "after 1", "after 3", "after 5"), cells)


def onboarding_speed() -> list[str]:
    """Say how long a question and a list take at scale."""
    now = read_results("onboarding-speed")
    return [
        f"With {now['segments']:,} segments, {now['people']:,} users and {now['items']:,} items, a question takes "
        f"{now['question_cpu_ms']:.2f} ms and a list {now['list_cpu_ms']:.1f} ms on one core."
    ]
