"""kill -9 in the middle of a run, again and again: the resumed run ends where an uninterrupted one does."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys

SCRIPT = r"""
import asyncio, os, re
from spct.engines.scripted import judgment_text

async def judge(request, j):
    seed = request.seed + j
    number = int(re.search(r"question (\d+)", request.messages[-1].content)[1])
    await asyncio.sleep(300 if number >= int(os.environ.get("NEVER_FROM", "60")) else 0.01 + seed % 5 / 200)
    return "broken" if seed % 9 == 0 else judgment_text([1 + seed % 10, 1 + seed // 10 % 10, 1 + seed // 100 % 10])
"""
ITEMS, KILLS = 60, 20


def spct(folder, *more):
    model = f"scripted:{folder / 'script.py'}:judge"
    arguments = [str(folder / "items.jsonl"), "--model", model, "-k", "6", "--concurrency", "3", "--json", *more]
    return [sys.executable, "-c", "from spct.cli import main; main()", "judge", *arguments]


def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    """Each session is killed once it has reported some more verdicts than the last one, with others in flight.

    A few items further on nothing is ever answered, so that however late the kill comes, it finds the session at work.
    """
    (tmp_path / "script.py").write_text(SCRIPT)
    rows = [{"prompt": f"question {n}", "responses": ["a", "b", "c"], "best": n % 3} for n in range(ITEMS)]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    whole = subprocess.run(spct(tmp_path), capture_output=True, text=True, check=False)
    assert len(whole.stdout.splitlines()) == ITEMS

    run, rng, reported = tmp_path / "run", random.Random(0), set()
    for kill in range(KILLS):
        command = spct(tmp_path, "--out", str(run), "--resume")
        awaited = kill * (ITEMS - 6) // KILLS + rng.randint(1, 3)
        env = os.environ | {"NEVER_FROM": str(awaited + 3)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
        lines = [process.stdout.readline() for _ in range(awaited)]
        os.kill(process.pid, signal.SIGKILL)
        lines += process.communicate()[0].splitlines(keepends=True)
        assert process.returncode == -signal.SIGKILL
        whole_lines = {line.rstrip("\n") for line in lines if line.endswith("\n")}
        reported |= whole_lines
        kept = {row[0] for row in sqlite3.connect(run / "run.sqlite").execute("SELECT row FROM verdicts")}
        assert whole_lines <= kept
    last = subprocess.run(spct(tmp_path, "--out", str(run), "--resume"), capture_output=True, text=True, check=False)
    assert last.stdout == whole.stdout
    assert reported <= set(whole.stdout.splitlines())
    query = "SELECT count(*), count(DISTINCT position * 100000 + idx * 100 + attempt) FROM judgments"
    stored, distinct = sqlite3.connect(run / "run.sqlite").execute(query).fetchone()
    expected = sum(row["valid"] + row["invalid"] for row in map(json.loads, whole.stdout.splitlines()))
    assert stored == distinct == expected
