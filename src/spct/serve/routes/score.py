"""``/score``: vLLM's shape, under all the names that its releases have given the two sides."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from spct.errors import InputError, SpctError
from spct.items.conversation import query_of
from spct.serve.problems import Json, documented
from spct.serve.routing import JudgingRoute, caller_of_model
from spct.types import Item
from spct.wire.answers import tokens_used
from spct.wire.score import Queries, ScoreAnswer, ScoreData, ScoreDocuments, ScoreItems, ScoreRequest, Texts

router = APIRouter(route_class=JudgingRoute, tags=["shapes of others"], responses=documented())


@router.post("/score", response_model=ScoreAnswer)
@router.post("/v1/score", response_model=ScoreAnswer)
async def score(body: ScoreRequest, request: Request) -> Response:
    """Score responses: one query's jointly, or several queries' each alone."""
    caller = caller_of_model(request, body.model)
    items = _items(*_sides(body))
    answers = await caller.ask_all(items)
    scores: list[float] = []
    verdicts = []
    for answer in answers:
        if isinstance(answer, SpctError):
            raise answer
        scores += caller.relevance(answer.verdict)
        verdicts.append(answer.verdict)
    return Json(
        {
            "id": verdicts[0].id,
            "object": "list",
            "created": int(time.time()),
            "model": caller.model,
            "data": [{"index": i, "object": "score", "score": score} for i, score in enumerate(scores)],
            "usage": tokens_used(verdicts),
        }
    )


def _sides(body: ScoreRequest) -> tuple[Queries, Texts]:
    if isinstance(body, ScoreDocuments):
        return body.queries, body.documents
    if isinstance(body, ScoreItems):
        return body.queries, body.items
    if isinstance(body, ScoreData):
        return body.data_1, body.data_2
    return body.text_1, body.text_2


def _items(queries: Queries, responses: Texts) -> list[Item]:
    """One item for one query; for several, one item a pair. Raises InputError where the two sides do not match."""
    asked = [queries] if isinstance(queries, str) else queries
    given = [responses] if isinstance(responses, str) else responses
    if len(asked) == 1:
        return [Item("", query_of(asked[0], "query"), tuple(given))]
    if len(asked) != len(given):
        raise InputError(f"got {len(asked)} queries and {len(given)} responses; expected one query, or as many of each")
    return [Item("", query_of(query, "query"), (text,)) for query, text in zip(asked, given, strict=True)]
