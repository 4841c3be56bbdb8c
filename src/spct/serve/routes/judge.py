"""``/v1/judge`` and ``/v1/judge/batch``: verdicts with their judgments."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from spct.errors import SpctError
from spct.serve.problems import Json, documented, entry
from spct.serve.routing import JudgingRoute, caller_of
from spct.service.service import Answer, Answers
from spct.wire.answers import verdict_out
from spct.wire.asked import asked_of, item_of, options_of
from spct.wire.judge import BatchAnswer, BatchLine, BatchRequest, JudgeRequest, VerdictOut

router = APIRouter(route_class=JudgingRoute, tags=["judge"], responses=documented())

NDJSON = "application/x-ndjson"


def _described_lines() -> dict[int | str, dict[str, Any]]:
    """A line of the streamed form, for the OpenAPI document; its parts are there as those of ``BatchAnswer``."""
    schema = BatchLine.model_json_schema(ref_template="#/components/schemas/{model}")
    del schema["$defs"]
    return {200: {"content": {NDJSON: {"schema": schema}}}}


@router.post("/v1/judge", response_model=VerdictOut)
async def judge(body: JudgeRequest, request: Request) -> Response:
    """Judge one query's responses."""
    caller = caller_of(request, body.judge)
    answer = await caller.ask(item_of(body), options_of(body.options), body.deadline_s, asked_of(body))
    return Json(verdict_out(answer, caller.model, body.judgments))


@router.post("/v1/judge/batch", response_model=BatchAnswer, responses=_described_lines())
async def judge_batch(body: BatchRequest, request: Request) -> Response:
    """Judge many; one that fails does not keep the others from their verdicts."""
    caller = caller_of(request, body.judge)
    items = [item_of(group) for group in body.items]
    answers = caller.ask_each(
        items, options_of(body.options), body.deadline_s, [asked_of(group) for group in body.items]
    )
    if body.stream:
        return StreamingResponse(_lines(answers, len(items), caller.model, body.judgments), media_type=NDJSON)
    # As JSON one by one as they come: all at once they would hold the loop for long, and be held as Python's values till then.
    failed, found = 0, {}
    async with answers:
        async for place, answer in answers:
            result = _entry(place, answer, caller.model, body.judgments)
            failed += result["error"] is not None
            found[place] = orjson.Fragment(orjson.dumps(result))
    return Json({"results": [found[place] for place in range(len(items))], "failed": failed})


async def _lines(answers: Answers, total: int, model: str, judgments: bool) -> AsyncIterator[bytes]:
    done = failed = 0
    async with answers:
        async for place, answer in answers:
            result = _entry(place, answer, model, judgments)
            done, failed = done + 1, failed + (result["error"] is not None)
            yield _line("result", done, total, failed, result)
    yield _line("end", done, total, failed, None)


def _line(event: str, done: int, total: int, failed: int, result: dict[str, Any] | None) -> bytes:
    line = {"event": event, "done": done, "total": total, "failed": failed, "result": result}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _entry(place: int, answer: Answer | SpctError, model: str, judgments: bool) -> dict[str, Any]:
    return entry(place, "verdict", verdict_out(answer, model, judgments) if isinstance(answer, Answer) else answer)
