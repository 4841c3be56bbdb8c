"""Several judges in one service: requests choose by name, and nothing of one judge reaches another."""

import asyncio

import pytest

from serve.live import PAIR, keys_of, live, until
from service.serving import by_digit, gated
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.serve.state import ServerState
from spct.service.closed_groups import ClosedGroups
from spct.service.judges import grm_judges
from spct.service.service import RewardService
from spct.wire.models import ModelsAnswer


def least(request, j):
    """Gives every response the least score."""
    return judgment_text([1] * request.messages[-1].content.count("[Begin response"))


async def test_the_judges_are_listed_and_one_is_the_default():
    async with live(others={"least": ScriptedEngine(least)}) as server:
        reply = await server.get("/v1/models")
    told = ModelsAnswer.model_validate_json(reply.body)
    assert [(one.id, one.default, one.model) for one in told.data] == [
        ("default", True, "scripted:scripted"),
        ("least", False, "scripted:scripted"),
    ]


RERANK = {"query": "q", "documents": ["3", "9"]}


async def test_a_judge_is_there_for_the_keys_that_may_ask_it():
    keys, (alice, bob) = keys_of("alice", "bob")
    async with live(others={"least": ScriptedEngine(least)}, keys=keys, may_ask={"least": ["alice"]}) as server:
        listed = [(await server.get("/v1/models", Authorization=bearer)).json["data"] for bearer in (alice, bob)]
        assert [[one["id"] for one in data] for data in listed] == [["default", "least"], ["default"]]
        for path, body in (("/v1/reward", {**PAIR, "judge": "least"}), ("/v1/rerank", {**RERANK, "model": "least"})):
            assert (await server.post(path, body, Authorization=alice)).status == 200
            for _ in range(2):  # also once it has been asked by the other
                refused = await server.post(path, body, Authorization=bob)
                assert (refused.status, refused.error) == (422, "InputError")
                assert refused.json["error"]["message"] == "got the judge 'least'; this service has default"
        assert (await server.post("/v1/reward", PAIR, Authorization=bob)).json["rewards"] == [3, 9]


async def test_who_may_not_ask_the_default_judge_names_another():
    keys, (alice, bob) = keys_of("alice", "bob")
    may_ask = {"default": ["alice"], "least": ["bob"]}
    async with live(others={"least": ScriptedEngine(least)}, keys=keys, may_ask=may_ask) as server:
        assert (await server.post("/v1/reward", PAIR, Authorization=bob)).status == 422
        assert (await server.post("/v1/reward", {**PAIR, "judge": "least"}, Authorization=bob)).json["rewards"] == [
            1,
            1,
        ]
        assert (await server.post("/v1/reward", PAIR, Authorization=alice)).status == 200


ASKED = {
    "/v1/reward": ({**PAIR}, lambda told: told["rewards"]),
    "/v1/judge": ({**PAIR}, lambda told: told["means"]),
    "/v1/judge/batch": ({"items": [PAIR]}, lambda told: told["results"][0]["verdict"]["means"]),
}


@pytest.mark.parametrize("path", ASKED)
async def test_our_own_requests_choose_by_judge(path):
    body, of = ASKED[path]
    async with live(others={"least": ScriptedEngine(least)}) as server:
        found = [of((await server.post(path, {**body, **chosen})).json) for chosen in ({}, {"judge": "least"})]
        unknown = await server.post(path, {**body, "judge": "nobody"})
        await server.post(path, {**body, "judge": "default"})
    assert found == [[3, 9], [1, 1]]
    assert (unknown.status, unknown.error) == (422, "InputError")
    assert unknown.json["error"]["message"] == "got the judge 'nobody'; this service has default, least"


async def test_groups_and_rollouts_choose_by_judge():
    async with live(others={"least": ScriptedEngine(least)}) as server:
        groups = await server.post("/v1/reward", {"groups": [PAIR], "judge": "least"})
        rollouts = [
            {
                "query": "q",
                "response": text,
                "judge": judge,
                "group": {"run": "r", "id": "g", "size": 2, "member": text},
            }
            for judge in ("default", "least")
            for text in ("4", "7")
        ]
        replies = await asyncio.gather(*[server.post("/v1/reward", body) for body in rollouts])
    assert groups.json["results"][0]["rewards"]["rewards"] == [1, 1]
    assert [reply.json["reward"] for reply in replies] == [4, 7, 1, 1]
    assert {reply.json["members"] for reply in replies} == {2}


