"""Tables of the questionnaire."""

from __future__ import annotations

from table_makers.measured import SETS, estimate, make_table, read_results

ARMS = {
    "segments": "chosen items",
    "popular": "the most used items",
    "random": "random, among the 300 most used",
}
"""Ways to choose questions."""


def onboarding() -> list[str]:
    """Return P@50 by questions asked, for each dataset and way to make lists."""
    parts = (("movielens-100k", "answers"), ("movielens-100k", "blend"), ("deezer-europe", "answers"))
    lines = []
    for name, made_by in parts:
        results = read_results(f"onboarding-{name}")["results"]
        rows = {(row["arm"], row["questions"]): row for row in results if row["list"] == made_by}
        numbers = sorted({questions for _, questions in rows})
        last = numbers[-1]
        group = f"{SETS[name]}, `{made_by}`"
        for arm, title in ARMS.items():
            cells = [f"{rows[arm, n]['precision']:.1f}" for n in numbers]
            after_all = rows[arm, last]
            cells.append(f"{after_all['yes']:.1f}")
            for metric in ("precision_ratio", "precision_common_ratio"):
                is_compared = metric in after_all
                cells.append(estimate(after_all[metric], after_all[f"{metric}_ci"], ".2f") if is_compared else "")
            lines.append([group, title, *cells])
            group = ""
    columns = ["dataset, lists by", "questions about", *(f"after {n}" for n in numbers)]
    columns += [f"yeses, of {last}", f"ratio to most used, after {last}", "same ratio, common truth"]
    return make_table(columns, lines)


def onboarding_variants(name: str) -> list[str]:
    """Return how far P@50 on validation users changes with other settings of the questionnaire."""
    rows = {row["changed"]: row["precision"] for row in read_results(f"onboarding-{name}")["ablations"]}
    usual = rows.pop("default")
    changes = [row[n] - usual[n] for changed, row in rows.items() if "popular questions" not in changed for n in usual]
    return [f"change P@50 by {min(changes):.1f} to {max(changes):+.1f} points."]


def onboarding_speed() -> list[str]:
    """Say how long a question and a list take at scale."""
    now = read_results("onboarding-speed")
    return [
        f"With {now['segments']:,} segments, {now['people']:,} users and {now['items']:,} items, a question takes "
        f"{now['question_cpu_ms']:.2f} ms and a list {now['list_cpu_ms']:.1f} ms on one core."
    ]
