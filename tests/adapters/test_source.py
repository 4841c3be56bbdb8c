"""A judge in this process, asked as a service is."""

import pytest

from adapters.letters import letters, requests_of
from spct.adapters.source import LocalRewards, reward_source
from spct.client import RewardClient
from spct.errors import DeadlineError, InputError, LoneMemberError
from spct.wire.parts import Out
from spct.wire.rerank import RerankRequest


async def test_options_of_one_request_reach_the_judge():
    grm = letters(k=2)
    rewards = reward_source(grm)
    found = await rewards.areward("p", ["e", "ee"], k=5, normalisation="total")
    assert (found.rewards, found.range, found.counts, found.valid) == ((5, 10), (5, 50), (5, 5), 5)
    assert found.usage.requests == len(requests_of(grm))
    with pytest.raises(InputError, match=r"options\.temprature"):
        await rewards.areward("p", ["e", "ee"], temprature=1)


async def test_a_normalisation_that_cannot_be_is_refused_before_anything_is_sampled():
    grm = letters()
    rewards = reward_source(grm)
    with pytest.raises(InputError, match="compares responses, and there is one"):
        await rewards.areward("p", ["e"], normalisation="rank")
    with pytest.raises(InputError, match="normalisation: Input should be"):
        await rewards.arollout_reward("p", "e", normalisation="best")
    assert requests_of(grm) == []


async def test_a_rollout_that_came_alone_is_not_compared():
    rewards = reward_source(letters(), wait_s=0)
    assert (await rewards.arollout_reward("p", "ee", size=2)).reward == 2
    with pytest.raises(LoneMemberError):
        await rewards.arollout_reward("q", "ee", size=2, normalisation="rank")


async def test_a_deadline_holds_in_process_too():
    rewards = reward_source(letters())
    with pytest.raises(DeadlineError, match=r"not judged within 0\.01 s"):
        await rewards.arollout_reward("p", "e", size=2, deadline_s=0.01)


async def test_what_is_no_reward_is_for_the_service():
    rewards = reward_source(letters())
    asked = RerankRequest(query="q", documents=["a"])
    with pytest.raises(InputError, match=r"v1/rerank is for spct serve only"):
        await rewards.ask("v1/rerank", asked, Out)


def test_a_grm_is_asked_on_its_own_loop_and_closed_with_its_rewards():
    grm = letters()
    rewards = reward_source(grm)
    assert grm.judge("p", ["e", "ee"]).best == 1
    assert rewards.reward("p", ["ee", "e"]).best == 0
    assert rewards.thread is grm.thread
    rewards.close()
    assert not grm.thread.running


def test_what_a_source_is_made_of():
    assert isinstance(reward_source("http://127.0.0.1:1"), RewardClient)
    assert isinstance(reward_source(letters()), LocalRewards)
    with pytest.raises(InputError, match="has its own settings; drop patience_s"):
        reward_source(RewardClient("http://127.0.0.1:1"), patience_s=1)