@pytest.mark.parametrize(
    ("path", "body", "of"),
    [
        ("/v1/rerank", RERANK, lambda told: told["results"][0]["relevance_score"]),
        ("/score", {"text_1": "q", "text_2": ["9"]}, lambda told: told["data"][0]["score"]),
        ("/score", {"queries": "q", "documents": ["9"]}, lambda told: told["data"][0]["score"]),
        ("/score", {"queries": "q", "items": ["9"]}, lambda told: told["data"][0]["score"]),
        ("/score", {"data_1": "q", "data_2": ["9"]}, lambda told: told["data"][0]["score"]),
    ],
)
async def test_requests_in_the_shapes_of_others_choose_by_model(path, body, of):
    async with live(others={"least": ScriptedEngine(least)}) as server:
        chosen = [await server.post(path, {**body, **model}) for model in ({}, {"model": "least"}, {"model": None})]
        unknown = await server.post(path, {**body, "model": "rerank-v3.5"})
    async with live() as alone:
        any_model = await alone.post(path, {**body, "model": "rerank-v3.5"})
    assert [of(reply.json) for reply in [*chosen, any_model]] == [8 / 9, 0, 8 / 9, 8 / 9]
    assert (unknown.status, unknown.error) == (422, "InputError")


async def test_openrlhf_chooses_in_the_address():
    body = {"query": ["p9"], "prompts": ["p"], "labels": [""]}
    async with live(others={"least": ScriptedEngine(least)}) as server:
        replies = [
            await server.post(f"/v1/openrlhf/reward{chosen}", body) for chosen in ("", "?judge=least", "?judge=x")
        ]
    assert [reply.json["rewards"] for reply in replies[:2]] == [[9], [1]]
    assert replies[2].status == 422


async def test_each_judge_has_its_own_queue_cache_and_counts():
    gate, waiting = gated()
    async with live(others={"slow": waiting}, concurrency=1, queue=0) as server:
        held = asyncio.create_task(server.post("/v1/reward", {**PAIR, "judge": "slow"}))
        await until(lambda: gate.begun)
        full = await server.post("/v1/reward", {"query": "other", "responses": ["5"], "judge": "slow"})
        told = {**PAIR, "metadata": {"run": "r1", "step": 3}}
        found = [(await server.post("/v1/reward", told)).json["source"] for _ in range(2)]
        ready = (await server.get("/readyz")).json
        text = (await server.get("/metrics")).body.decode()
        gate.open.set()
        assert (await held).json["source"] == "sampled"
    assert (full.status, found) == (429, ["sampled", "cached"])
    assert (ready["running"], ready["capacity"]) == (1, 2)
    assert 'spct_running{judge="default"} 0.0' in text and 'spct_running{judge="slow"} 1.0' in text
    assert 'spct_answers_total{judge="default",source="cached"} 1.0' in text
    assert 'spct_errors_total{judge="slow",type="BusyError"} 1.0' in text
    assert 'spct_run_groups_total{judge="default",key="",run="r1"} 2.0' in text
    assert "spct_cohorts_open 0.0" in text


async def test_a_key_of_more_weight_has_a_larger_part_of_the_queue():
    keys, (big, small) = keys_of("big", "small")
    gate, engine = gated()
    async with live(engine, keys=keys, weights={"big": 3.0}, concurrency=1, queue=7) as server:

        def asked(i, key):
            body = {"query": f"q{i}", "responses": ["5"]}
            return asyncio.create_task(server.post("/v1/reward", body, Authorization=key))

        taken = [asked(i, small) for i in range(8)]
        await until(lambda: server.service.callers == 8)
        assert (await asked(8, small)).status == 429
        more = [asked(i, big) for i in range(10, 16)]
        await until(lambda: server.service.callers == 14)
        assert (await asked(16, big)).status == 429
        gate.open.set()
        assert {reply.status for reply in await asyncio.gather(*taken, *more)} == {200}


async def test_a_group_is_known_again_by_key_and_judge(tmp_path):
    keys, bearers = keys_of("a", "b")

    def rollouts(judge):
        return [
            {
                "query": "q",
                "response": text,
                "judge": judge,
                "group": {"run": "r", "id": "g", "size": 2, "member": text},
            }
            for text in ("4", "7")
        ]

    for asking, members in ((rollouts("least"), 2), (rollouts("least")[1:], 2), (rollouts("default")[1:], 1)):
        engines = {"least": ScriptedEngine(least)}
        kept = ClosedGroups(tmp_path)
        async with live(
            ScriptedEngine(by_digit), keys=keys, others=engines, cohort_wait_s=0.1, closed_groups=kept
        ) as server:
            posts = [server.post("/v1/reward", body, Authorization=bearers[0]) for body in asking]
            replies = [reply.json for reply in await asyncio.gather(*posts)]
            other = await server.post("/v1/reward", asking[-1], Authorization=bearers[1])
        assert {(reply["members"], reply["partial"]) for reply in replies} == {(members, members < 2)}
        assert other.json["members"] == 1


async def test_an_engine_that_does_not_start_closes_the_others():
    class Broken(ScriptedEngine):
        async def start(self):
            raise OSError("no weights")

    class Noting(ScriptedEngine):
        closed = 0

        async def close(self):
            self.closed += 1

    first = Noting(by_digit)
    services = {name: RewardService(grm_judges(engine)) for name, engine in (("a", first), ("b", Broken(by_digit)))}
    with pytest.raises(OSError, match="no weights"):
        async with ServerState(services):
            pass
    assert first.closed == 1
