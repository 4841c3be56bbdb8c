"""Samples kept over runs: paid once, whoever asks; nothing goes from one engine, model or request to another."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from spct import GRM, load_engine
from spct.engines.cache_file import FILE, CacheFile, made_by
from spct.engines.cached import CachedEngine
from spct.engines.engine import Capabilities, Sample, SampleRequest
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError, RejectedError
from spct.turns import Message, Tool, ToolCall
from spct.types import TokenLogprob, Usage

HELLO = SampleRequest((Message("user", "hello"),), n=4, seed=7)
SEEDED = Capabilities(seeding="sample")
BY_REQUEST = Capabilities(seeding="request")


def echo(request, j):
    return f"{request.seed + j} of {request.n}" if request.n > 1 else f"{request.seed + j}"


def seeded(request, j):
    return f"sample {request.seed + j}"


async def asked(folder, *requests, script=seeded, can=SEEDED, name="scripted", by=""):
    """What a new process's engine gives, and the requests that reached the engine itself."""
    own = ScriptedEngine(script, capabilities=can, name=name)
    engine = CachedEngine(own, folder, by)
    await engine.start()
    batches = [await engine.sample(request) for request in requests]
    await engine.close()
    return batches, own.requests, engine.notes


async def test_what_was_asked_once_is_not_asked_again(tmp_path):
    first, requests, notes = await asked(tmp_path, HELLO)
    assert len(requests) == 1 and notes == ("cache: 0 of 4 samples were there already",)
    again, requests, notes = await asked(tmp_path, HELLO)
    assert requests == [] and notes == ("cache: 4 of 4 samples were there already",)
    assert again[0].samples == first[0].samples and again[0].usage == Usage()


async def test_a_larger_k_pays_for_what_is_new_alone(tmp_path):
    await asked(tmp_path, HELLO)
    batches, requests, _ = await asked(tmp_path, replace(HELLO, n=6, seed=6))
    assert [(request.seed, request.n) for request in requests] == [(6, 1), (11, 1)]
    assert [sample.seed for sample in batches[0].samples] == [6, 7, 8, 9, 10, 11]
    assert batches[0].usage.requests == 2


async def test_no_request_to_the_engine_is_larger_than_it_takes(tmp_path):
    _, requests, _ = await asked(tmp_path, HELLO, can=replace(SEEDED, max_n=3))
    assert [request.n for request in requests] == [3, 1]


async def test_where_samples_depend_on_the_request_it_is_kept_whole(tmp_path):
    first, _, _ = await asked(tmp_path, HELLO, script=echo, can=BY_REQUEST)
    await asked(tmp_path, replace(HELLO, n=1), script=echo, can=BY_REQUEST)
    again, requests, _ = await asked(tmp_path, HELLO, replace(HELLO, n=5), script=echo, can=BY_REQUEST)
    assert again[0].samples == first[0].samples and [request.n for request in requests] == [5]
    assert again[1].samples[0].text == "7 of 5"


