"""Under load and when things break: every caller gets its verdict or the error that says why not."""

import asyncio
from collections.abc import Iterator

import pytest

from serve.live import PAIR, live, until
from service.serving import by_digit, gated
from spct import errors
from spct.engines.scripted import Answer, ScriptedEngine, judgment_text


async def test_a_full_queue_is_429_and_when_to_come_again():
    gate, engine = gated()
    async with live(engine, concurrency=1, queue=2) as server:
        bodies = [{"query": str(i), "responses": [str(i)]} for i in range(1, 5)]
        asked = [asyncio.create_task(server.post("/v1/reward", body)) for body in bodies[:3]]
        await until(lambda: server.service.callers == 3)
        refused = await server.post("/v1/reward", bodies[3])
        assert (refused.status, refused.error) == (429, "BusyError")
        assert int(refused.headers["Retry-After"]) >= 1
        gate.open.set()
        replies = await asyncio.gather(*asked)
        assert [reply.json["rewards"] for reply in replies] == [[1], [2], [3]]
        assert (await server.post("/v1/reward", bodies[3])).json["rewards"] == [4]


async def test_a_deadline_is_504_and_gives_up_the_samples():
    gate, engine = gated()
    async with live(engine) as server:
        reply = await server.post("/v1/reward", {**PAIR, "deadline_s": 0.05})
        assert (reply.status, reply.error) == (504, "DeadlineError")
        await until(lambda: gate.cancelled == 1)
        assert server.service.callers == 0


async def test_a_client_that_goes_away_takes_its_samples_with_it():
    gate, engine = gated()
    async with live(engine) as server:
        asked = asyncio.create_task(server.post("/v1/reward", PAIR))
        await until(lambda: gate.begun == 1)
        asked.cancel()
        await until(lambda: gate.cancelled == 1)
        await until(lambda: server.serving.active == 0)
        assert (server.service.callers, server.service.running) == (0, 0)
        assert server.log[-1]["error"] == "ClientGone"


async def test_a_client_that_goes_away_while_it_sends_is_no_fault_of_the_server():
    async with live() as server:
        _, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
        writer.write(
            b"POST /v1/reward HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        await until(lambda: server.serving.active == 1)
        writer.close()
        await until(lambda: server.serving.active == 0)
        assert [(line["event"], line.get("error")) for line in server.log[1:]] == [("request", "ClientGone")]


async def test_a_client_that_goes_away_leaves_the_others_their_share():
    gate, engine = gated()
    async with live(engine) as server:
        first = asyncio.create_task(server.post("/v1/reward", PAIR))
        second = asyncio.create_task(server.post("/v1/reward", PAIR))
        await until(lambda: server.service.callers == 2)
        first.cancel()
        await until(lambda: server.service.callers == 1)
        gate.open.set()
        assert (await second).json["rewards"] == [3, 9]
    assert (gate.begun, gate.cancelled) == (1, 0)


FAILURES = [
    (errors.EngineUnreachableError("no answer at http://10.0.0.7:8000 with key sk-secret"), 503),
    (errors.EngineAuthError("key sk-secret refused by http://10.0.0.7:8000"), 502),
    (errors.ReplyError("10.0.0.7:8000 answers <html>sk-secret"), 502),
    (errors.RejectedError("10.0.0.7:8000 refuses sk-secret"), 502),
    (errors.ContextLengthError("10.0.0.7:8000 sk-secret: too long"), 422),
    (errors.EngineError("10.0.0.7:8000 sk-secret is broken"), 502),
    (RuntimeError("a fault at /root/secret/path with sk-secret 10.0.0.7:8000"), 500),
]


@pytest.mark.parametrize(("failure", "status"), FAILURES, ids=lambda value: type(value).__name__)
async def test_an_engines_failure_is_an_error_that_gives_nothing_away(failure, status):
    async with live(ScriptedEngine(lambda request, j: failure)) as server:
        for path, body in (
            ("/v1/judge", PAIR),
            ("/v1/reward", PAIR),
            ("/v1/rerank", {"query": "q", "documents": ["a", "b"]}),
            ("/score", {"text_1": "q", "text_2": ["a"]}),
            ("/v1/openrlhf/reward", {"query": ["qa"], "prompts": ["q"]}),
            ("/v1/reward", {"query": "q", "response": "a", "group": {"size": 1}}),
        ):
            reply = await server.post(path, body)
            assert reply.status == status
            assert reply.error == ("InternalError" if status == 500 else type(failure).__name__)
            text = reply.body.decode() + str(reply.headers)
            assert not any(word in text for word in ("10.0.0.7", "sk-secret", "/root", "Traceback", ".py"))
    assert "sk-secret" not in server.log_bytes.getvalue().decode()


async def test_an_engine_that_comes_back_is_used_again():
    answers: Iterator[Answer] = iter([errors.EngineUnreachableError("gone"), judgment_text([7])])
    async with live(ScriptedEngine(lambda request, j: next(answers))) as server:
        body = {"query": "q", "responses": ["a"]}
        assert (await server.post("/v1/reward", body)).status == 503
        assert (await server.post("/v1/reward", body)).json["rewards"] == [7]


async def test_many_callers_at_once_all_get_their_own_reward():
    async with live(ScriptedEngine(by_digit), concurrency=4, queue=10_000) as server:

        async def one(i):
            body = {"query": f"question {i % 50}", "responses": [str(1 + i % 7), str(1 + i % 9)]}
            reply = await server.post("/v1/reward", body)
            return reply.status, reply.json["rewards"]

        found = await asyncio.gather(*[one(i) for i in range(500)])
    assert found == [(200, [1 + i % 7, 1 + i % 9]) for i in range(500)]
    assert server.service.callers == 0
