"""The monitor of a service: what it asks, what it tells, and that callers do not feel it."""

import pytest

from service.serving import SETTINGS, SHOWN, gated, item
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError
from spct.serve.metrics import Metrics
from spct.service.judges import grm_judges
from spct.service.probing import Prober
from spct.service.service import RewardService


def fooled_by_reviewers(request, j):
    return judgment_text([9 if "reviewers" in text else 3 for text in SHOWN.findall(request.messages[-1].content)])


async def probed(engine, share=1.0, rounds=24):
    gains = []
    prober = Prober(share, lambda name, gain: gains.append((name, gain)))
    async with RewardService(grm_judges(engine), SETTINGS, prober=prober) as service:
        for n in range(rounds):
            verdict = await service.judge(item("Yes, it is so. I think.", f"No, it is {n}."))
            assert verdict.means == (3, 3)
            await prober.wait()
    return gains


async def test_gains_are_told_by_change():
    gains = await probed(ScriptedEngine(fooled_by_reviewers))
    assert len(gains) == 24
    assert {gain for name, gain in gains if name == "verified"} == {6}
    assert {gain for name, gain in gains if name != "verified"} == {0}
    assert {name for name, _ in gains} <= {
        "cut-off",
        "padding",
        "authority",
        "verified",
        "flattery",
        "instruction",
        "markup",
    }


async def test_a_share_is_probed():
    assert 0 < len(await probed(ScriptedEngine(fooled_by_reviewers), share=0.25, rounds=60)) < 30
    for share in (0, 1.5):
        with pytest.raises(InputError, match="expected more than 0, at most 1"):
            Prober(share, print)


async def test_a_probe_that_fails_or_hangs_touches_no_caller():
    calls = []

    def once(request, j):
        calls.append(request)
        return "no box" if len(calls) > 1 else judgment_text([3, 3])

    assert await probed(ScriptedEngine(once), rounds=1) == []
    gate, engine = gated()
    gate.open.set()
    prober = Prober(1.0, print)
    async with RewardService(grm_judges(engine), SETTINGS, prober=prober) as service:
        await service.judge(item("1. It is so.", "2. It is not."))
        gate.open.clear()  # the probe waits; the service closes all the same
    assert prober._task is None or prober._task.done()


def test_the_metric_counts_gains_by_change():
    metrics = Metrics()
    metrics.probed("verified", 6.0)
    metrics.probed("verified", -1.0)
    assert 'spct_probe_gain_sum{probe="verified"} 5.0' in metrics.text()[0].decode()
