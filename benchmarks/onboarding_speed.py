"""Time questions and lists of a large questionnaire, and renew docs/results/onboarding-speed.json.

OPENBLAS_NUM_THREADS=1 python benchmarks/onboarding_speed.py          70,000 people, 50,000 items, vectors of 128
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from firstday.recommend.answered import rank_answered
from firstday.recommend.questionnaire import Answers, Asking, Questionnaire
from firstday.sparse import SparseRows

OUT = Path(__file__).parents[1] / "docs" / "results" / "onboarding-speed.json"
ITEMS_EACH = 80


def main() -> None:
    """Ask random people, whose uses follow a long tail; nothing is learned from them, they only take their time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=70_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    began = perf_counter()
    asked = make_questionnaire(arguments.people, arguments.items, arguments.dimensions, rng)
    asked.next_question(Answers())
    ready_s = perf_counter() - began
    n_rounds = arguments.rounds
    all_answers = [draw_answers(asked, rng) for _ in range(n_rounds)]
    question_ms = time_each(lambda answers: asked.next_question(answers), all_answers)
    list_ms = time_each(lambda answers: rank_answered(asked, answers, 50), all_answers)
    found = {
        "people": arguments.people,
        "items": arguments.items,
        "dimensions": arguments.dimensions,
        "ready_s": round(ready_s, 2),
        "question_cpu_ms": question_ms,
        "list_cpu_ms": list_ms,
    }
    print(json.dumps(found, indent=1))
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def make_questionnaire(n_people: int, n_items: int, dimensions: int, rng: np.random.Generator) -> Questionnaire:
    """Make people who use items at random, few of them often."""
    items = np.minimum((n_items * rng.random(n_people * ITEMS_EACH) ** 3).astype(np.int64), n_items - 1)
    people = np.repeat(np.arange(n_people), ITEMS_EACH)
    uses = SparseRows.from_pairs(people, items, None, n_people, n_items).ones()
    fans = uses.transpose()
    candidates = np.argsort(-fans.lengths(), kind="stable")[: Asking().n_candidates]
    vectors = rng.normal(size=(n_people, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    popularity = (fans.lengths() / n_people).astype(np.float32)
    return Questionnaire("item", uses, vectors, fans, candidates, popularity, 50)


def draw_answers(asked: Questionnaire, rng: np.random.Generator) -> Answers:
    """Draw one to five answers."""
    picked = rng.choice(asked.candidates, rng.integers(1, 6), replace=False).tolist()
    n_yes = int(rng.integers(len(picked) + 1))
    return Answers(tuple(picked[:n_yes]), tuple(picked[n_yes:]))


def time_each(work: Callable[[Answers], object], all_answers: list[Answers]) -> float:
    """Return the median time of a core that a piece of work takes, milliseconds; others on the machine do not count."""
    times = []
    for answers in all_answers:
        began = process_time()
        work(answers)
        times.append(1000 * (process_time() - began))
    return round(float(np.median(times)), 2)


if __name__ == "__main__":
    main()
