"""Embeddings whose rows stand for positions or segments."""

from __future__ import annotations

import re
from typing import Any

# "position_embedding", "pos_emb_1", "encoder_position_embeddings", "token_type_embed".
_NAME = re.compile(
    r"(?:.*_)?(?:pos|positions?|positional|segments?|token_types?)"
    r"_(?:emb|embed|embeddings?|encodings?|table)(?:_\d+)?"
)


def is_index_table(layer: Any, owner: Any) -> bool:
    """Return True if an embedding is indexed by positions or segments.

    Such a table has few rows, all inputs use each of them, and other weights cannot
    make up for one that is gone. Its size does not tell: a feature of 12 categories has
    as few rows. Nor does its class: in KerasHub a position is a `PositionEmbedding` in
    one model and a plain `Embedding` in the next. Its name tells: the name of the
    layer, as KerasHub gives it ("segment_embedding") and as Keras derives it from the
    name of a class (`PositionEmbedding`), or that of the attribute under which the
    layer or model around it keeps it (`self.pos_emb = Embedding(...)`). The name has
    position, segment or token_type in front of embedding, or one of their short forms.

    Args:
        layer: An embedding layer.
        owner: The layer or model directly around it.
    """
    kept_as = (name for name, value in vars(owner).items() if value is layer)
    return any(_NAME.fullmatch(name.lower()) for name in (layer.name, *kept_as))