async def test_what_a_server_gave_one_by_one_answers_a_request_for_all(tmp_path):
    await asked(tmp_path, *[replace(HELLO, n=1, seed=7 + j) for j in range(4)], script=echo, can=BY_REQUEST)
    batches, requests, _ = await asked(tmp_path, HELLO, script=echo, can=BY_REQUEST)
    assert requests == [] and [sample.text for sample in batches[0].samples] == ["7", "8", "9", "10"]


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": (Message("user", "hello "),)},
        {"messages": (Message("system", "hello"),)},
        {"messages": (Message("user", "hello", images=("https://example.org/a.png",)),)},
        {"messages": (Message("user", "hello", calls=(ToolCall(1, "f", "{}"),)),)},
        {"messages": (Message("user", "hel"), Message("user", "lo"))},
        {"messages": (Message("user", "hello", tools=(Tool("f"),)),)},
        {"seed": 100},
        {"temperature": 0.6},
        {"top_p": 0.9},
        {"max_tokens": 1000},
        {"grammar": 'root ::= "a"'},
        {"json_schema": "{}"},
        {"top_logprobs": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_another_request_is_another_sample(tmp_path, changes):
    await asked(tmp_path, HELLO)
    _, requests, _ = await asked(tmp_path, replace(HELLO, **changes))
    assert len(requests) == 1


@pytest.mark.parametrize(
    "other", [{"name": "other"}, {"can": replace(SEEDED, grammar="gbnf")}, {"by": "another server"}]
)
async def test_nothing_goes_from_one_engine_to_another(tmp_path, other):
    await asked(tmp_path, HELLO)
    _, requests, _ = await asked(tmp_path, HELLO, **other)
    assert len(requests) == 1


async def test_every_field_of_a_sample_comes_back(tmp_path):
    whole = Sample("a\ud800b", "length", 0, "why", 3, (TokenLogprob("a", -0.5, (("a", -0.5), ("b", float("-inf")))),))
    first, _, _ = await asked(tmp_path, HELLO, script=lambda request, j: whole)
    again, requests, _ = await asked(tmp_path, HELLO, script=lambda request, j: whole)
    assert requests == [] and again[0].samples == first[0].samples
    assert again[0].samples[3] == replace(whole, seed=10)


async def test_what_ended_otherwise_and_what_failed_is_asked_again(tmp_path):
    def stops(request, j):
        return Sample("half", "other" if request.seed + j == 8 else "length", 0)

    first, _, _ = await asked(tmp_path, HELLO, script=stops)
    assert [sample.finish_reason for sample in first[0].samples] == ["length", "other", "length", "length"]
    _, requests, _ = await asked(tmp_path, HELLO, script=seeded)
    assert [(request.seed, request.n) for request in requests] == [(8, 1)]
    with pytest.raises(RejectedError):
        await asked(tmp_path / "b", HELLO, script=lambda request, j: RejectedError("no"))
    _, requests, _ = await asked(tmp_path / "b", HELLO)
    assert len(requests) == 1


async def test_equal_requests_side_by_side_are_asked_once(tmp_path):
    own = ScriptedEngine(seeded, delay_s=0.01)
    engine = CachedEngine(own, tmp_path)
    batches = await asyncio.gather(*[engine.sample(HELLO) for _ in range(5)])
    assert len(own.requests) == 1 and len({batch.samples for batch in batches}) == 1
    assert sum(batch.usage.requests for batch in batches) == 1
    await engine.close()


async def test_who_waits_asks_itself_where_the_first_one_fails_or_goes_away(tmp_path):
    answers: Iterator[str | Exception] = iter([RejectedError("no"), "fine", "fine", "fine"])
    own = ScriptedEngine(lambda request, j: next(answers), delay_s=0.01, capabilities=SEEDED)
    engine = CachedEngine(own, tmp_path)
    lone = replace(HELLO, n=1)
    found = await asyncio.gather(engine.sample(lone), engine.sample(lone), return_exceptions=True)
    assert isinstance(found[0], RejectedError) and found[1].samples[0].text == "fine"
    going = asyncio.create_task(engine.sample(replace(lone, seed=50)))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(engine.sample(replace(lone, seed=50)))
    await asyncio.sleep(0)
    going.cancel()
    assert (await waiting).samples[0].text == "fine"
    await engine.close()


def test_what_an_engine_is_made_with_counts_and_what_only_carries_it_does_not(tmp_path):
    adapter = tmp_path / "adapter.gguf"
    adapter.write_text("one")
    options = {"lora": (f"{adapter}=0.5",), "api_key": "k", "concurrency": 4}
    before = made_by("llamacpp:m", options)
    assert made_by("llamacpp:m", {**options, "api_key": "l", "concurrency": 8, "timeout_s": 3.0}) == before
    assert made_by("llamacpp:m", {"lora": (f"{adapter}=0.6",)}) != before
    assert made_by("llamacpp:n", options) != before
    adapter.write_text("two")
    os.utime(adapter, (1, 1))
    assert made_by("llamacpp:m", options) != before


@pytest.mark.parametrize("spec", ["scripted:{}:f", "llamacpp:{}", "{}:Class:name"])
def test_another_file_of_the_same_name_is_another_engine(tmp_path, spec):
    file = tmp_path / "engine.py"
    file.write_text("a")
    before = made_by(spec.format(file), {})
    file.write_text("bc")
    assert made_by(spec.format(file), {}) != before


def test_so_is_a_folder_with_another_file(tmp_path):
    before = made_by(f"transformers:{tmp_path}", {})
    (tmp_path / "model.safetensors").write_text("weights")
    assert made_by(f"transformers:{tmp_path}", {}) != before


def test_headers_may_name_a_deployment_and_are_never_kept(tmp_path):
    one, other = [made_by("azure:m", {"headers": [f"x-deployment={name}"]}) for name in ("a", "b")]
    assert one != other and "deployment" not in one


@pytest.mark.parametrize("kind", ["text", "other program", "file"])
async def test_a_folder_that_cannot_be_used_is_refused_at_the_start(tmp_path, kind):
    folder = tmp_path / "cache"
    if kind == "file":
        folder.write_text("x")
    else:
        folder.mkdir()
    if kind == "text":
        (folder / FILE).write_text("this is no database, " * 100)
    if kind == "other program":
        with sqlite3.connect(folder / FILE) as db:
            db.execute("CREATE TABLE entries (key, value)")
        db.close()
    with pytest.raises(InputError, match="cache .*: cannot be used"):
        await asked(folder, HELLO)


async def test_an_entry_that_cannot_be_read_is_made_anew(tmp_path):
    await asked(tmp_path, HELLO)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE entries SET value = x'00'")
    db.close()
    _, requests, _ = await asked(tmp_path, HELLO)
    assert [request.n for request in requests] == [4]
    _, requests, _ = await asked(tmp_path, HELLO)
    assert requests == []


async def test_a_cache_that_fails_is_gone_without_and_told(tmp_path):
    engine = CachedEngine(ScriptedEngine(seeded), tmp_path)
    await engine.start()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("DROP TABLE entries")
    db.close()
    assert len((await engine.sample(HELLO)).samples) == 4
    assert "no such table" in engine.notes[-1] and "nothing was kept" in engine.notes[-1]
    await engine.close()


WRITER = """
import sys
from pathlib import Path
from spct.engines.cache_file import CacheFile
file = CacheFile(Path(sys.argv[1]))
file.open()
for i in range(int(sys.argv[3])):
    file.put({f"{sys.argv[2]} {i} {part}".encode(): f"{i} " * 500 for part in "ab"})
    if i == 20:
        print("going", flush=True)
assert not file.failure, file.failure
"""


def test_processes_share_a_folder_and_one_that_is_killed_leaves_it_whole(tmp_path):
    def begin(name, number):
        return subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name, str(number)], stdout=subprocess.PIPE, env=os.environ
        )

    whole, killed = [begin("first", 400), begin("second", 400)], begin("killed", 10**9)
    assert killed.stdout.readline() == b"going\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert [process.wait() for process in whole] == [0, 0]
    for process in [*whole, killed]:
        process.stdout.close()
    file = CacheFile(tmp_path)
    file.open()
    assert file.get(b"first 399 b") == "399 " * 500 and file.get(b"second 0 a") == "0 " * 500
    assert file.get(b"killed 20 a") == "20 " * 500
    file.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) % 2 FROM entries").fetchone() == (0,)  # both of a pair, or none
    db.close()


