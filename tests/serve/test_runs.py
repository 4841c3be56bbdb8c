"""What callers tell of their requests: counted by run in the metrics, kept with the recording."""

import asyncio
import time

from prometheus_client.parser import text_string_to_metric_families

from serve.live import keys_of, live
from service.serving import by_digit
from spct.client import RewardClient
from spct.engines.scripted import ScriptedEngine
from spct.run import RunStore
from spct.run.asks import Asked
from spct.run.merging import merge_runs
from spct.service.recording import Recording
from spct.service.run_figures import MOST_RUNS, OTHER

GROUP = {"query": "Which is best?", "responses": ["9 long answer", "3", "3"]}


def told(run="r", step=None, rollout=""):
    return {"run": run, "step": step, "rollout": rollout}


async def scraped(server, **headers):
    """The metrics by run: (name, run, key, other labels) -> value."""
    families = text_string_to_metric_families((await server.get("/metrics", **headers)).body.decode())
    found = [(sample.name, dict(sample.labels), sample.value) for family in families for sample in family.samples]
    return {
        (name, labels.pop("run"), labels.pop("key"), *labels.values()): value
        for name, labels, value in found
        if "run" in labels
    }


def asks(folder):
    store = RunStore.open(folder)
    found = list(store.asks())
    store.close()
    return found


async def test_the_groups_of_a_run_are_counted_under_its_name():
    async with live() as server:
        assert (await server.post("/v1/reward", {**GROUP, "metadata": told(step=3)})).status == 200
        assert (await server.post("/v1/reward", {**GROUP, "metadata": told(step=4)})).status == 200  # from the cache
        assert (await server.post("/v1/reward", GROUP)).status == 200  # nothing told: of no run
        found = await scraped(server)
    assert found["spct_run_groups_total", "r", ""] == 2
    assert found["spct_run_step", "r", ""] == 4
    assert (found["spct_run_reward_count", "r", ""], found["spct_run_reward_sum", "r", ""]) == (6, 30)
    assert found["spct_run_reward_bucket", "r", "", "3.0"] == 4
    assert found["spct_run_judgments_total", "r", "", "valid"] == 2
    assert found["spct_run_groups_equal_total", "r", ""] == 0
    assert 0.9 < found["spct_run_length_correlation", "r", ""] <= 1
    assert {name[1] for name in found} == {"r"}


async def test_batches_and_judgments_are_counted_too():
    async with live() as server:
        batch = {
            "groups": [{**GROUP, "metadata": told("a")}, {**GROUP, "query": "Another?", "metadata": told("b")}, GROUP]
        }
        assert (await server.post("/v1/reward", batch)).json["failed"] == 0
        await server.post("/v1/judge", {**GROUP, "metadata": told("a")})
        await server.post("/v1/judge/batch", {"items": [{**GROUP, "metadata": told("c")}]})
        found = await scraped(server)
    assert {run: found["spct_run_groups_total", run, ""] for run in "abc"} == {"a": 2, "b": 1, "c": 1}


async def test_a_cohort_is_one_group_of_its_run_with_its_copies(tmp_path):
    begun = time.time()
    async with live(recording=Recording(tmp_path / "run")) as server:
        client = RewardClient(server.address)
        rollouts = [("9 first", 5), ("3", 6), ("3", None)]
        asked = [
            client.arollout_reward("Which?", text, run="r", group="g", size=3, member=str(i), metadata={"step": step})
            for i, (text, step) in enumerate(rollouts)
        ]
        for rollout in await asyncio.gather(*asked):
            assert rollout.members == 3
        found = await scraped(server)
        await client.aclose()
    assert found["spct_run_groups_total", "r", ""] == 1
    assert found["spct_run_reward_count", "r", ""] == 3
    assert found["spct_run_step", "r", ""] == 6
    (ask,) = asks(tmp_path / "run")
    assert ask.asked == Asked("r", 6, (("0",), ("1", "2")))
    assert begun - 1 < ask.answered <= time.time()


async def test_what_was_told_is_recorded_with_its_answer_cached_ones_too(tmp_path):
    async with live(recording=Recording(tmp_path / "run")) as server:
        for step in (1, 2):
            await server.post("/v1/reward", {**GROUP, "metadata": told(step=step, rollout="q7")})
        await server.post("/v1/reward", {**GROUP, "metadata": told(), "options": {"seed": 3}})
        await server.post("/v1/reward", GROUP)
    found = asks(tmp_path / "run")
    assert [ask.asked for ask in found] == [Asked("r", step, (("q7",),) * 3) for step in (1, 2)]
    store = RunStore.open(tmp_path / "run")
    assert [ask.item for ask in found] == [id for _, id in store.item_ids()] * 2
    store.close()
    (options,) = (tmp_path / "run").glob("options-*")
    assert [ask.asked.step for ask in asks(options)] == [None]


async def test_a_recording_that_is_merged_brings_along_what_was_told(tmp_path):
    for name in "ab":
        async with live(recording=Recording(tmp_path / name)) as server:
            await server.post("/v1/reward", {**GROUP, "query": name, "metadata": told(name)})
    merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    assert [ask.asked.run for ask in asks(tmp_path / "both")] == ["a", "b"]


async def test_hostile_names_of_runs_take_bounded_room_and_no_other_keys_place():
    keys, (bad, good) = keys_of("bad", "good")
    async with live(ScriptedEngine(by_digit), keys=keys) as server:
        names = [f"{'n' * 200}{i}\n# HELP x" for i in range(MOST_RUNS)] + [f'"}} {i}' for i in range(2 * MOST_RUNS)]
        batch = {"groups": [{**GROUP, "metadata": told(name)} for name in names]}
        assert (await server.post("/v1/reward", batch, Authorization=bad)).json["failed"] == 0
        await server.post("/v1/reward", {**GROUP, "metadata": told("mine")}, Authorization=good)
        found = await scraped(server, Authorization=good)
    counted = {name[1:]: value for name, value in found.items() if name[0] == "spct_run_groups_total"}
    assert counted.pop(("mine", "good")) == 1
    assert len(counted) <= MOST_RUNS + 1
    assert sum(counted.values()) == 3 * MOST_RUNS
    assert counted[OTHER, "bad"] > 0


async def test_metadata_of_another_kind_is_refused():
    async with live() as server:
        for metadata in ({"step": -1}, {"step": "3"}, {"run": "x" * 257}, {"epoch": 1}):
            assert (await server.post("/v1/reward", {**GROUP, "metadata": metadata})).status == 422
