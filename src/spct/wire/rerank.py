"""``/v1/rerank``: Cohere's and Jina's shape."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spct.wire.parts import Foreign, Out, Some, Text, TokensUsed, shown_as


class RerankText(Foreign):
    """A document in an object, as Jina's clients may send it."""

    text: str


class RerankRequest(Foreign):
    """Cohere's and Jina's rerank request: ``documents`` are the responses. A ``top_n`` of null or 0 means all."""

    model_config = shown_as({"query": "Name a prime above 10.", "documents": ["12", "11"], "top_n": 1})

    model: str | None = None
    query: Text
    documents: Some[str | RerankText]
    top_n: Annotated[int | None, Field(ge=0)] = None
    return_documents: bool = True


class RerankResult(Out):
    """``relevance_score`` is the mean score on 0..1 (``unit``), or the plain mean of a judge without a stated scale."""

    index: int
    relevance_score: float
    document: RerankText | None = None


class RerankAnswer(Out):
    """Best first."""

    id: str
    model: str
    results: tuple[RerankResult, ...]
    usage: TokensUsed
