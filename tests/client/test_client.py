import asyncio
import pickle
import re

import orjson
import pytest
from aiohttp import web

from servers.rewards import (
    RewardServer,
    answering,
    group_answer,
    hang_up,
    refusal,
    rollout_answer,
    verdict_answer,
)
from spct import errors
from spct.client import GroupIn, RewardClient
from spct.client.rewards import new_member
from spct.client.transport import Patience
from spct.errors import (
    BusyError,
    ContextLengthError,
    DeadlineError,
    EngineAuthError,
    EngineError,
    EngineUnreachableError,
    InputError,
    LateMemberError,
    NoVerdictError,
    RejectedError,
    ReplyError,
)
from spct.service.member import Member, digest_of, key_of
from spct.types import Message

TWO = answering(lambda body: group_answer([3.0, 8.5]))


async def test_judge_sends_the_group_and_reads_the_verdict():
    async with (
        RewardServer(answering(lambda body: verdict_answer())) as server,
        RewardClient(server.url, "sk-secret") as client,
    ):
        verdict = await client.ajudge([Message("user", "Hi")], ["a", "b"], id="x", reference="b", k=1, deadline_s=9)
    assert server.paths == ["/v1/judge"]
    assert server.bodies == [
        {
            "id": "x",
            "query": [{"role": "user", "content": "Hi"}],
            "responses": ["a", "b"],
            "reference": "b",
            "options": {"k": 1},
            "deadline_s": 9,
            "judgments": True,
        }
    ]
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    assert (verdict.best, verdict.ranking, verdict.totals, verdict.error) == (1, (1, 0), (3, 8), None)
    (judgment,) = verdict.judgments
    assert (judgment.order, judgment.seed, judgment.scores, judgment.problem) == ((1, 0), 5, (3, 8), None)
    assert judgment.text == "Scores: \\boxed{8, 3}"


async def test_a_verdict_without_a_winner_says_why():
    none = verdict_answer(best=None, ranking=None, totals=None, means=None, spread=None, judgments=None)
    none["error"] = {"type": "NoValidJudgment", "message": "none"}
    async with RewardServer(answering(lambda body: none)) as server, RewardClient(server.url, patience_s=20) as client:
        verdict = await client.ajudge("q", ["a", "b"], judgments=False)
    assert (verdict.best, verdict.error.type, verdict.error.message) == (None, "NoValidJudgment", "none")


async def test_reward_of_a_group():
    async with RewardServer(TWO) as server, RewardClient(server.url, patience_s=20) as client:
        group = await client.areward(
            "q", ["a", "b"], normalisation="unit", principles="Be brief.", tools=({"name": "f"},), k=4
        )
    assert server.paths == ["/v1/reward"]
    assert server.bodies == [
        {
            "query": "q",
            "responses": ["a", "b"],
            "principles": "Be brief.",
            "tools": [{"name": "f"}],
            "normalisation": "unit",
            "options": {"k": 4},
        }
    ]
    assert (group.rewards, group.range, group.best) == ((3.0, 8.5), (1.0, 10.0), 1)


@pytest.mark.parametrize(
    "answer",
    [
        group_answer([3.0]),
        group_answer([3.0, None]),
        group_answer([3.0, True]),
        group_answer([3.0, "8"]),
        group_answer([3.0, float("nan")]),
        {"rewards": [1, 2]},
        ["rewards"],
        None,
    ],
    ids=["too few", "null", "bool", "text", "NaN", "no range", "a list", "null body"],
)
async def test_no_reward_is_made_of_an_answer_that_holds_none(answer):
    async with (
        RewardServer(answering(lambda body: answer)) as server,
        RewardClient(server.url, patience_s=20) as client,
    ):
        with pytest.raises(ReplyError):
            await client.areward("q", ["a", "b"])


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"temprature": 1}, "options.temprature: Extra inputs are not permitted"),
        ({"k": 0}, "options.k: Input should be greater than or equal to 1"),
        ({"k": "4"}, "options.k: Input should be a valid integer"),
        ({"normalisation": "best"}, "normalisation: Input should be 'total', 'mean'"),
        ({"deadline_s": float("nan")}, "deadline_s: Input should be"),
        ({"reference": " "}, "reference: String should match"),
    ],
)
async def test_a_request_that_cannot_be_is_refused_before_it_is_sent(asked, fault):
    async with RewardServer(TWO) as server, RewardClient(server.url, patience_s=20) as client:
        with pytest.raises(InputError, match=f"the request cannot be sent: {fault}"):
            await client.areward("q", ["a", "b"], **asked)
        for query, responses in ((3, ["a"]), (None, ["a"]), ("", ["a"]), ([], ["a"]), ("q", []), ("q", [1])):
            with pytest.raises(InputError, match="(the request cannot be sent: |^)(query|responses)"):
                await client.areward(query, responses)
        with pytest.raises(InputError, match="text that UTF-8 can encode|unicode"):
            await client.areward("q\ud800", ["a"])
    assert server.bodies == []


