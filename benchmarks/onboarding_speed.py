"""Time questions and lists of a large questionnaire, and renew docs/results/onboarding-speed.json.

python benchmarks/onboarding_speed.py                        70,000 people, 50,000 items, vectors of 128
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import perf_counter

import numpy as np

from firstday.data.rows import SparseRows
from firstday.recommend.answered import rank_answered
from firstday.recommend.questionnaire import Answers, Asking, Questionnaire

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
    question_ms, list_ms = [], []
    for _ in range(arguments.rounds):
        picked = rng.choice(asked.candidates, rng.integers(1, 6), replace=False).tolist()
        n_yes = int(rng.integers(len(picked) + 1))
        answers = Answers(tuple(picked[:n_yes]), tuple(picked[n_yes:]))
        began = perf_counter()
        asked.next_question(answers)
        question_ms.append(1000 * (perf_counter() - began))
        began = perf_counter()
        rank_answered(asked, answers, 50)
        list_ms.append(1000 * (perf_counter() - began))
    found = {
        "people": arguments.people,
        "items": arguments.items,
        "dimensions": arguments.dimensions,
        "ready_s": round(ready_s, 2),
        "question_ms": summarise(question_ms),
        "list_ms": summarise(list_ms),
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


def summarise(times: list[float]) -> dict[str, float]:
    """Return median and 95th percentile."""
    return {"median": round(float(np.median(times)), 2), "p95": round(float(np.quantile(times, 0.95)), 2)}


if __name__ == "__main__":
    main()
