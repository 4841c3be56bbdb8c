"""``spct serve`` as a whole process: how it starts, how it stops, what a kill leaves behind."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys

import aiohttp
import pytest

from spct.run import RunStore

SPCT = [sys.executable, "-c", "from spct.cli import main; main()"]
SCRIPT = r"""
import asyncio, re
from spct.engines.scripted import judgment_text

SHOWN = re.compile(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", re.DOTALL)

def judge(request, j):
    return judgment_text([int(text[0]) for text in SHOWN.findall(request.messages[-1].content)])

async def slow(request, j):
    await asyncio.sleep(0.3)
    return judge(request, j)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def command(folder, *more, function="judge", model=None):
    asked = model or f"scripted:{folder / 'script.py'}:{function}"
    return [*SPCT, "serve", "--model", asked, "-k", "1", "--port", "0", *more]


def output(folder, *arguments):
    return subprocess.run([*SPCT, *arguments], capture_output=True, text=True, cwd=folder, check=True).stdout


class Process:
    """A running server: its address is in the first line that it logs."""

    def __init__(self, process, session):
        self.process = process
        self.session = session
        self.address = ""

    async def begun(self):
        first = json.loads(await self.process.stderr.readline())
        assert first["event"] == "listening"
        self.address = first["address"]

    async def events(self):
        """What it logs until it ends, but for the requests."""
        lines = [json.loads(line) for line in (await self.process.stderr.read()).splitlines()]
        return [line["event"] for line in lines if line["event"] != "request"]

    async def ended(self):
        return await self.process.wait()

    def stop(self, name=signal.SIGTERM):
        os.kill(self.process.pid, name)

    async def post(self, body):
        async with self.session.post(f"{self.address}/v1/reward", json=body) as reply:
            return reply.status, await reply.json()

    async def reward(self, query, digits):
        return await self.post({"query": query, "responses": digits})

    async def until(self, path, told):
        """Ask for ``path`` until its answer holds ``told``."""
        answer = b""
        while told not in answer:
            async with self.session.get(f"{self.address}{path}") as reply:
                answer = await reply.read()


@pytest.fixture
async def start(folder):
    """Starts servers in ``folder``, and kills those that are left at the end."""
    begun = []
    async with aiohttp.ClientSession() as session:

        async def started(*more, **asked):
            process = await asyncio.create_subprocess_exec(
                *command(folder, *more, **asked), stderr=asyncio.subprocess.PIPE, cwd=folder
            )
            begun.append(process)
            server = Process(process, session)
            await server.begun()
            return server

        yield started
    for process in begun:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_sigterm_answers_all_that_was_accepted_and_takes_nothing_new(start, folder):
    server = await start("--concurrency", "2", "--out", "run", function="slow")
    asked = [asyncio.create_task(server.reward(f"q{i}", [str(i), "5"])) for i in range(1, 7)]
    await server.until("/readyz", b'"waiting":4')
    server.stop()
    await server.until("/readyz", b'"draining"')
    status, late = await server.reward("late", ["5"])
    assert (status, late["error"]["type"]) == (503, "DrainingError")
    found = await asyncio.gather(*asked)
    assert [(status, body["rewards"]) for status, body in found] == [(200, [i, 5]) for i in range(1, 7)]
    assert await server.events() == ["draining", "drained"]
    assert await server.ended() == 0
    with contextlib.closing(RunStore.open(folder / "run")) as store:
        assert store.count("verdicts") == 6


async def test_sigterm_lets_an_open_group_fill(start):
    def rollout(member, id="g"):
        return {"query": "q", "response": member, "group": {"run": "r", "id": id, "size": 2, "member": member}}

    server = await start("--cohort-wait", "30")
    first = asyncio.create_task(server.post(rollout("3")))
    await server.until("/metrics", b"spct_cohorts_open 1.0")
    server.stop()
    await server.until("/readyz", b'"draining"')
    assert (await server.post(rollout("4", id="new")))[0] == 503
    found = [await server.post(rollout("8")), await first]
    assert [(status, body["reward"]) for status, body in found] == [(200, 8), (200, 3)]
    assert await server.ended() == 0


async def test_a_drain_that_takes_too_long_tells_its_callers(start):
    server = await start("--drain", "0.2", "--concurrency", "1", function="slow")
    asked = [asyncio.create_task(server.reward(f"q{i}", ["5"])) for i in range(4)]
    await server.until("/readyz", b'"waiting":3')
    server.stop()
    found = [(status, body.get("error", {}).get("type")) for status, body in await asyncio.gather(*asked)]
    assert set(found) <= {(200, None), (503, "DrainingError")}
    assert (503, "DrainingError") in found
    assert await server.ended() == 0


async def test_a_held_rollout_that_nobody_comes_back_for_does_not_keep_it_from_stopping(start):
    server = await start("--cohort-wait", "600", "--drain", "600")
    group = {"run": "r", "id": "g", "size": 2, "member": "1"}
    status, body = await server.post({"query": "q", "response": "5", "hold_s": 0.01, "group": group})
    assert (status, body["error"]["type"]) == (425, "PendingError")
    server.stop()
    assert await server.events() == ["draining", "drained"]
    assert await server.ended() == 0


async def test_what_was_answered_before_a_kill_is_in_the_run(start, folder):
    for round_ in range(2):
        server = await start("--out", "run")
        for i in range(5):
            status, body = await server.reward(f"round {round_} question {i}", ["3", "8"])
            assert (status, body["rewards"]) == (200, [3, 8])
        server.stop(signal.SIGKILL)
        await server.ended()
        with contextlib.closing(RunStore.open(folder / "run")) as store:
            assert store.count("verdicts") == 5 * (round_ + 1)


async def test_what_was_served_can_be_shown_and_audited(start, folder):
    server = await start("--out", "run")
    for i in range(1, 9):
        await server.reward(f"question {i}", [str(i), "5 is longer"[: 1 + i], "9"])
    server.stop()
    assert await server.ended() == 0
    assert "8 items, 8 verdicts" in output(folder, "show", "run")
    (audit,) = json.loads(output(folder, "audit", "run", "--no-plots", "--json"))["audits"]
    found = {finding["name"]: finding["figure"] for finding in audit["findings"]}
    assert (audit["benchmark"], audit["items"]) == ("items", 8)
    assert found["correlation of score and log length in groups"]["value"] < 0
    assert found["invalid samples after retries"]["value"] == 0


async def test_its_log_is_json_whatever_is_sent(start):
    server = await start()
    for garbage in (b"secret\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
        writer.write(garbage)
        assert b"HTTP/1.1 4" in await reader.readline()
        writer.close()
    server.stop()
    assert await server.events() == ["draining", "drained"]


async def test_ctrl_c_stops_it_too(start):
    server = await start()
    server.stop(signal.SIGINT)
    assert await server.ended() == 0


def refused(folder, *more):
    done = subprocess.run(command(folder, *more), capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    return done.returncode, done.stderr


def test_what_keeps_it_from_starting_is_one_clear_line(folder):
    code, said = refused(folder, "--host", "0.0.0.0")
    assert code == 2 and "there are no keys" in said and "--insecure-no-key" in said
    code, said = refused(folder, "--keys", "nowhere")
    assert code == 2 and "cannot be read" in said
    code, said = refused(folder, "--limit", "n=many")
    assert code == 2 and "expected NAME=NUMBER" in said
    code, said = refused(folder, "--host", "192.0.2.1", "--insecure-no-key")
    assert code == 2 and "cannot listen on 192.0.2.1" in said


def test_a_key_is_made_once_and_kept_as_a_digest(folder):
    made = [
        subprocess.run(
            [*SPCT, "serve-key", name, "--keys", "keys"], capture_output=True, text=True, cwd=folder, check=False
        )
        for name in ("alice", "bob", "alice")
    ]
    keys = [done.stdout.strip() for done in made]
    assert [done.returncode for done in made] == [0, 0, 2]
    assert keys[0] != keys[1] and keys[2] == "" and "already" in made[2].stderr
    text = (folder / "keys").read_text()
    assert [line.split()[0] for line in text.splitlines()] == ["alice", "bob"]
    assert not any(key in text for key in keys[:2])
