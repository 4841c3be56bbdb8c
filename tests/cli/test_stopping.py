"""Signals, whatever the command is in, and the hint that they leave."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cli.test_judge import folder  # noqa: F401 - a folder with items and a script
from spct.cli.stopping import HIDDEN, without_secrets
from spct.run import RunStore

STUCK = """
import asyncio, time
from spct.engines.engine import Capabilities, Sample, SampleBatch
from spct.engines.scripted import judgment_text
from spct.types import Usage

async def endless():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass

def compute():
    while True:
        pass

class Judge:
    notes, configuration, capabilities = (), {}, Capabilities(seeding="sample", concurrency=4)

    def __init__(self, name):
        self.model_id = self._stuck = name
        self._asked = 0

    async def start(self):
        self._stuck == "start" and self._stop()

    async def close(self):
        self._stuck == "close" and self._stop()

    async def count_tokens(self, messages):
        return None

    def _stop(self):
        open("stuck", "w").close()
        time.sleep(1000)

    async def sample(self, request):
        self._asked += 1
        if self._asked > 6:
            open("stuck", "w").close()
            match self._stuck:
                case "loop":
                    compute()
                case "call":
                    time.sleep(1000)
                case "thread":
                    await asyncio.to_thread(time.sleep, 1000)
                case "cancel":
                    await endless()
                case _:
                    await asyncio.sleep(1000)
        text = judgment_text([3, 8])
        return SampleBatch(tuple(Sample(text, "stop", request.seed + j) for j in range(request.n)), Usage())
"""


def begun(where, arguments, stuck):
    (where / "stuck.py").write_text(STUCK)
    command = [
        sys.executable,
        "-c",
        "from spct.cli import main; main()",
        *arguments,
        "--model",
        f"./stuck.py:Judge:{stuck}",
    ]
    process = subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (where / "stuck").exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.1)
    return process


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stuck", ["loop", "call", "thread", "cancel", "start", "close", "sleep"])
def test_a_signal_is_obeyed_whatever_is_going_on(folder, stuck, name):  # noqa: F811
    process = begun(folder, ["judge", "items.jsonl", "-k", "1", "--out", "run"], stuck)
    process.send_signal(name)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    told = f"stopped; go on with: spct judge items.jsonl -k 1 --out run --model ./stuck.py:Judge:{stuck} --resume"
    assert err.splitlines()[-1] == told
    assert "Traceback" not in err
    if stuck in ("thread", "cancel", "close", "sleep"):  # the loop of the others gets no turn to commit
        store = RunStore.open(folder / "run")
        assert store.count("judgments") == 6
        store.close()


def test_a_server_whose_engine_does_not_start_can_be_stopped(folder):  # noqa: F811
    process = begun(folder, ["serve", "--port", "0"], "start")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 130


def test_a_pipe_that_nobody_empties_is_no_reason_to_stay(folder):  # noqa: F811
    rows = [{"id": "q" * 200 + str(n), "prompt": "q", "responses": ["a", "b"]} for n in range(900)]
    (folder / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = [sys.executable, "-c", "from spct.cli import main; main()", "judge", "items.jsonl", "-k", "1", "--json"]
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [*command, "--model", "scripted:script.py:judge"], cwd=folder, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    time.sleep(2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    os.close(reading)
    assert process.returncode == 130


KEY = "sk-4711-abcdef"
ARGUMENTS = [
    (["--api-key", KEY], ["--api-key", HIDDEN]),
    ([f"--api-key={KEY}"], [f"--api-key={HIDDEN}"]),
    (["--engine-option", f"api_key={KEY}"], ["--engine-option", f"api_key={HIDDEN}"]),
    ([f"--engine-option=api-key={KEY}"], [f"--engine-option=api-key={HIDDEN}"]),
    (["--engine-option", f"params={{x: {KEY}}}"], ["--engine-option", f"params={HIDDEN}"]),
    (["--header", f"x-key={KEY}"], ["--header", f"x-key={HIDDEN}"]),
    (["--header=x-team=4711"], [f"--header=x-team={HIDDEN}"]),
    (["--header", KEY], ["--header", HIDDEN]),
    (["--param", f"user={KEY}"], ["--param", f"user={HIDDEN}"]),
    (["--param", "top_k=20"], ["--param", "top_k=20"]),
    (["--engine-option", f"headers={KEY}"], ["--engine-option", f"headers={HIDDEN}"]),
    (["--engine-option", "token=4711"], ["--engine-option", f"token={HIDDEN}"]),
    (["--engine-option", KEY], ["--engine-option", HIDDEN]),
    (["--meta-option", f"api_key={KEY}"], ["--meta-option", f"api_key={HIDDEN}"]),
    (["--meta-option", f"engine_options={{api_key: {KEY}}}"], ["--meta-option", f"engine_options={HIDDEN}"]),
    (["--judge-option", f"head_options={{api_key: {KEY}}}"], ["--judge-option", f"head_options={HIDDEN}"]),
    (["--judge-option", f"head=remote:http://u:{KEY}@h/v1"], ["--judge-option", f"head={HIDDEN}"]),
    (["--base-url", f"https://user:{KEY}@host/v1"], ["--base-url", "https://host/v1"]),
    (["--base-url", f"https://a@b:{KEY}@host/v1"], ["--base-url", "https://host/v1"]),
    (["--base-url", f"https://host/v1?api-version=1&key={KEY}"], ["--base-url", "https://host/v1"]),
    ([f"--base-url=https://host/v1#{KEY}"], ["--base-url=https://host/v1"]),
    (["--meta", f"remote:https://u:{KEY}@host/v1"], ["--meta", "remote:https://host/v1"]),
]


@pytest.mark.parametrize(("given", "shown"), ARGUMENTS)
def test_nothing_that_may_be_a_key_is_shown(given, shown):
    assert without_secrets(["judge", "items.jsonl", *given, "-k", "4"]) == ["judge", "items.jsonl", *shown, "-k", "4"]
    assert KEY not in " ".join(shown)


def test_what_is_no_key_is_shown():
    plain = [
        "--engine-option", "delay-s=0.3", "--engine-option=exact=true", "--engine-option", "grammar_style=vllm",
        "--engine-option", "context_tokens=4096", "--judge-option", "tournament=knockout", "--out", "run", "--resume",
    ]  # fmt: skip
    assert without_secrets(plain) == plain