async def test_turns_are_read_as_those_of_rows():
    parts = {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}
    async with RewardServer(TWO) as server, RewardClient(server.url, patience_s=20) as client:
        await client.areward((Message("system", "Be brief."), parts), ["a", "b"])
        with pytest.raises(InputError, match=r"query\[0\].*images"):
            await client.areward([{"role": "user", "content": [{"type": "image_url"}]}], ["a", "b"])
    assert [body["query"] for body in server.bodies] == [
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one\ntwo"}]
    ]


async def test_what_gives_responses_one_by_one_is_asked_for_once():
    async with RewardServer(TWO) as server, RewardClient(server.url, patience_s=20) as client:
        assert len((await client.areward("q", iter(["a", "b"]))).rewards) == 2
    assert [body["responses"] for body in server.bodies] == [["a", "b"]]


async def test_what_comes_back_is_frozen():
    async with RewardServer(TWO) as server, RewardClient(server.url, patience_s=20) as client:
        group = await client.areward("q", ["a", "b"])
    with pytest.raises(ValueError, match="frozen"):
        group.rewards = (1.0, 2.0)


async def test_an_answer_of_another_version_is_named():
    old = group_answer([3.0, 8.5], source="guessed")
    del old["usage"]
    async with RewardServer(answering(lambda body: old)) as server, RewardClient(server.url) as client:
        with pytest.raises(ReplyError, match=r"no GroupRewards \(source: .*; usage: Field required\); .*same version"):
            await client.areward("q", ["a", "b"])


async def test_an_answer_that_is_no_json():
    async def garbage(request, body):
        return web.Response(text="<html>proxy</html>")

    async with RewardServer(garbage) as server, RewardClient(server.url, patience_s=20) as client:
        with pytest.raises(ReplyError, match="no JSON: '<html>proxy</html>'"):
            await client.areward("q", ["a", "b"])


async def test_rollout_keeps_its_member_over_the_tries_of_one_call():
    script = [hang_up, refusal(425, "PendingError", Retry_After="0"), refusal(503, "DrainingError", Retry_After="0")]
    async with (
        RewardServer(answering(lambda body: rollout_answer(7.5)), script) as server,
        RewardClient(server.url, patience_s=20) as client,
    ):
        reward = await client.arollout_reward("q", "a", run="r", group="g", size=4, hold_s=1)
        await client.arollout_reward("q", "a", run="r", group="g", size=4)
    assert (reward.reward, reward.members, reward.size, reward.partial) == (7.5, 4, 4, False)
    members = [body["group"]["member"] for body in server.bodies]
    assert len(set(members[:4])) == 1 and members[4] != members[0]
    assert server.bodies[0] == {
        "query": "q",
        "response": "a",
        "group": {"run": "r", "id": "g", "size": 4, "member": members[0]},
        "normalisation": "mean",
        "hold_s": 1,
    }


async def test_waiting_for_a_group_is_no_failure_to_be_patient_with():
    held = [refusal(425, "PendingError", Retry_After="0.01")] * 30
    async with (
        RewardServer(answering(lambda body: rollout_answer(1)), held) as server,
        RewardClient(server.url, patience_s=0) as client,
    ):
        assert (await client.arollout_reward("q", "a", size=4, hold_s=0)).reward == 1.0
    assert len(server.bodies) == 31


