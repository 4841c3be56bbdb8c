"""A service that judges by a rubric: its verdicts and rewards have the table, and no request brings a rubric."""

import re

import pytest

from rubrics.samples import of
from serve.live import live
from service.serving import SETTINGS, SHOWN
from spct.engines.scripted import ScriptedEngine
from spct.judges.settings import JudgeSettings
from spct.wire.judge import VerdictOut
from spct.wire.reward import GroupRewards

RUBRIC = of(
    {"id": "digit", "kind": "scale", "scale": [0, 10], "ask": "Which digit?", "weight": 2},
    {"id": "short", "check": {"max_chars": 1}},
)
BY_RUBRIC = JudgeSettings(k=2, rubric=RUBRIC, sampling=SETTINGS.sampling)


def digits(request, j):
    return rf"\boxed{{{', '.join(re.findall('[0-9]', ' '.join(SHOWN.findall(request.messages[-1].content))))}}}"


async def test_the_table_is_in_verdicts_and_the_vector_in_rewards():
    asked = {"query": "q", "responses": ["3", "it is 9"]}
    async with live(ScriptedEngine(digits), settings=BY_RUBRIC) as server:
        verdict = VerdictOut.model_validate_json((await server.post("/v1/judge", asked)).body)
        rewards = GroupRewards.model_validate_json((await server.post("/v1/reward", asked)).body)
    assert verdict.criteria.points == (1.6, 1.8) and verdict.criteria.most == 3
    assert [(c.id, c.worth) for c in verdict.criteria.criteria] == [("digit", (0.3, 0.9)), ("short", (1.0, 0.0))]
    assert rewards.rewards == verdict.means == (1.6 / 3, 0.6) and rewards.range == (0, 1)
    assert rewards.by_criterion == ({"digit": 0.3, "short": 1.0}, {"digit": 0.9, "short": 0.0})


@pytest.mark.parametrize("name, rewards", [("unit", (1.6 / 3, 0.6)), ("win_rate", (0, 1)), ("rank", (0, 1))])
async def test_rewards_compare_the_shares(name, rewards):
    asked = {"query": "q", "responses": ["3", "it is 9"], "normalisation": name}
    async with live(ScriptedEngine(digits), settings=BY_RUBRIC) as server:
        found = GroupRewards.model_validate_json((await server.post("/v1/reward", asked)).body)
    assert found.rewards == pytest.approx(rewards)


@pytest.mark.parametrize("given", [{"rubric": RUBRIC.as_row()}, {"options": {"rubric": "x"}}, {"check": "os:system"}])
async def test_no_request_brings_a_rubric(given):
    async with live(ScriptedEngine(digits), settings=BY_RUBRIC) as server:
        reply = await server.post("/v1/judge", {"query": "q", "responses": ["3", "9"], **given})
    assert reply.status == 422 or reply.status == 400
