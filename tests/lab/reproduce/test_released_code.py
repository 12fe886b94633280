"""What the authors' code does where the default departs from it, on five users whose answers are obvious."""

from __future__ import annotations

import numpy as np

from firstday.config import Config, SegmentConfig
from firstday.lab.reproduce.deezer_kdd21 import PaperData
from firstday.lab.reproduce.paper_model import fit_paper_model
from firstday.lab.reproduce.released_code import fit_by_scikit_learn, measure_tied_ndcg
from firstday.ranking import unit_rows
from firstday.recommend.query import Answer
from firstday.sparse import SparseRows
from tests.synthetic import SEED

SECOND = 1 / np.log2(3)
"""Discount of the second position."""


def test_songs_of_equal_score_share_their_positions() -> None:
    songs = np.tile(np.array([0, 1, 2], np.int32), (5, 1))
    scores = np.tile(np.array([3, 1, 1], np.float32), (5, 1))
    answer = Answer(songs, scores, np.full(5, "segment", dtype=object))
    truth = SparseRows.from_lists([[0], [1], [2], [0, 4], [4]], 5)
    expected = [1, SECOND / 2, SECOND / 2, 1 / (1 + SECOND), 0]
    np.testing.assert_allclose(measure_tied_ndcg(answer, truth, 2), 100 * np.array(expected))


def test_scikit_learn_finds_the_two_tastes_of_five_users() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
    centroids = fit_by_scikit_learn(vectors, 2, SegmentConfig(), SEED)
    np.testing.assert_allclose(sorted(centroids.tolist()), [[0, 1], [1, 0]], atol=1e-6)


def test_segments_are_those_of_scikit_learn(data: PaperData, paper_config: Config) -> None:
    model = fit_paper_model(data, paper_config, like_code=["scikit-learn"])
    centroids = fit_by_scikit_learn(unit_rows(data.user_vectors), 12, paper_config.segments, SEED)
    np.testing.assert_allclose(model.segments.centroids, centroids, atol=1e-6)
