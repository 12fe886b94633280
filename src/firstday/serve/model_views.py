"""What only the service derives from a model, whatever new items are listed; made on first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
import polars as pl

from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.current_items import CurrentItems
from firstday.recommend.questionnaire import Questionnaire
from firstday.recommend.rules.filters import describe_columns


@dataclass(frozen=True, eq=False)
class ModelViews:
    """Questionnaires, columns for filters, and the search for items of a model."""

    model: TrainedModel

    @cached_property
    def questionnaire_of(self) -> Callable[[str], Questionnaire]:
        """Function that returns the questionnaire for an entity."""
        return cache(partial(Questionnaire.of, self.model))

    @cached_property
    def item_columns(self) -> list[dict[str, Any]]:
        """Columns of items that filters can read; see `describe_columns`."""
        return describe_columns(self.model.catalogue.columns)

    @cached_property
    def _titles(self) -> pl.Series:
        """Titles in lower case without accents, most popular first."""
        titles = [self.model.catalogue.title_of(item) for item in self.model.popular_items.tolist()]
        return _fold(pl.Series(titles, dtype=pl.String))

    def find_items(self, text: str, current: CurrentItems | None = None) -> list[int]:
        """Return the index of the item with this id, then of items with every word in the title, most popular first.

        New items are the last. Items that may not be listed now are left out.
        """
        items = current or self.model
        exact = items.catalogue.items.index_of(text)
        matches = self.model.popular_items[_have_words(self._titles, text)].tolist()
        if current is not None:
            titles = pl.Series([current.catalogue.title_of(item) for item in current.changed.tolist()], dtype=pl.String)
            is_changed = set(current.changed.tolist())
            matches = [item for item in matches if item not in is_changed]
            matches += current.changed[_have_words(_fold(titles), text)].tolist()
        return [item for item in dict.fromkeys([exact, *matches]) if item >= 0 and items.listed[item]]


def _have_words(titles: pl.Series, text: str) -> np.ndarray:
    """Return the mask of folded titles that contain every word of a text."""
    has_words = titles.is_not_null()
    for word in _fold(pl.Series([text])).item().split():
        has_words &= titles.str.contains(word, literal=True)
    return has_words.to_numpy()


def _fold(texts: pl.Series) -> pl.Series:
    """Return texts in lower case, without accents."""
    return texts.str.to_lowercase().str.normalize("NFKD").str.replace_all(r"\p{M}", "")
