"""The client and the adapters against a real ``spct serve``, killed and started again under them."""

import asyncio
import signal
from pathlib import Path

import pytest

from adapters.letters import letters
from servers.spct_serve import SpctServe
from spct.adapters import verl
from spct.adapters.best_of_n import best_of_n
from spct.adapters.nemo import GymReward
from spct.adapters.source import reward_source
from spct.adapters.trl import AsyncTRLReward
from spct.adapters.verl import compute_score
from spct.client import RewardClient
from spct.errors import DeadlineError, InputError, LateMemberError, NoVerdictError

LETTERS = f"scripted:{Path(__file__).parent.parent / 'adapters' / 'letters.py'}:judging"
OPTIONS = ("-k", "2", "--retries", "0", "--cohort-wait", "5")


@pytest.fixture(scope="module")
def served():
    with SpctServe(LETTERS, *OPTIONS) as server:
        yield server


async def test_every_endpoint_of_the_client(served):
    async with RewardClient(served.url, patience_s=10) as client:
        assert (await client.ahealth()).status == "ready"
        verdict = await client.ajudge("p", ["e", "eee"], id="x")
        assert (verdict.id, verdict.best, verdict.totals, verdict.k) == ("x", 1, (2, 6), 2)
        assert [judgment.scores for judgment in verdict.judgments] == [(1, 3), (1, 3)]
        none = await client.ajudge("p", ["e", "?"])
        assert (none.best, none.error.type, none.valid, none.invalid) == (None, "NoValidJudgment", 0, 2)
        batch = [{"query": "p", "responses": ["e", "e" * i]} for i in range(2, 9)]
        results = [result async for result in client.ajudge_batch(batch, judgments=False, k=1)]
        assert sorted((result.index, result.verdict.totals) for result in results) == [
            (i, (1, i + 2)) for i in range(7)
        ]
        assert (await client.areward("p", ["e", "eee"], normalisation="centred")).rewards == (-1, 1)
        assert [hit.index for hit in await client.arerank("p", ["e", "eee", "ee"], top_n=2)] == [1, 2]
        assert await client.ascore("p", ["e", "e" * 10]) == (0, 1)


async def test_failures_are_raised_as_what_they_are(served):
    async with RewardClient(served.url, patience_s=10) as client:
        with pytest.raises(NoVerdictError):
            await client.areward("p", ["e", "?"])
        with pytest.raises(InputError, match="normalisation"):
            await client.areward("p", ["e", "ee"], normalisation="best")
        with pytest.raises(InputError):
            await client.areward("p", ["e", "ee"], temprature=1)
        with pytest.raises(DeadlineError):
            await client.arollout_reward("p", "e", run="d", size=4, deadline_s=0.2)
        await asyncio.gather(*[client.arollout_reward("p", text, group="g", size=2) for text in ("e", "ee")])
        with pytest.raises(LateMemberError):
            await client.arollout_reward("p", "eee", group="g", size=2)


async def test_rewards_equal_those_in_process(served):
    texts = ["e", "eee", "ee", "eeee", "ee"]
    local = reward_source(letters())
    async with RewardClient(served.url, patience_s=10) as client:
        for normalisation in ("total", "mean", "unit", "centred", "rank", "win_rate"):
            there = await client.areward("p", texts, normalisation=normalisation)
            here = await local.areward("p", texts, normalisation=normalisation)
            assert (there.rewards, there.range, there.counts) == (here.rewards, here.range, here.counts)
            asked = {"run": normalisation, "size": 5, "normalisation": normalisation}
            rollouts = [[source.arollout_reward("p", text, **asked) for text in texts] for source in (client, local)]
            theirs, ours = [await asyncio.gather(*rollouts_of_source) for rollouts_of_source in rollouts]
            assert [reward.reward for reward in theirs] == [reward.reward for reward in ours]
            assert {reward.members for reward in theirs} == {5}


async def test_the_adapters_against_the_service(served):
    trl = AsyncTRLReward(served.url)
    assert await trl(["p", "p", "q", "q"], ["e", "ee", "eee", "e"]) == [1, 2, 3, 1]
    await trl.source.aclose()
    calls = [
        compute_score("d", text, "", {"question": "v"}, url=served.url, group_size=3) for text in ("e", "eee", "ee")
    ]
    assert [result["score"] for result in await asyncio.gather(*calls)] == [1, 3, 2]
    await verl._sources.pop((served.url, None, "")).aclose()
    gym = GymReward(served.url, group_size=2)
    bodies = [
        {
            "responses_create_params": {"input": "p"},
            "response": {"output": [{"type": "message", "content": text}]},
            "_ng_group_id": "g1",
            "_ng_rollout_index": i,
        }
        for i, text in enumerate(["e", "eee"])
    ]
    assert [answer["reward"] for answer in await asyncio.gather(*map(gym.verify, bodies))] == [1, 3]
    await gym.source.aclose()
    best = await asyncio.to_thread(best_of_n, served.url, "p", ["e", "eee"])
    assert (best.index, best.rewards) == (1, (1, 3))


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
async def test_a_restart_in_the_middle_loses_and_changes_no_reward(kind):
    with SpctServe(LETTERS, *OPTIONS) as server:
        async with RewardClient(server.url, patience_s=60) as client:

            async def asked(i):
                if i % 2:
                    return (await client.areward(f"p{i}", ["e", "e" * (1 + i % 10)])).rewards[1]
                both = [client.arollout_reward(f"p{i}", "e" * (1 + (i + j) % 10), run="r", size=2) for j in range(2)]
                return (await asyncio.gather(*both))[0].reward

            answered, restarting = asyncio.Semaphore(0), asyncio.Event()

            async def in_its_turn(i):
                if i >= 60:
                    await restarting.wait()
                reward = await asked(i)
                answered.release()
                return reward

            asking = asyncio.gather(*[in_its_turn(i) for i in range(100)])
            for _ in range(10):
                await answered.acquire()
            restarting.set()  # the others come while fifty wait for an answer and the server goes down
            await asyncio.to_thread(server.stop, kind)
            await asyncio.to_thread(server.start)
            assert await asking == [1 + i % 10 for i in range(100)]