@pytest.mark.parametrize(
    "failure",
    [
        refusal(429, "BusyError", Retry_After="0"),
        refusal(503, "EngineUnreachableError", Retry_After="0"),
        refusal(502),
        refusal(504),
        hang_up,
    ],
    ids=["busy", "engine away", "proxy 502", "proxy 504", "hung up"],
)
async def test_what_passes_is_waited_out(failure):
    async with RewardServer(TWO, [failure, failure]) as server, RewardClient(server.url, patience_s=20) as client:
        assert (await client.areward("q", ["a", "b"])).rewards == (3.0, 8.5)
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("status", "named", "raised"),
    [
        (401, "Unauthorized", EngineAuthError),
        (404, "NotFound", InputError),
        (409, "LateMemberError", LateMemberError),
        (413, "InputError", InputError),
        (422, "ContextLengthError", ContextLengthError),
        (422, "something new", RejectedError),
        (500, "InternalError", ReplyError),
        (502, "NoVerdictError", NoVerdictError),
        (502, "EngineError", EngineError),
        (504, "DeadlineError", DeadlineError),
    ],
)
async def test_refusals_are_raised_at_once_as_what_the_service_names(status, named, raised):
    async with (
        RewardServer(refusal(status, named, "the reason")) as server,
        RewardClient(server.url, "sk-secret-key", patience_s=1) as client,
    ):
        with pytest.raises(raised) as caught:
            await client.areward("q", ["a", "b"])
    assert type(caught.value) is raised
    assert status == 404 or "the reason" in str(caught.value)
    assert len(server.bodies) == 1


def test_every_error_of_the_service_can_be_raised_from_its_name():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SpctError)]
    assert all(str(kind("why")) == "why" for kind in kinds)


async def test_the_key_stays_out_of_errors():
    echo = refusal(422, "x", "your key sk-secret-key is fine")
    async with RewardServer(echo) as server, RewardClient(server.url, "sk-secret-key", patience_s=1) as client:
        with pytest.raises(RejectedError) as caught:
            await client.areward("q", ["a", "b"])
    assert "sk-secret-key" not in str(caught.value) + repr(client)


async def test_patience_ends():
    async with RewardServer(refusal(429, "BusyError", "full", Retry_After="5")) as server:
        async with RewardClient(server.url, patience_s=1) as client:
            with pytest.raises(BusyError, match="full") as caught:
                await client.areward("q", ["a", "b"])
        assert caught.value.retry_after_s == 5
        assert len(server.bodies) == 1
    async with RewardClient(server.url, patience_s=0) as client:
        with pytest.raises(EngineUnreachableError, match="connection refused; start it with spct serve"):
            await client.areward("q", ["a", "b"])


async def test_a_service_that_comes_back_is_found_again():
    server = RewardServer(TWO)
    await server.start()
    async with RewardClient(server.url, patience_s=20) as client:
        await client.areward("q", ["a", "b"])
        await server.stop()
        asking = [asyncio.create_task(client.areward("q", ["a", "b"])) for _ in range(8)]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in asking)
        await server.start()
        assert [(await task).rewards for task in asking] == [(3.0, 8.5)] * 8
    await server.stop()


def lines(*events):
    async def stream(request, body):
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            await response.write(orjson.dumps(event) + b"\n")
        return response

    return stream


def result(index, id):
    entry = {"index": index, "verdict": verdict_answer(id=id), "error": None}
    return {"event": "result", "done": 1, "total": 1, "failed": 0, "result": entry}


END = {"event": "end", "done": 1, "total": 1, "failed": 0, "result": None}


async def test_a_batch_streams_and_asks_again_for_what_a_cut_left_out():
    draining = {"index": 0, "verdict": None, "error": {"type": "DrainingError", "message": "stopping"}}
    failed = {"index": 1, "verdict": None, "error": {"type": "NoVerdictError", "message": "none"}}
    script = [
        lines(result(1, "b")),
        lines({**END, "event": "result", "result": draining}),
        lines(result(0, "a" * 300_000), {**END, "event": "result", "result": failed}, END),
    ]
    groups = [{"query": f"q{i}", "responses": ["a", "b"], "id": f"g{i}"} for i in range(3)]
    async with RewardServer(refusal(500), script) as server, RewardClient(server.url, patience_s=20) as client:
        results = [result async for result in client.ajudge_batch(groups, judgments=False, k=2)]
    assert [(r.index, r.verdict and r.verdict.id) for r in results] == [(1, "b"), (0, "a" * 300_000), (2, None)]
    assert results[2].error.model_dump() == {"type": "NoVerdictError", "message": "none"}
    assert [[item["id"] for item in body["items"]] for body in server.bodies] == [
        ["g0", "g1", "g2"],
        ["g0", "g2"],
        ["g0", "g2"],
    ]
    assert {key: server.bodies[0][key] for key in ("options", "judgments", "stream")} == {
        "options": {"k": 2},
        "judgments": False,
        "stream": True,
    }


