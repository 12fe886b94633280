"""word2vec on users' item sequences (PAPER, step 1), by gensim; user vectors are means of item vectors."""

from __future__ import annotations

import numpy as np

from firstday.config import EmbeddingConfig
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.errors import MissingExtraError
from firstday.sparse import SparseRows


def fit_word2vec(affinity: SparseRows, sequences: list[list[int]], config: EmbeddingConfig, *, seed: int) -> Embeddings:
    """Train skip-gram item vectors on warm users' item sequences, oldest first.

    The embeddings have mean fold-in and cosine similarity. Training uses one thread, since several threads are not
    reproducible. See O. Barkan, N. Koenigstein, "Item2Vec: Neural Item Embedding for Collaborative Filtering", MLSP
    2016.
    """
    try:
        from gensim.models import Word2Vec
    except ImportError:
        raise MissingExtraError("word2vec", "word2vec") from None
    dimensions = config.resolve_dimensions(affinity.n_rows, affinity.n_columns)
    model = Word2Vec(
        sentences=[[str(ix) for ix in sequence] for sequence in sequences],
        vector_size=dimensions,
        window=config.word2vec_window,
        epochs=config.word2vec_epochs,
        min_count=1,
        sg=1,
        workers=1,
        seed=seed,
    )
    items = np.zeros((affinity.n_columns, dimensions), dtype=np.float32)
    item_ix = np.array([int(word) for word in model.wv.index_to_key])
    items[item_ix] = model.wv.vectors
    fold_in = FoldIn(items, "mean")
    return Embeddings(fold_in.solve(affinity), items, fold_in, "cosine")
