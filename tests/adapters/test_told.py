"""What each adapter tells of its trainer: the run and, where the trainer says it, the step."""

import asyncio
from types import SimpleNamespace

import pytest

from adapters.letters import letters
from spct.adapters import prime_rl, slime, swift
from spct.adapters.nemo import GymReward, RLReward
from spct.adapters.trl import AsyncTRLReward
from spct.adapters.verl import compute_score_by
from spct.service.judges import grm_judges
from spct.service.service import RewardService


@pytest.fixture
def service():
    grm = letters(k=1)
    return RewardService(grm_judges(grm.engine), grm.settings)


def told(service):
    """By run: how many groups, how many rollouts, and the step told last."""
    runs = service.counters.runs.by_run
    return {run: (figures.groups, figures.rollouts, figures.step) for (_, run), figures in runs.items()}


async def test_trl_tells_its_run_and_the_trainers_step(service):
    reward = AsyncTRLReward(service, run="mine")
    given = {"prompts": ["p", "p", "p", "q"], "completions": ["e", "ee", "ee", "e"]}
    assert await reward(**given, trainer_state=SimpleNamespace(global_step=7)) == [1, 2, 2, 1]
    assert told(service) == {"mine": (2, 4, 7)}  # two rollouts of one text are two
    await reward(**given)  # from the cache, by a caller without a state
    assert told(service) == {"mine": (4, 8, 7)}


async def test_verl_tells_the_step_where_its_manager_does_and_keeps_validation_apart(service):
    score = compute_score_by(service, group_size=2)

    def call(text, **extra):
        return score(data_source="d", solution_str=text, ground_truth="", extra_info={"question": "p", **extra})

    training = {"experiment_name": "x", "global_steps": 5, "split": "train"}
    await asyncio.gather(call("e", **training), call("ee", **training))
    await call("eee", experiment_name="x", split="test", global_steps=-1)
    assert told(service) == {"x": (1, 2, 5), "x/validation": (1, 1, None)}


async def test_nemo_tells_its_run_and_the_step_that_it_is_given(service):
    log = [{"role": "user", "content": "p"}, {"role": "assistant", "content": "ee"}]
    await RLReward(service).rewards([log, log], step=3)
    body = {"responses_create_params": {"input": "q"}, "response": {"output": "ee"}}
    await GymReward(service, group_size=1, run="gym").verify({**body, "_ng_group_id": "g", "_ng_rollout_index": 0})
    assert told(service) == {"nemo-rl": (1, 2, 3), "gym": (1, 1, None)}


async def test_the_others_tell_their_run(service):
    sample = SimpleNamespace(prompt="p", response="ee", label=None, group_index=0, index=0)
    await slime.reward_by(service)(SimpleNamespace(n_samples_per_prompt=1), [sample])
    node = [
        SimpleNamespace(sampled=i == 1, message={"role": role, "content": "e"})
        for i, role in enumerate(("user", "assistant"))
    ]
    trace = SimpleNamespace(id="t", branches=[SimpleNamespace(nodes=node)])
    await prime_rl.reward_by(service, group_size=1)(None, trace)
    assert told(service) == {"slime": (1, 1, None), "prime-rl": (1, 1, None)}


def test_swift_tells_its_run_and_the_trainers_step(service):
    reward = swift.orm_by(service)(SimpleNamespace(num_generations=2))
    log = [{"role": "user", "content": "p"}, {"role": "assistant", "content": "ee"}]
    state = SimpleNamespace(global_step=2)
    assert reward(completions=["ee", "ee"], messages=[log, log], trainer_state=state) == [2, 2]
    reward.close()
    assert told(service) == {"swift": (1, 2, 2)}
