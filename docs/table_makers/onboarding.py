"""Tables of the questionnaire."""

from __future__ import annotations

from typing import Any

from table_makers.measured import interval, read_results

ARMS = {
    "segments": "chosen items",
    "popular": "the most used items",
    "random": "random, among the 300 most used",
}
"""Ways to choose questions."""


def _onboarding(name: str, of_list: str) -> dict[tuple[str, int], Any]:
    """Return the rows of a way to make lists, by arm and number of questions."""
    rows = read_results(f"onboarding-{name}")["results"]
    return {(row["arm"], row["questions"]): row for row in rows if row["list"] == of_list}


def onboarding(name: str, of_list: str) -> list[str]:
    """Return P@50 by questions asked, for one way to make lists."""
    rows = _onboarding(name, of_list)
    numbers = sorted({questions for _, questions in rows})
    last = numbers[-1]
    lines = [
        f"| questions about; P@50, % [95 % interval] | {' | '.join(f'after {n}' for n in numbers)} answers "
        f"| yeses, of {last} | ratio to most used, after {last} | same ratio, common truth |",
        "|---" * (len(numbers) + 4) + "|",
    ]
    for arm, meaning in ARMS.items():
        if (arm, last) not in rows:
            continue
        cells = [f"{rows[arm, n]['precision']:.1f} {interval(rows[arm, n]['precision_ci'])}" for n in numbers]
        cells.append(f"{rows[arm, last]['yes']:.1f}")
        for word in ("precision", "precision_common"):
            ratio, ends = (rows[arm, last].get(f"{word}_{what}") for what in ("ratio", "ratio_ci"))
            cells.append("" if ratio is None else f"{ratio:.2f} {interval(ends, '.2f')}")
        lines.append(f"| {meaning} | {' | '.join(cells)} |")
    return lines


def onboarding_variants(name: str) -> list[str]:
    """Return P@50 on validation users of other settings and ways to choose questions."""
    lines = ["| P@50, %, validation | after 1 | after 3 | after 5 |", "|---|---|---|---|"]
    for row in read_results(f"onboarding-{name}")["ablations"]:
        lines.append(f"| {row['changed']} | {' | '.join(f'{value:.1f}' for value in row['precision'].values())} |")
    return lines


def onboarding_speed() -> list[str]:
    """Say how long a question and a list take at scale."""
    now = read_results("onboarding-speed")
    return [
        f"With {now['segments']:,} segments, {now['people']:,} users and {now['items']:,} items, a question takes "
        f"{now['question_cpu_ms']:.2f} ms and a list {now['list_cpu_ms']:.1f} ms on one core."
    ]
