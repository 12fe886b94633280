"""Time questions and lists of a large questionnaire, and renew docs/results/onboarding-speed.json.

OPENBLAS_NUM_THREADS=1 python benchmarks/onboarding_speed.py          1,000 segments, 70,000 people, 50,000 items
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import numpy as np
import typer
from result_files import RESULTS, write_results

from firstday.recommend.questionnaire import MAX_QUESTION_ITEMS, AnsweringUsers, Answers, Questionnaire, rank_by_answers
from firstday.sparse import SparseRows

ITEMS_EACH = 80


def main(segments: int = 1_000, people: int = 70_000, items: int = 50_000, rounds: int = 100) -> None:
    """Time a questionnaire with random answers; item use follows a long tail, and nothing is learned."""
    rng = np.random.default_rng(0)
    questionnaire = make_questionnaire(segments, people, items, rng)
    drawn = [draw_answers(questionnaire, rng) for _ in range(rounds)]
    results = {
        "segments": segments,
        "people": people,
        "items": items,
        "candidates": len(questionnaire.candidates),
        "question_cpu_ms": time_each(lambda answers: questionnaire.next_question(answers), drawn),
        "list_cpu_ms": time_each(lambda answers: rank_by_answers(questionnaire, answers, 50), drawn),
    }
    write_results(results, RESULTS / "onboarding-speed.json")


def make_questionnaire(n_segments: int, n_people: int, n_items: int, rng: np.random.Generator) -> Questionnaire:
    """Build random segments and users whose item use follows a long tail."""
    items = np.minimum((n_items * rng.random(n_people * ITEMS_EACH) ** 3).astype(np.int64), n_items - 1)
    people = np.repeat(np.arange(n_people), ITEMS_EACH)
    uses = SparseRows.from_pairs(people, items, None, n_people, n_items).ones()
    popularity = (uses.column_sums() / n_people).astype(np.float32)
    candidates = np.argsort(-popularity, kind="stable")[:MAX_QUESTION_ITEMS]
    shares = rng.beta(2, 10, (n_segments, len(candidates)))
    warm = AnsweringUsers(uses, uses.transpose(), popularity)
    return Questionnaire("item", candidates, shares, rng.dirichlet(np.full(n_segments, 5.0)), warm)


def draw_answers(questionnaire: Questionnaire, rng: np.random.Generator) -> Answers:
    """Draw one to five answers."""
    targets = rng.choice(questionnaire.candidates, rng.integers(1, 6), replace=False).tolist()
    n_yes = int(rng.integers(len(targets) + 1))
    return Answers(tuple(targets[:n_yes]), tuple(targets[n_yes:]))


def time_each(work: Callable[[Answers], object], drawn: list[Answers]) -> float:
    """Return the median processor time in ms, which other load on the machine does not affect."""
    times = []
    for answers in drawn:
        began = process_time()
        work(answers)
        times.append(1000 * (process_time() - began))
    return round(float(np.median(times)), 2)


if __name__ == "__main__":
    typer.run(main)
