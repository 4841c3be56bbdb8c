import asyncio

import pytest

from serve.live import PAIR, live, until
from service.serving import by_digit, gated
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.judges import load_judge
from spct.judges.settings import JudgeSettings
from spct.service.cache import VerdictCache
from spct.wire.reward import GroupRewards, GroupsRewards, RolloutReward

GROUP = {"query": "Which is best?", "responses": ["2", "4", "9", "4"]}


@pytest.mark.parametrize(
    ("normalisation", "rewards", "reward_range"),
    [
        ("total", (4, 8, 18, 8), (2, 20)),
        ("mean", (2, 4, 9, 4), (1, 10)),
        ("unit", (1 / 9, 3 / 9, 8 / 9, 3 / 9), (0, 1)),
        ("centred", (-2.75, -0.75, 4.25, -0.75), (-9, 9)),
        ("rank", (0, 0.5, 1, 0.5), (0, 1)),
        ("win_rate", (0, 0.5, 1, 0.5), (0, 1)),
    ],
)
async def test_rewards_of_a_group(normalisation, rewards, reward_range):
    async with live(settings=JudgeSettings(k=2)) as server:
        reply = await server.post("/v1/reward", {**GROUP, "normalisation": normalisation, "id": "g"})
    found = GroupRewards.model_validate_json(reply.body)
    assert (found.id, found.normalisation, found.rewards, found.range) == ("g", normalisation, rewards, reward_range)
    assert (found.best, found.counts, found.valid, found.invalid) == (2, (2, 2, 2, 2), 2, 0)


async def test_responses_of_equal_text_have_one_reward():
    def by_place(request, j):
        shown = request.messages[-1].content.count("[Begin response")
        return judgment_text([1 + (request.seed + j + 3 * place) % 9 for place in range(shown)])

    async with live(ScriptedEngine(by_place), settings=JudgeSettings(k=4)) as server:
        reply = await server.post("/v1/reward", {"query": "q", "responses": ["4", "9", "4", "4"]})
    found = GroupRewards.model_validate_json(reply.body)
    assert len(found.rewards) == 4
    assert found.rewards[0] == found.rewards[2] == found.rewards[3]


async def test_rewards_of_several_groups_and_the_one_that_fails():
    def script(request, j):
        return "no score" if "bad" in request.messages[-1].content else by_digit(request, j)

    groups = [{"query": q, "responses": ["5", "7"], "id": q} for q in ("one", "bad", "two")]
    async with live(ScriptedEngine(script)) as server:
        reply = await server.post("/v1/reward", {"groups": groups, "normalisation": "centred"})
    found = GroupsRewards.model_validate_json(reply.body)
    assert found.failed == 1
    assert [outcome.rewards and outcome.rewards.rewards for outcome in found.results] == [(-1, 1), None, (-1, 1)]
    assert found.results[1].error.type == "NoVerdictError"


async def test_a_group_without_a_verdict_has_no_reward():
    async with live(ScriptedEngine(lambda request, j: "no score")) as server:
        reply = await server.post("/v1/reward", GROUP)
    assert (reply.status, reply.error) == (502, "NoVerdictError")


@pytest.mark.parametrize("normalisation", ["centred", "rank", "win_rate"])
async def test_one_response_cannot_be_compared_and_nothing_is_sampled(normalisation):
    engine = ScriptedEngine(lambda request, j: judgment_text([5]))
    async with live(engine) as server:
        reply = await server.post("/v1/reward", {"query": "q", "responses": ["a"], "normalisation": normalisation})
    assert (reply.status, reply.error, engine.requests) == (422, "InputError", [])


async def test_a_judge_without_a_scale_has_no_unit_rewards_and_no_range():
    def longest(settings):
        return load_judge("longest", None, settings)

    async with live(make_judge=longest) as server:
        mean = await server.post("/v1/reward", {"query": "q", "responses": ["a", "bbb"]})
        unit = await server.post("/v1/reward", {"query": "q", "responses": ["a", "bbb"], "normalisation": "unit"})
        reranked = await server.post("/v1/rerank", {"query": "q", "documents": ["a", "bbb"]})
    assert mean.json["range"] is None
    assert mean.json["rewards"][1] > mean.json["rewards"][0]
    assert (unit.status, unit.error) == (422, "InputError")
    assert [result["relevance_score"] for result in reranked.json["results"]] == mean.json["rewards"][::-1]


def rollout(response, *, member, size=3, id="g1", run="r1", **more):
    return {"query": "q", "response": response, "group": {"run": run, "id": id, "size": size, "member": member}, **more}


