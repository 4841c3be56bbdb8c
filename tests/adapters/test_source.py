"""A judge in this process, asked as a service is."""

import asyncio
import copy
import os
import pickle
import select
from functools import partial
from pathlib import Path

import pytest

from adapters.letters import letters, requests_of
from servers.rewards import RewardServer, answering, group_answer
from spct import GRM
from spct.adapters.nemo import GymReward, RLReward
from spct.adapters.source import LocalRewards, reward_source
from spct.adapters.trl import AsyncTRLReward, TRLReward
from spct.client import RewardClient
from spct.errors import DeadlineError, EngineUnreachableError, InputError, LoneMemberError
from spct.service.judges import grm_judges
from spct.service.service import RewardService
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


SPEC = f"scripted:{Path(__file__).parent / 'letters.py'}:judging"


def test_rewards_by_address_and_by_spec_can_be_sent_to_another_process():
    """As TRL's asynchronous trainer does with its reward functions."""
    for judge in ("http://127.0.0.1:1", RewardClient("http://127.0.0.1:1", "key", patience_s=0), GRM(SPEC, k=1)):
        for make in (TRLReward, AsyncTRLReward, partial(GymReward, group_size=2), RLReward):
            made = make(judge)
            assert type(pickle.loads(pickle.dumps(made))) is type(made)
    client = pickle.loads(pickle.dumps(RewardClient("http://127.0.0.1:1", "key", patience_s=0)))
    with pytest.raises(EngineUnreachableError, match="of 0 s patience"):
        client.reward("q", ["a", "b"])
    client.close()
    reward = pickle.loads(pickle.dumps(TRLReward(GRM(SPEC, k=1), num_generations=2)))
    assert reward(["p"] * 2, ["e", "ee"]) == [1, 2]
    copied = copy.deepcopy(reward)
    reward.close()
    assert copied(["p"] * 2, ["e", "ee"]) == [1, 2]
    copied.close()


def test_a_judge_over_an_object_says_that_it_cannot_be_sent():
    with pytest.raises(InputError, match="a GRM over an object cannot be copied: give it the engine"):
        pickle.dumps(TRLReward(letters()))


def in_a_fork(work):
    """What ``work`` gives or raises in a process that was forked off, as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            told = repr(work())
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    assert select.select([reading], [], [], 30)[0], "the child hangs"
    told = os.read(reading, 10_000).decode()
    os.close(reading)
    os.waitpid(child, 0)
    return told


def test_rewards_go_on_in_a_process_that_was_forked_off():
    reward = TRLReward(GRM(SPEC, k=1))
    assert reward(["p"] * 2, ["e", "ee"]) == [1, 2]
    assert in_a_fork(lambda: reward(["p"] * 2, ["eee", "e"])) == "[3.0, 1.0]"
    assert reward(["p"] * 2, ["e", "eeee"]) == [1, 4]
    reward.close()
    grm = GRM(SPEC, k=1)
    assert grm.judge("q", ["e", "ee"]).best == 1
    assert in_a_fork(lambda: grm.judge("q", ["ee", "e"]).best) == "0"
    assert grm.judge("q", ["ee", "e"]).best == 0
    grm.close()
    unused = letters(k=1)
    assert in_a_fork(lambda: unused.judge("q", ["ee", "e"]).best) == "0"


def test_a_judge_over_an_object_does_not_hang_after_a_fork():
    reward = TRLReward(letters())
    assert reward(["p"] * 2, ["e", "ee"]) == [1, 2]
    for _ in range(2):
        assert in_a_fork(lambda: reward(["p"], ["e"])).startswith(
            "InputError: a GRM over an object cannot be used on both"
        )
    service = RewardService(grm_judges(letters().engine), letters().settings)
    rewards = reward_source(service)
    assert rewards.reward("q", ["e", "ee"]).best == 1
    assert in_a_fork(lambda: rewards.reward("q", ["e"])).startswith(
        "InputError: a RewardService cannot be used on both"
    )


async def serving(work):
    """``work`` of an address that answers every group with two rewards, in another thread."""
    async with RewardServer(answering(lambda body: group_answer([1.0, 2.0]))) as server:
        return await asyncio.to_thread(work, server.url)


async def test_a_client_that_was_used_goes_on_in_a_fork_and_in_its_parent():
    def both(url):
        client = RewardClient(url, patience_s=5)
        before = client.reward("q", ["a", "b"]).rewards
        forked = in_a_fork(lambda: client.reward("q", ["a", "b"]).rewards)
        after = client.reward("q", ["a", "b"]).rewards
        client.close()
        return before, forked, after

    assert await serving(both) == ((1.0, 2.0), "(1.0, 2.0)", (1.0, 2.0))
