"""What breaks around the server: its engine, its disk, the server itself. Nobody gets a made-up reward, nobody waits for ever."""

import asyncio
import contextlib
import os
import signal
import subprocess

import aiohttp
import pytest

from serve.live import live, until
from servers import behaviours as does
from servers.chat import ChatServer
from servers.judging import JudgingProcess, judges
from servers.spct_serve import SpctServe
from spct.client import RewardClient
from spct.engines.openai import OpenAIEngine
from spct.run import RunStore
from spct.run.stored import stored_items, stored_settings


def group(number):
    """A group whose rewards are known."""
    return {"query": f"Question {number}", "responses": [str(1 + number % 9), str(1 + number % 7), "5"]}


def rewards(number):
    return [1 + number % 9, 1 + number % 7, 5]


async def post(session, url, body):
    async with session.post(f"{url}/v1/reward", json=body) as reply:
        return reply.status, await reply.json()


GARBAGE = {
    "not HTTP": does.not_http,
    "not JSON": does.replies(b"<html>It works!</html>"),
    "no choices": does.replies(b'{"object": "chat.completion", "choices": []}'),
    "no text": does.replies(does.completion([does.choice(None)])),
    "cut short": does.cut_short,
    "hung up": does.hangs_up,
    "a fault": does.fails(500, "CUDA out of memory at /srv/model sk-secret"),
    "no judgment": does.always_same,
    "bytes that never end": does.drips,
}


@pytest.mark.parametrize("behaviour", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_of_the_engine_is_an_error_and_never_a_reward(behaviour):
    async with ChatServer(judges) as engine:
        client = OpenAIEngine("m", base_url=engine.base_url, attempts=2, backoff_s=0.001, timeout_s=0.5)
        async with live(client) as server:
            good = await server.post("/v1/reward", group(1))
            assert (good.status, good.json["rewards"]) == (200, rewards(1))
            engine._then = behaviour
            bad = await server.post("/v1/reward", group(2))
            assert (bad.status, list(bad.json)) == (502, ["error"])
            assert "sk-secret" not in bad.body.decode() and "/srv" not in bad.body.decode()
            engine._then = judges
            good = await server.post("/v1/reward", group(2))
            assert (good.status, good.json["rewards"]) == (200, rewards(2))


async def test_a_slow_engine_costs_its_callers_their_deadline_and_no_more():
    async with (
        ChatServer(judges, [does.hangs, does.hangs]) as engine,
        live(OpenAIEngine("m", base_url=engine.base_url)) as server,
    ):
        for number in (1, 2):
            late = await server.post("/v1/reward", group(number) | {"deadline_s": 0.1})
            assert (late.status, late.error) == (504, "DeadlineError")
        await until(lambda: engine.disconnected.is_set())
        good = await server.post("/v1/reward", group(1))
        assert (good.status, good.json["rewards"]) == (200, rewards(1))
        assert server.service.running == server.service.callers == 0


async def test_an_engine_that_is_killed_and_comes_back():
    with JudgingProcess() as engine, served_by(engine, "--engine-option", "attempts=1") as server:
        async with aiohttp.ClientSession() as session:
            assert (await post(session, server.url, group(1)))[1]["rewards"] == rewards(1)
            engine.kill()
            for number in range(2, 6):
                status, answer = await post(session, server.url, group(number))
                assert (status, answer["error"]["type"]) == (503, "EngineUnreachableError")
            async with session.get(f"{server.url}/readyz") as ready:
                assert ready.status == 200
            engine.restart()
            for number in range(2, 6):
                assert (await post(session, server.url, group(number)))[1]["rewards"] == rewards(number)


async def test_what_is_under_way_outlasts_a_restart_of_the_engine():
    with JudgingProcess() as engine, served_by(engine) as server:
        async with aiohttp.ClientSession() as session:
            asked = [asyncio.create_task(post(session, server.url, group(number))) for number in range(40)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.to_thread(engine.kill)
            await asyncio.to_thread(engine.restart)
            found = await asyncio.gather(*asked)
    assert [(status, answer.get("rewards")) for status, answer in found] == [(200, rewards(n)) for n in range(40)]


async def test_sigterm_under_load_answers_all_that_was_accepted(tmp_path):
    with JudgingProcess() as engine, served_by(engine, "--out", str(tmp_path / "run"), "-k", "2") as server:
        answered = {}

        async def caller(first):
            number = first
            while True:
                status, answer = await post(session, server.url, group(number))
                if status != 200:
                    return answer["error"]["type"]
                answered[number] = answer["rewards"]
                number += 20

        async with aiohttp.ClientSession() as session:
            callers = [asyncio.create_task(caller(first)) for first in range(20)]
            await until(lambda: len(answered) > 40)
            stopping = asyncio.create_task(asyncio.to_thread(server.stop, signal.SIGTERM))
            assert await asyncio.gather(*callers) == ["DrainingError"] * 20
            assert await stopping == 0
    assert answered == {number: rewards(number) for number in answered}
    assert len(stored(tmp_path / "run")) == len(answered)


async def test_sigkill_under_load_loses_no_reward_and_no_run(tmp_path):
    run = tmp_path / "run"
    with JudgingProcess() as engine, served_by(engine, "--out", str(run)) as server:
        answered = {}

        async def caller(first):
            for number in range(first, 200, 20):
                answered[number] = list((await client.areward(**group(number))).rewards)

        async with RewardClient(server.url) as client:
            callers = asyncio.gather(*[caller(first) for first in range(20)])
            await until(lambda: len(answered) > 50)
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            before = set(answered)
            assert before <= set(stored(run))
            await asyncio.to_thread(server.start)
            await callers
    assert answered == {number: rewards(number) for number in range(200)}
    assert stored(run) == {number: rewards(number) for number in range(200)}


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_costs_no_reward(small_disk):
    with JudgingProcess() as engine, served_by(engine, "--out", str(small_disk / "run")) as server:
        async with aiohttp.ClientSession() as session:
            for number in range(40):
                body = group(number) | {"query": f"Question {number} " * 1500}
                assert (await post(session, server.url, body))[1]["rewards"] == rewards(number)
            async with session.get(f"{server.url}/metrics") as reply:
                lines = (await reply.text()).splitlines()
        unrecorded = next(float(line.split()[1]) for line in lines if line.startswith("spct_unrecorded_total"))
        assert 0 < unrecorded < 40
        kept = stored(small_disk / "run")
        assert len(kept) == 40 - unrecorded
        assert kept == {number: rewards(number) for number in kept}


def served_by(engine, *options):
    return SpctServe("openai:judge", "--base-url", engine.base_url, "-k", "1", "--quiet", *options)


def stored(folder):
    """The finished verdicts of a run: number of the question -> rewards."""
    with contextlib.closing(RunStore.open(folder)) as store:
        _, settings = stored_settings(store)
        finished = [one for one in stored_items(store, settings) if one.finished]
    return {int(one.item.messages[0].content.split()[1]): list(one.verdict.means) for one in finished}