@pytest.mark.parametrize(("index", "times"), [(3, 1), (-1, 1), (0, 2)], ids=["beyond", "negative", "twice"])
async def test_a_result_for_an_item_that_was_not_asked_for(index, times):
    stream = lines(*[result(index, "a")] * times)
    async with RewardServer(stream) as server, RewardClient(server.url, patience_s=20) as client:
        with pytest.raises(ReplyError, match=f"a result for item {index}, which it was not asked for"):
            [r async for r in client.ajudge_batch([{"query": "q", "responses": ["a", "b"]}] * 3)]


async def test_groups_of_a_batch_are_checked_before_anything_is_sent():
    bad = [
        {"responses": ["a"]},
        {"query": "q"},
        {"query": "q", "responses": "a"},
        {"query": "q", "responses": ["a"], "k": 2},
    ]
    async with RewardServer(TWO) as server, RewardClient(server.url, patience_s=20) as client:
        for group in bad:
            with pytest.raises(InputError, match="query: Field required|responses|k: Extra inputs"):
                await anext(client.ajudge_batch([{"query": "q", "responses": ["a"]}, group]))
    assert server.bodies == []


async def test_shapes_of_others():
    hits = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}]
    used = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    ranking = {"id": "r", "model": "m", "results": hits, "usage": used}
    async with (
        RewardServer(answering(lambda body: ranking)) as server,
        RewardClient(server.url, patience_s=20) as client,
    ):
        found = await client.arerank("q", ["a", "b"], top_n=2)
    assert [(hit.index, hit.relevance_score) for hit in found] == [(1, 0.9), (0, 0.2)]
    assert server.bodies == [{"query": "q", "documents": ["a", "b"], "top_n": 2, "return_documents": False}]
    data = [{"index": 1, "score": 0.9}, {"index": 0, "score": 0.2}]
    scores = {"id": "s", "created": 1, "model": "m", "data": data, "usage": used}
    async with (
        RewardServer(answering(lambda body: scores)) as server,
        RewardClient(server.url, patience_s=20) as client,
    ):
        assert await client.ascore("q", ["a", "b"]) == (0.2, 0.9)
        with pytest.raises(ReplyError, match=r"scores for \[0, 1\] of 3 responses"):
            await client.ascore("q", ["a", "b", "c"])
    assert (server.paths[0], server.bodies[0]) == ("/v1/score", {"text_1": "q", "text_2": ["a", "b"]})


async def test_plain_methods_run_beside_a_running_loop():
    ready = {"status": "ready", "model": "m", "running": 1, "waiting": 2, "capacity": 3}
    stream = lines(result(0, "a"), END)
    async with RewardServer(TWO, [answering(lambda body: ready), TWO, stream]) as server:

        def plain():
            with RewardClient(server.url, patience_s=20) as client:
                assert client.health().capacity == 3
                assert client.reward("q", ["a", "b"]).best == 1
                assert [r.verdict.id for r in client.judge_batch([GroupIn(query="q", responses=["a", "b"])])] == ["a"]

        await asyncio.to_thread(plain)
    assert server.paths == ["/readyz", "/v1/reward", "/v1/judge/batch"]


async def test_one_loop_at_a_time_and_any_number_after_another():
    async with RewardServer(TWO) as server:
        client = RewardClient(server.url)

        def once():
            return asyncio.run(client.areward("q", ["a", "b"])).best

        assert [await asyncio.to_thread(once) for _ in range(2)] == [1, 1]
        await client.areward("q", ["a", "b"])
        with pytest.raises(InputError, match="another event loop"):
            await asyncio.to_thread(once)
        await client.aclose()