def judged(folder, rows, script=None):
    engine = ScriptedEngine(script or (lambda request, j: judgment_text([(request.seed + j) % 9 + 1, 5])))
    with GRM(engine, k=4, cache=folder) as grm:
        return list(grm.judge_many(rows)), engine.requests, grm.engine.notes


def test_equal_items_of_a_run_are_judged_once_with_the_same_verdicts(tmp_path):
    rows = [{"id": str(i), "prompt": "Name a prime.", "responses": ["11", "12"]} for i in range(3)]
    cached, requests, notes = judged(tmp_path / "cache", rows)
    plain, all_requests, _ = judged(None, rows)
    assert len(all_requests) == 3 * len(requests)
    assert [replace(verdict, usage=Usage()) for verdict in cached] == [
        replace(verdict, usage=Usage()) for verdict in plain
    ]
    assert notes == ("cache: 8 of 12 samples were there already",)


def test_the_cache_is_an_option_of_every_engine_by_name(tmp_path):
    script = tmp_path / "say.py"
    script.write_text("def say(request, j):\n    return 'yes'\n")
    engine = load_engine(f"scripted:{script}:say", cache=tmp_path / "cache")
    assert isinstance(engine, CachedEngine) and engine.model_id == f"scripted:{script}:say"
    assert repr(GRM(f"scripted:{script}:say", cache=tmp_path / "cache")).startswith("GRM('scripted:")
