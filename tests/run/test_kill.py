"""kill -9 in the middle of a run, again and again: the resumed run ends where an uninterrupted one does."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

SCRIPT = """
import asyncio
import os
from spct.engines.scripted import judgment_text

PACE = float(os.environ.get("PACE", "1"))

async def judge(request, j):
    seed = request.seed + j
    await asyncio.sleep((0.05 + seed % 5 / 100) * PACE)
    return "broken" if seed % 9 == 0 else judgment_text([1 + seed % 10, 1 + seed // 10 % 10, 1 + seed // 100 % 10])
"""
KILLS = 20
SLOW = {**os.environ, "PACE": "5"}
"""For the runs that are killed: else a quick machine is done before half of the kills."""


def spct(folder, *more):
    model = f"scripted:{folder / 'script.py'}:judge"
    arguments = [str(folder / "items.jsonl"), "--model", model, "-k", "6", "--concurrency", "3", "--json", *more]
    return [sys.executable, "-c", "from spct.cli import main; main()", "judge", *arguments]


def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    rows = [{"prompt": f"question {n}", "responses": ["a", "b", "c"], "best": n % 3} for n in range(60)]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    whole = subprocess.run(spct(tmp_path), capture_output=True, text=True, check=False)
    assert len(whole.stdout.splitlines()) == 60

    run, rng, reported, killed = tmp_path / "run", random.Random(0), set(), 0
    for _ in range(KILLS):
        command = spct(tmp_path, "--out", str(run), "--resume")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=SLOW)
        time.sleep(rng.uniform(0.3, 1.3))
        os.kill(process.pid, signal.SIGKILL)
        output = process.communicate()[0]
        killed += process.returncode == -signal.SIGKILL
        lines = [line for line in output.split("\n")[:-1] if line]
        reported.update(lines)
        if (run / "run.sqlite").exists() and lines:
            kept = {row[0] for row in sqlite3.connect(run / "run.sqlite").execute("SELECT row FROM verdicts")}
            assert set(lines) <= kept
    assert killed >= KILLS // 2 and reported
    last = subprocess.run(spct(tmp_path, "--out", str(run), "--resume"), capture_output=True, text=True, check=False)
    assert last.stdout == whole.stdout
    assert reported <= set(whole.stdout.splitlines())
    query = "SELECT count(*), count(DISTINCT position * 100000 + idx * 100 + attempt) FROM judgments"
    stored, distinct = sqlite3.connect(run / "run.sqlite").execute(query).fetchone()
    expected = sum(row["valid"] + row["invalid"] for row in map(json.loads, whole.stdout.splitlines()))
    assert stored == distinct == expected