async def test_rollouts_of_a_group_are_judged_jointly_and_each_gets_its_own_reward():
    engine_gate, engine = gated()
    engine_gate.open.set()
    async with live(engine) as server:
        asked = [rollout(text, member=str(i), normalisation="centred") for i, text in enumerate(("2", "4", "9"))]
        replies = await asyncio.gather(*[server.post("/v1/reward", body) for body in reversed(asked)])
    rewards = [RolloutReward.model_validate_json(reply.body) for reply in reversed(replies)]
    assert [found.reward for found in rewards] == [-3, -1, 4]
    assert [found.best for found in rewards] == [False, False, True]
    assert {(found.members, found.size, found.closed, found.partial) for found in rewards} == {(3, 3, "full", False)}
    assert len(engine.requests) == 1


async def test_rollouts_of_equal_text_count_as_often_as_they_came():
    async with live() as server:
        asked = [rollout(text, member=str(i), normalisation="centred") for i, text in enumerate(("9", "9", "3"))]
        replies = await asyncio.gather(*[server.post("/v1/reward", body) for body in asked])
    assert [reply.json["reward"] for reply in replies] == [2, 2, -4]


async def test_two_runs_never_share_a_group():
    async with live() as server:
        asked = [rollout(str(i + 1), member=str(i), run=run, size=2) for run in ("a", "b") for i in range(2)]
        replies = await asyncio.gather(*[server.post("/v1/reward", body) for body in asked])
        assert server.service.counters.answered["sampled"] + server.service.counters.answered["shared"] == 2
    assert [reply.json["members"] for reply in replies] == [2, 2, 2, 2]


async def test_a_group_that_does_not_fill_is_judged_as_it_is_and_says_so():
    async with live(cohort_wait_s=0.05) as server:
        asked = [rollout(text, member=text) for text in ("2", "4")]
        replies = await asyncio.gather(*[server.post("/v1/reward", body) for body in asked])
        alone = await server.post("/v1/reward", rollout("5", member="x", id="other", normalisation="rank"))
    assert [(reply.json["reward"], reply.json["partial"], reply.json["closed"]) for reply in replies] == [
        (2, True, "deadline"),
        (4, True, "deadline"),
    ]
    assert (alone.status, alone.error) == (409, "LoneMemberError")


async def test_a_rollout_that_contradicts_its_group():
    async with live() as server:
        first = asyncio.create_task(server.post("/v1/reward", rollout("2", member="0")))
        await until(lambda: server.serving.open_groups == 1)
        reply = await server.post("/v1/reward", rollout("2", member="1", size=4))
        first.cancel()
    assert (reply.status, reply.error) == (409, "MemberConflictError")


async def test_a_rollout_that_leaves_makes_room_in_its_group():
    async with live() as server:
        first = asyncio.create_task(server.post("/v1/reward", rollout("2", member="0", size=2)))
        await until(lambda: server.serving.open_groups == 1)
        first.cancel()
        await until(lambda: server.serving.open_groups == 0)
        asked = [rollout(text, member=text, size=2) for text in ("4", "6")]
        replies = await asyncio.gather(*[server.post("/v1/reward", body) for body in asked])
    assert [reply.json["reward"] for reply in replies] == [4, 6]


async def test_a_held_rollout_is_asked_for_until_its_group_is_judged():
    async with live() as server:
        first = rollout("2", member="0", size=2, hold_s=0.01)
        pending = await server.post("/v1/reward", first)
        assert (pending.status, pending.error) == (425, "PendingError")
        assert "Retry-After" in pending.headers
        second = await server.post("/v1/reward", rollout("8", member="1", size=2))
        again = await server.post("/v1/reward", first)
    assert (again.json["reward"], second.json["reward"]) == (2, 8)


async def test_the_deadline_of_a_rollout():
    async with live() as server:
        reply = await server.post("/v1/reward", rollout("2", member="0", deadline_s=0.02))
        assert (reply.status, reply.error) == (504, "DeadlineError")
        assert server.serving.open_groups == 0


async def test_cached_verdicts_expire():
    now = [0.0]
    async with live(cache=VerdictCache(10**6, 30.0, clock=lambda: now[0])) as server:
        sources = []
        for moment in (0.0, 29.9, 30.0, 31.0):
            now[0] = moment
            sources.append((await server.post("/v1/reward", PAIR)).json["source"])
    assert sources == ["sampled", "cached", "sampled", "cached"]
