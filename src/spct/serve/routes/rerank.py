"""``/v1/rerank``: Cohere's and Jina's shape, so that their clients choose the best of n."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from spct.serve.problems import Json, documented
from spct.serve.routing import JudgingRoute, caller_of_model
from spct.wire.answers import tokens_used
from spct.wire.asked import item_of
from spct.wire.parts import GroupIn
from spct.wire.rerank import RerankAnswer, RerankRequest

router = APIRouter(route_class=JudgingRoute, tags=["shapes of others"], responses=documented())


@router.post("/v1/rerank", response_model=RerankAnswer)
@router.post("/v2/rerank", response_model=RerankAnswer)
@router.post("/rerank", response_model=RerankAnswer)
async def rerank(body: RerankRequest, request: Request) -> Response:
    """Rank documents as responses to the query, best first."""
    caller = caller_of_model(request, body.model)
    texts = [text if isinstance(text, str) else text.text for text in body.documents]
    answer = await caller.ask(item_of(GroupIn(query=body.query, responses=[*texts])))
    verdict = answer.verdict
    relevance = caller.relevance(verdict)
    ranking = (verdict.ranking or ())[: body.top_n or None]
    results = [
        {
            "index": index,
            "relevance_score": relevance[index],
            "document": {"text": texts[index]} if body.return_documents else None,
        }
        for index in ranking
    ]
    return Json({"id": verdict.id, "model": caller.model, "results": results, "usage": tokens_used([verdict])})
