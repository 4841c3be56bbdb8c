"""The judge command as a whole process, with scripted engines and with real servers that behave and misbehave."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from servers import behaviours
from servers.chat import Call, ChatServer, write_reply
from spct.engines.scripted import judgment_text
from spct.run import RunStore

SPCT = [sys.executable, "-c", "from spct.cli import main; main()"]
SCRIPT = """
import asyncio
from spct.engines.scripted import judgment_text

def judge(request, j):
    return judgment_text([3, 8])

def one(request, j):
    return judgment_text([1])

async def slow(request, j):
    await asyncio.sleep(1)
    return judgment_text([3, 8])

def broken(request, j):
    return "no box"
"""
KEY = "sk-very-secret-key"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    rows = [{"id": f"q{n}", "prompt": f"question {n}", "responses": ["a", "b"], "best": 1} for n in range(12)]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return tmp_path


def command(folder, *more, model="judge", source="items.jsonl"):
    spec = model if ":" in model else f"scripted:{folder / 'script.py'}:{model}"
    path = source if source == "-" else str(folder / source)
    return [*SPCT, "judge", path, "--model", spec, "--ordering", "fixed", *more]


def run(folder, *more, stdin=None, **kind):
    return subprocess.run(
        command(folder, *more, **kind), capture_output=True, text=True, input=stdin, check=False, timeout=60
    )


async def run_against(server, folder, *more, env=None):
    process = await asyncio.create_subprocess_exec(
        *command(folder, "--base-url", server.base_url, *more, model="openai:m"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "OPENAI_API_KEY": KEY, **(env or {})},
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def judging(call: Call, writer) -> None:
    """An honest server whose model prefers the second response."""
    choices = [behaviours.choice(judgment_text([3, 8], f"seed {call.seed + j}"), j) for j in range(call.n)]
    await write_reply(writer, 200, behaviours.completion(choices))


def test_json_is_one_line_per_item_and_nothing_else(folder):
    done = run(folder, "--json", "-k", "4")
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows] == [f"q{n}" for n in range(12)]
    assert list(rows[0]) == [
        "id", "best", "ranking", "totals", "means", "spread", "k", "valid", "invalid", "tied", "confidence", "error",
    ]  # fmt: skip
    confidence = rows[0].pop("confidence")
    assert 0.5 < confidence < 1
    assert rows[0] == {
        "id": "q0", "best": 1, "ranking": [1, 0], "totals": [12, 32], "means": [3.0, 8.0], "spread": [0.0, 0.0], "k": 4,
        "valid": 4, "invalid": 0, "tied": [], "error": None,
    }  # fmt: skip


def test_text_shows_a_table_and_a_summary(folder):
    done = run(folder, "-k", "2")
    assert done.returncode == 0
    assert done.stdout.count("✓") >= 12
    assert "12 items" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_stdin(folder):
    done = run(folder, "--json", "-k", "1", source="-", stdin=(folder / "items.jsonl").read_text())
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 12


def test_a_bad_row_of_stdin_is_named_as_such(folder):
    done = run(folder, "--json", source="-", stdin='{"prompt": "x", "responses": ["a", "b"]}\n{"prompt": "x"}\n')
    assert done.returncode == 2
    assert "stdin, line 2: got a row with prompt" in done.stderr


def test_labels_that_the_template_cannot_give_are_pointed_out(folder):
    rows = [{"prompt": "x", "responses": ["a"], "label": n % 2} for n in range(3)]
    (folder / "single.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = run(folder, "--json", "-k", "1", source="single.jsonl", model="one")
    assert "note: items with a label of 0 or 1: 3;" in done.stderr and "--template grm-single" in done.stderr
    assert "correct" not in done.stderr and "ROC-AUC" in done.stderr
    done = run(folder, "-k", "1", "--template", "grm-single", source="single.jsonl", model="one")
    assert "note:" not in done.stderr
    assert "✓ 1 correct, ✗ 2 wrong" in done.stdout


def test_a_file_in_the_place_of_the_run_directory(folder):
    (folder / "file").write_text("")
    for out in ("file", "file/run"):
        done = run(folder, "-k", "1", "--out", str(folder / out))
        assert done.returncode == 4
        assert "is, or lies below, a file; expected a directory" in done.stderr


def test_items_without_a_verdict_are_exit_code_1(folder):
    done = run(folder, "--json", "-k", "2", "--retries", "0", model="broken")
    assert done.returncode == 1
    row = json.loads(done.stdout.splitlines()[0])
    assert (row["best"], row["ranking"], row["totals"], row["valid"], row["invalid"]) == (None, None, None, 0, 2)
    assert row["error"]["type"] == "NoValidJudgment"


def test_a_bad_row_stops_before_anything_is_sampled(folder):
    with (folder / "items.jsonl").open("a") as file:
        file.write('{"prompt": "x", "responses": []}\n')
    done = run(folder, "--json", "--out", str(folder / "run"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert "items.jsonl" in done.stderr and "13" in done.stderr and "responses" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "run").exists()


def test_skip_bad_goes_on_and_counts(folder):
    with (folder / "items.jsonl").open("a") as file:
        file.write('not json\n{"prompt": "x", "responses": ["only"]}\n')
    done = run(folder, "--skip-bad", "-k", "1")
    assert "skipped" in done.stderr and "13" in done.stderr
    assert "13 items" in done.stdout
    assert "1 unreadable row left out" in done.stdout


@pytest.mark.parametrize(
    "arguments,words",
    [
        (["--model", "nonsense"], ["nonsense", "KIND:NAME", "openai", "module:Class:NAME"]),
        (["--model", "scripted:nowhere.py:f"], ["nowhere.py"]),
        (["--template", "nowhere.jinja"], ["nowhere.jinja"]),
        (["--principles", "given"], ["principles", "q0"]),
        (["--template", "grm-reference"], ["reference", "q0"]),
        (["--resume"], ["--out"]),
        (["--threads", "3"], ["threads"]),
        (["-k", "0"], ["k", "1 to 4096"]),
        (["--temperature", "inf"], ["temperature is inf"]),
        (["--price-in", "-1"], ["--price-in", "x>=0"]),
    ],
)
def test_wrong_commands_are_one_clear_line(folder, arguments, words):
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr


def test_missing_and_empty_files(folder):
    (folder / "empty.jsonl").write_text("")
    for source in ("missing.jsonl", "empty.jsonl"):
        done = run(folder, source=source)
        assert done.returncode == 2
        assert source in done.stderr
        assert "Traceback" not in done.stderr


def test_a_run_is_kept_resumed_extended_and_guarded(folder):
    out = str(folder / "run")
    first = run(folder, "--json", "-k", "2", "--out", out)
    again = run(folder, "--json", "-k", "2", "--out", out)
    assert again.returncode == 4
    assert "--resume" in again.stderr
    resumed = run(folder, "--json", "-k", "2", "--out", out, "--resume", model="judge")
    assert resumed.stdout == first.stdout
    assert (
        "note: that a sample of scripted:" in resumed.stderr
        and "depends on its seed alone was not checked" in resumed.stderr
    )
    assert "seed alone" not in first.stderr
    longer = run(folder, "--json", "-k", "4", "--out", out, "--resume")
    assert [json.loads(line)["totals"] for line in longer.stdout.splitlines()] == [[12, 32]] * 12
    store = RunStore.open(Path(out))
    assert store.count("judgments") == 48
    assert store.usage().requests == 24
    changed = run(folder, "-k", "4", "--seed", "5", "--temperature", "0.9", "--out", out, "--resume")
    assert changed.returncode == 4
    assert "seed: 0 in the run, 5 now" in changed.stderr
    assert "temperature: 0.5 in the run, 0.9 now" in changed.stderr


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(folder):
    out = folder / "run"
    process = subprocess.Popen(
        command(folder, "--json", "-k", "1", "--concurrency", "1", "--out", str(out), model="slow"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "--resume" in err and "Traceback" not in err
    finished = [first, *rest.splitlines()]
    assert 1 <= len(finished) < 12
    done = run(folder, "--json", "-k", "1", "--out", str(out), "--resume", "--concurrency", "12", model="slow")
    assert done.returncode == 0
    assert done.stdout.splitlines()[: len(finished)] == [line.strip() for line in finished]
    assert RunStore.open(out).count("judgments") == 12


def test_a_reader_that_goes_away_is_no_error(folder):
    text = " ".join(command(folder, "--json", "-k", "1"))
    script = f"{text} | head -n 1".replace(SPCT[2], f"'{SPCT[2]}'")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert json.loads(done.stdout)["id"] == "q0"
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


async def test_a_real_server(folder):
    async with ChatServer(judging) as server:
        code, out, _ = await run_against(server, folder, "--json", "-k", "4")
    assert code == 0
    assert [json.loads(line)["totals"] for line in out.splitlines()] == [[12, 32]] * 12
    assert {call.body["n"] for call in server.chats} == {4}
    assert {call.headers["authorization"] for call in server.chats} == {f"Bearer {KEY}"}


async def test_nobody_answers(folder):
    async with ChatServer(judging) as server:
        gone = server.base_url
    server_gone = type("Gone", (), {"base_url": gone})
    code, _, err = await run_against(server_gone, folder, "--engine-option", "attempts=2")
    assert code == 3
    assert gone in err and "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("spct:")]) == 1


async def test_a_wrong_key_is_said_once_and_never_shown(folder):
    refuse = behaviours.fails(401, f"Incorrect API key provided: {KEY}")
    async with ChatServer(refuse, models=refuse) as server:
        code, out, err = await run_against(server, folder, "--out", str(folder / "run"))
    assert code == 3
    assert "401" in err and "key" in err
    assert KEY not in out + err
    assert "Traceback" not in err
    kept = (
        b"".join(path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file())
        if (folder / "run").exists()
        else b""
    )
    assert KEY.encode() not in kept


async def test_the_key_is_never_in_a_run_directory(folder):
    async with ChatServer(judging) as server:
        await run_against(server, folder, "--out", str(folder / "run"), "--api-key", KEY)
    assert all(KEY.encode() not in path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file())


async def test_no_secret_is_in_what_is_printed_or_kept_when_stopped(folder):
    async with ChatServer(behaviours.hangs) as server:
        base_url = server.base_url
        address = base_url.replace("://", "://user:hunter2@")
        process = await asyncio.create_subprocess_exec(
            *command(folder, "--base-url", address, "--out", str(folder / "run"), model="openai:m"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"},
        )
        await server.arrived.wait()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert process.returncode == 130
    assert b"--resume" in err
    kept = b"".join(path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file())
    assert b"hunter2" not in out + err + kept
    assert base_url.encode() in kept


async def test_a_key_on_the_command_line_is_not_repeated_when_stopped(folder):
    async with ChatServer(behaviours.hangs) as server:
        process = await asyncio.create_subprocess_exec(
            *command(
                folder, "--base-url", server.base_url, "--api-key", KEY, "--out", str(folder / "run"), model="openai:m"
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await server.arrived.wait()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert process.returncode == 130
    assert KEY.encode() not in out + err


async def test_a_server_that_dies_loses_nothing_and_the_run_goes_on_later(folder):
    count = 0

    async def dying(call, writer):
        nonlocal count
        count += 1
        if count > 5:
            asyncio.get_running_loop().create_task(server.stop())
            await asyncio.sleep(10)
        await judging(call, writer)

    out = str(folder / "run")
    more = ["--json", "-k", "2", "--concurrency", "1", "--out", out, "--resume", "--engine-option", "attempts=2"]
    async with ChatServer(dying) as server:
        code, first, err = await run_against(server, folder, *more)
    assert code == 3
    assert "Traceback" not in err
    assert RunStore.open(Path(out)).count("judgments") == 10
    async with ChatServer(judging) as server:
        code, whole, _ = await run_against(server, folder, *more)
        assert code == 0
        assert len(server.chats) == 7
    assert whole.startswith(first)
    assert len(whole.splitlines()) == 12


@pytest.mark.parametrize("body", [b"<html>oops</html>", b'{"choices": [', b'{"choices": []}', b"", b"null", b"[1]"])
async def test_garbage_is_one_clear_message(folder, body):
    async with ChatServer(behaviours.replies(body)) as server:
        code, out, err = await run_against(
            server, folder, "--json", "-k", "1", "--concurrency", "2", "--engine-option", "attempts=2"
        )
    assert code == 3
    assert "last 10 items all failed" in err
    assert "Traceback" not in err
    assert all(json.loads(line)["best"] is None for line in out.splitlines())


def test_a_full_disk_is_one_clear_message_and_keeps_what_is_there(folder):
    small = folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        rows = [{"prompt": f"question {n} " * 400, "responses": ["a", "b"]} for n in range(200)]
        (folder / "many.jsonl").write_text("\n".join(map(json.dumps, rows)))
        done = run(folder, "--json", "-k", "2", "--concurrency", "4", "--out", str(small / "run"), source="many.jsonl")
        assert done.returncode == 4
        assert "full" in done.stderr and "--resume" in done.stderr
        assert "Traceback" not in done.stderr
        reported = done.stdout.splitlines()
        store = RunStore.open(small / "run")
        kept = [row["id"] for _, row in store.verdict_rows()]
        store.close()
        assert set(kept) >= {json.loads(line)["id"] for line in reported}
        assert len(reported) > 0
    finally:
        subprocess.run(["umount", str(small)], check=True)
