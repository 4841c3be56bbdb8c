import asyncio

import orjson
from pydantic import TypeAdapter

from serve.live import PAIR, live, until
from service.serving import gated
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import ReplyError
from spct.judges.settings import JudgeSettings
from spct.wire.judge import BatchAnswer, BatchLine, VerdictOut


async def test_a_verdict_with_its_judgments():
    async with live(settings=JudgeSettings(k=2)) as server:
        reply = await server.post("/v1/judge", {**PAIR, "id": "q1"})
    assert reply.status == 200
    verdict = VerdictOut.model_validate_json(reply.body)
    assert (verdict.id, verdict.model, verdict.source) == ("q1", "scripted:scripted", "sampled")
    assert (verdict.best, verdict.ranking, verdict.totals, verdict.means) == (1, (1, 0), (6, 18), (3, 9))
    assert (verdict.k, verdict.valid, verdict.invalid, verdict.error) == (2, 2, 0, None)
    assert [sorted(judgment.order) for judgment in verdict.judgments] == [[0, 1], [0, 1]]
    assert [judgment.scores for judgment in verdict.judgments] == [(3, 9), (3, 9)]
    assert verdict.usage.requests == 2
    assert set(orjson.loads(reply.body)) == set(VerdictOut.model_fields)


async def test_options_and_conversations_reach_the_judge():
    engine = ScriptedEngine(lambda request, j: judgment_text([5]))
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Name a prime."},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "Another."},
    ]
    options = {"k": 3, "temperature": 0.9, "max_tokens": 77, "seed": 5}
    async with live(engine) as server:
        reply = await server.post(
            "/v1/judge", {"query": turns, "responses": ["7"], "options": options, "judgments": False}
        )
    assert (reply.json["k"], reply.json["valid"], reply.json["judgments"]) == (3, 3, None)
    request = engine.requests[0]
    assert (request.n, request.temperature, request.max_tokens) == (3, 0.9, 77)
    assert all(turn["content"] in request.messages[-1].content for turn in turns)


async def test_a_reference_and_given_principles_are_judged_by():
    engine = ScriptedEngine(lambda request, j: judgment_text([5]))
    async with live(engine) as server:
        await server.post("/v1/judge", {**PAIR, "responses": ["x"], "reference": "the answer is 11"})
        given = {"principles": "1. Rhyme", "options": {"principles": "given"}}
        await server.post("/v1/judge", {**PAIR, "responses": ["x"], **given})
    assert "the answer is 11" in engine.requests[0].messages[-1].content
    assert "1. Rhyme" in engine.requests[1].messages[-1].content


async def test_a_judge_without_a_winner_says_so_and_shows_its_answers():
    async with live(ScriptedEngine(lambda request, j: "I cannot decide.")) as server:
        reply = await server.post("/v1/judge", PAIR)
    assert reply.status == 200
    verdict = VerdictOut.model_validate_json(reply.body)
    assert (verdict.best, verdict.means, verdict.error.type) == (None, None, "NoValidJudgment")
    assert [judgment.problem.code for judgment in verdict.judgments] == ["no_box"]


async def test_equal_requests_under_way_and_afterwards_are_judged_once():
    gate, engine = gated()
    async with live(engine) as server:
        asked = [asyncio.create_task(server.post("/v1/judge", {**PAIR, "id": str(i)})) for i in range(4)]
        await until(lambda: server.service.callers == 4)
        gate.open.set()
        replies = await asyncio.gather(*asked)
        later = await server.post("/v1/judge", PAIR)
    assert len(engine.requests) == 1
    assert sorted(reply.json["source"] for reply in replies) == ["sampled", "shared", "shared", "shared"]
    assert [reply.json["id"] for reply in replies] == ["0", "1", "2", "3"]
    assert later.json["source"] == "cached"


def fails_on_seven(request, j):
    return (
        ReplyError("garbage from http://10.0.0.7:8000") if "bad" in request.messages[-1].content else judgment_text([4])
    )


async def test_a_batch_answers_in_order_and_one_failure_is_its_own():
    items = [{"query": q, "responses": [q]} for q in ("one", "bad", "two", "one")]
    async with live(ScriptedEngine(fails_on_seven)) as server:
        reply = await server.post("/v1/judge/batch", {"items": items, "judgments": False})
    answer = BatchAnswer.model_validate_json(reply.body)
    assert (reply.status, answer.failed) == (200, 1)
    assert [result.index for result in answer.results] == [0, 1, 2, 3]
    assert [result.verdict and result.verdict.means for result in answer.results] == [(4,), None, (4,), (4,)]
    assert answer.results[1].error.type == "ReplyError"
    assert "10.0.0.7" not in reply.body.decode()


async def test_a_streamed_batch_tells_each_verdict_when_it_is_there():
    gate, _ = gated()
    engine = ScriptedEngine(
        lambda request, j: gate(request, j) if "slow" in request.messages[-1].content else judgment_text([4])
    )
    items = [{"query": q, "responses": ["5"]} for q in ("slow", "quick", "slow too")]
    line_of = TypeAdapter(BatchLine)
    async with live(engine) as server:
        body = {"items": items, "stream": True, "judgments": False}
        async with server.session.post(server.address + "/v1/judge/batch", json=body) as reply:
            assert (reply.status, reply.content_type) == (200, "application/x-ndjson")
            first = line_of.validate_json(await reply.content.readline())
            assert (first.event, first.done, first.total, first.result.index) == ("result", 1, 3, 1)
            gate.open.set()
            rest = [line_of.validate_json(line) async for line in reply.content]
    assert [(line.event, line.done, line.failed) for line in rest] == [
        ("result", 2, 0),
        ("result", 3, 0),
        ("end", 3, 0),
    ]
    assert sorted(line.result.index for line in rest[:2]) == [0, 2]


async def test_leaving_a_streamed_batch_cancels_what_is_left():
    gate, engine = gated()
    items = [{"query": str(i), "responses": ["5"]} for i in range(3)]
    async with live(engine) as server:
        body = {"items": items, "stream": True}
        async with server.session.post(server.address + "/v1/judge/batch", json=body) as reply:
            await until(lambda: gate.begun == 3)
            reply.close()
        await until(lambda: gate.cancelled == 3)
        assert (server.service.callers, server.service.running) == (0, 0)


async def test_a_batch_that_has_no_room_is_refused_as_a_whole():
    items = [{"query": str(i), "responses": ["5"]} for i in range(5)]
    engine = ScriptedEngine(lambda request, j: judgment_text([4]))
    async with live(engine, concurrency=1, queue=3) as server:
        for stream in (False, True):
            reply = await server.post("/v1/judge/batch", {"items": items, "stream": stream})
            assert (reply.status, reply.error) == (429, "BusyError")
            assert int(reply.headers["Retry-After"]) >= 1
    assert engine.requests == []
