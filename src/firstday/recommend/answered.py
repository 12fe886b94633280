"""What follows from a newcomer's answers: a list by all of them, or signals by the yeses for any strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.data.events import ITEM
from firstday.data.ids import Ids
from firstday.features.signals import Signals
from firstday.ranking import top_k
from firstday.recommend.questionnaire import Answers, Questionnaire
from firstday.recommend.recommender import Recommendation, Recommender, check_length, name_items

ROUTE = "answers"
PICK_SIGNAL = "onboarding"
"""The signal that a pick while registering becomes, where the model knows it."""


def rank_answered(
    questionnaire: Questionnaire, answers: Answers, k: int, left_out: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Rank items by how much those who would have answered alike use them.

    Parameters
    ----------
    questionnaire
        Of the model.
    answers
        A newcomer's; yeses and noes both count. Items that were answered have no place in the list.
    k
        Length of the list.
    left_out
        Indexes of further items that have no place in it, such as those used or banned.

    Returns
    -------
    items, scores : numpy.ndarray
        int32 and float32, shape (k,), best first; see `firstday.ranking.top_k`.
    """
    scores = questionnaire.score(answers)[None]
    scores[0, [*questionnaire.closed(answers), *left_out]] = -np.inf
    items, values = top_k(scores, k)
    return items[0], values[0]


def recommend_answered(
    model: TrainedModel,
    questionnaire: Questionnaire,
    answers: Answers,
    k: int | None = None,
    left_out: Sequence[int] = (),
) -> Recommendation:
    """Return a newcomer's list by all of their answers.

    Parameters
    ----------
    model, questionnaire, answers, left_out
        See `rank_answered`.
    k
        Length of the list; the configured length if left out.

    Raises
    ------
    ConfigError
        k is below 1.
    """
    ranked, scores = rank_answered(questionnaire, answers, check_length(model, k), left_out)
    return Recommendation(name_items(model, ranked, scores), ROUTE, ROUTE, None, None, ())


def recommend_from_yeses(
    recommender: Recommender,
    entity: str,
    answers: Answers,
    k: int | None = None,
    strategy: str | None = None,
    left_out: Sequence[int] = (),
) -> Recommendation:
    """Return a strategy's list from the yeses, as if they were what was done on day one, without what got a no.

    Parameters
    ----------
    recommender
        The model.
    entity
        What was asked about.
    answers
        A newcomer's.
    k, strategy
        See `Recommender.recommend`.
    left_out
        See `rank_answered`.

    Raises
    ------
    ConfigError
        k is below 1, or the model cannot answer by this strategy.
    """
    model = recommender.model
    length = check_length(model, k)
    closed = {model.catalogue.items[item] for item in (*(answers.no if entity == ITEM else ()), *left_out)}
    longer = recommender.recommend(signals_of(model, entity, answers), length + len(closed), strategy)
    return replace(longer, items=tuple(item for item in longer.items if item.item_id not in closed)[:length])


def ids_of(model: TrainedModel, entity: str) -> Ids:
    """Return the ids of what may be asked about: items, or the members of another entity."""
    return model.catalogue.items if entity == ITEM else model.catalogue.entities[entity]


def pick_signal(model: TrainedModel, entity: str) -> str:
    """Return the signal of a yes: `onboarding` if warm users have it with this entity, else another liking."""
    signals = model.config.signals
    learned = (name for name in (PICK_SIGNAL, *signals.use, *signals.liked) if (name, entity) in model.pairs)
    return next(learned, signals.use[0])


def understand_picks(model: TrainedModel, signals: Signals) -> Signals:
    """Return a user's signals with picks as the model learned yeses (`pick_signal`), else they would not move it."""
    if not any(signal == PICK_SIGNAL for signal, _, _ in signals.interactions):
        return signals
    understood = [
        (pick_signal(model, entity) if signal == PICK_SIGNAL else signal, entity, identity)
        for signal, entity, identity in signals.interactions
    ]
    return Signals(age=signals.age, interactions=understood, friends=signals.friends, **signals.groups)


def signals_of(model: TrainedModel, entity: str, answers: Answers) -> Signals:
    """Return the yeses as what was done on day one; noes have no signal that the encoder understands.

    Parameters
    ----------
    model
        Its ids and signals, see `pick_signal`.
    entity
        What was asked about.
    answers
        A newcomer's.
    """
    signal = pick_signal(model, entity)
    ids = ids_of(model, entity)
    return Signals(interactions=[(signal, entity, ids[target]) for target in answers.yes])
