"""``/score``: vLLM's shape, under all the names that its releases have given the two sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from spct.wire.parts import Foreign, Out, Some, Text, TokensUsed, shown_as

Queries = Annotated[Text | Some[Text], Field(union_mode="left_to_right")]
Texts = Annotated[str | Some[str], Field(union_mode="left_to_right")]


class ScoreTexts(Foreign):
    """vLLM's score request: one query and one or many responses, judged jointly; or as many of each, judged in pairs."""

    model_config = shown_as({"text_1": "Name a prime above 10.", "text_2": ["12", "11"]})

    model: str | None = None
    text_1: Queries
    text_2: Texts


class ScoreDocuments(Foreign):
    """The same under the names ``queries`` and ``documents``."""

    model: str | None = None
    queries: Queries
    documents: Texts


class ScoreItems(Foreign):
    """The same under the names ``queries`` and ``items``."""

    model: str | None = None
    queries: Queries
    items: Texts


class ScoreData(Foreign):
    """The same under the names ``data_1`` and ``data_2``."""

    model: str | None = None
    data_1: Queries
    data_2: Texts


def _score_kind(value: Any) -> str:
    has = value.__contains__ if isinstance(value, Mapping) else lambda name: hasattr(value, name)
    for kind, name in (("documents", "documents"), ("items", "items"), ("data", "data_1")):
        if has(name):
            return kind
    return "texts"


ScoreRequest = Annotated[
    Annotated[ScoreTexts, Tag("texts")]
    | Annotated[ScoreDocuments, Tag("documents")]
    | Annotated[ScoreItems, Tag("items")]
    | Annotated[ScoreData, Tag("data")],
    Discriminator(_score_kind),
]


class Score(Out):
    """The score of pair ``index``, as ``relevance_score``."""

    index: int
    object: Literal["score"] = "score"
    score: float


class ScoreAnswer(Out):
    """One score per pair, in the order asked."""

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    data: tuple[Score, ...]
    usage: TokensUsed