def test_settings_that_cannot_be():
    with pytest.raises(InputError, match="base_url"):
        RewardClient("")
    with pytest.raises(InputError, match="patience_s is -1"):
        RewardClient("http://127.0.0.1:1", patience_s=-1)
    with pytest.raises(InputError, match="timeout_s is 0"):
        Patience(timeout_s=0)
    with RewardClient("http://127.0.0.1:1") as client:
        for responses, got in (("not a list", "one string"), ({"a", "b"}, "a set"), ({"gpt": "a"}, "a dict")):
            for asked, name in ((client.reward, "responses"), (client.rerank, "documents")):
                with pytest.raises(InputError, match=f"^{name}: got {got}.*; expected a list"):
                    asked("q", responses)


def test_a_new_member_sorts_as_its_text_does_and_is_never_another():
    texts = [f"text {i}" for i in range(20)]
    ids = [new_member(text) for text in texts]
    assert [texts[ids.index(id)] for id in sorted(ids)] == sorted(texts, key=digest_of)
    assert new_member("text 1") != ids[1]


async def test_the_rollouts_of_a_group_carry_the_same_header_and_nothing_else_has_it():
    async with (
        RewardServer(answering(lambda body: rollout_answer(7.5) if "group" in body else group_answer([1.0]))) as server,
        RewardClient(server.url, patience_s=20) as client,
    ):
        turns = [{"role": "user", "content": "q"}]
        same = [
            [client.arollout_reward("q", text, run="r", group="g", size=2) for text in ("a", "b")],
            [client.arollout_reward(query, "a", run="r", size=2) for query in ("q", turns, tuple(turns))],
            [client.arollout_reward("q", "a", run="r", size=2, reference="b")],
            [client.arollout_reward("q", "a", run="r", size=3)],
            [client.arollout_reward("q", "a", run="r2", group="g")],
            [client.arollout_reward("q", "a", run="", group="g")],
        ]
        for calls in same:
            for call in calls:
                await call
        await client.areward("q", ["a"])
    sent = [headers.get("Spct-Cohort") for headers in server.headers]
    groups = [sent[:2], sent[2:5], sent[5:6], sent[6:7], sent[7:8], sent[8:9]]
    assert [len(set(group)) for group in groups] == [1] * 6
    assert len({group[0] for group in groups}) == 6
    assert all(re.fullmatch("[0-9a-f]{32}", value) for value in sent[:9])
    assert sent[9] is None
    member = Member(run="r", query=(Message("user", "q"),), response="a", size=2)
    assert sent[2] == digest_of(key_of(member))  # what the service gathers by


async def test_the_header_stays_over_the_tries_of_a_call():
    async def bad_gateway(request, body):
        return web.Response(status=502, text="<html>502 Bad Gateway</html>", content_type="text/html")

    script = [bad_gateway, hang_up, refusal(503, "DrainingError", Retry_After="0")]
    async with (
        RewardServer(answering(lambda body: rollout_answer(7.5)), script) as server,
        RewardClient(server.url, patience_s=20) as client,
    ):
        assert (await client.arollout_reward("q", "a", run="r", group="g", size=2)).reward == 7.5
    assert len(server.headers) == 4
    assert len({headers["Spct-Cohort"] for headers in server.headers}) == 1


async def test_the_judge_of_the_client_is_named_in_every_request():
    def answer(body):
        if "documents" in body:
            return {"id": "x", "model": "m", "results": [], "usage": TOKENS}
        if "text_1" in body:
            score = {"index": 0, "object": "score", "score": 0.5}
            return {"id": "x", "object": "list", "created": 1, "model": "m", "data": [score], "usage": TOKENS}
        if "judgments" in body:
            return verdict_answer()
        return rollout_answer(1) if "group" in body else group_answer([1.0])

    async with RewardServer(answering(answer)) as server:
        client = pickle.loads(pickle.dumps(RewardClient(server.url, judge_name="strict", patience_s=20)))
        async with client:
            await client.areward("q", ["a"])
            await client.arollout_reward("q", "a", size=2)
            await client.ajudge("q", ["a", "b"])
            await client.arerank("q", ["a"])
            await client.ascore("q", ["a"])
        async with RewardClient(server.url, patience_s=20) as plain:
            await plain.areward("q", ["a"])
            await plain.arerank("q", ["a"])
    named = [(body.get("judge"), body.get("model")) for body in server.bodies]
    assert named == [("strict", None)] * 3 + [(None, "strict")] * 2 + [(None, None)] * 2


TOKENS = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
