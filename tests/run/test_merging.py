"""Runs over parts of the items, joined, are the run over all of them."""

import contextlib
import sqlite3
from functools import partial
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from spct.cli.merge import merge
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError, ResumeRefusedError
from spct.items import read_items
from spct.judges import judge_of
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.meta import load_meta
from spct.run import RunStore, judge_items, opened_run
from spct.run.asks import Asked
from spct.run.labels import Label, add_label, labels_of
from spct.run.merging import Merged, merge_runs
from spct.run.rating import rate_run
from spct.run.stored import stored_items, stored_settings
from spct.service.recording import Recording
from spct.service.service import RewardService
from spct.types import Item, Message

SETTINGS = {"k": 3, "retries": 1, "seed": 7}
TABLES = ("items", "judgments", "verdicts", "prompts", "principles", "templates", "ratings")


def by_seed(request, j):
    seed = request.seed + j
    if "principles" in request.messages[-1].content and "[Begin" not in request.messages[-1].content:
        return "Specific Criteria:\n1. Depth (Weight: 100%)"
    return "no box" if seed % 5 == 0 else judgment_text([1 + seed % 2, 1 + seed // 3 % 2])


def write_rows(path, numbers, **extra):
    rows = [{"prompt": f"question {n}", "responses": ["a", "b"], "best": n % 2, **extra} for n in numbers]
    path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return path


async def judged(path, out, meta=None, script=by_seed, **settings):
    judge = GRMJudge(ScriptedEngine(script), judge_settings(**{**SETTINGS, **settings}), meta=meta and load_meta(meta))
    with opened_run(out, judge, resume=False, session={"input": path.name}) as store:
        store.keep_notes(["of all", f"of {path.name}"])
        return [outcome.verdict async for outcome in judge_items(judge, read_items(path), in_flight=3, store=store)]


def contents(directory):
    """Every table but the sessions and the times, request numbers left out."""
    with sqlite3.connect(directory / "run.sqlite") as db:
        found = {}
        for table in TABLES:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] != "request"]
            found[table] = db.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1, 2").fetchall()
        found["requests"] = db.execute(
            "SELECT position, prompt_tokens, completion_tokens, requests, prompt FROM requests ORDER BY 1, 5, 3"
        ).fetchall()
    return found


async def test_who_rated_the_parts_is_kept(tmp_path):
    parts = [tmp_path / name for name in ("one", "two")]
    for n, part in enumerate(parts):
        await judged(write_rows(tmp_path / f"{n}.jsonl", [n]), part)
    with contextlib.closing(RunStore.open(parts[1], write=True)) as store:
        await rate_run(store, stored_settings(store)[1], load_meta("random"))
        rated = store.all_sessions()[-1]
    merge_runs(parts, tmp_path / "merged")
    with contextlib.closing(RunStore.open(tmp_path / "merged")) as merged:
        assert rated[1]["meta"] == {"id": "random:0"}
        assert rated in merged.all_sessions() and rated not in merged.sessions()


@pytest.mark.parametrize("meta", [None, "random"])
@pytest.mark.parametrize("cuts", [(0, 5, 11, 30), (0, 1, 29, 30), (0, 30, 60)])
async def test_the_parts_are_the_whole(tmp_path, cuts, meta):
    """Also where a query comes again: ids made of content are numbered as in one file, and ties broken by those names."""
    numbers = [n % 25 for n in range(cuts[-1])]
    await judged(write_rows(tmp_path / "all.jsonl", numbers), tmp_path / "whole", meta)
    parts = []
    for begin, end in pairwise(cuts):
        parts.append(tmp_path / f"part-{begin}")
        await judged(write_rows(tmp_path / f"{begin}.jsonl", numbers[begin:end]), parts[-1], meta)
    assert merge_runs(parts, tmp_path / "merged").unfinished == 0
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")
    merged, whole = (RunStore.open(tmp_path / name) for name in ("merged", "whole"))
    settings = stored_settings(whole)
    assert stored_settings(merged) == settings
    model = settings[0].get("meta")
    assert list(stored_items(merged, settings[1], model)) == list(stored_items(whole, settings[1], model))
    assert [facts["input"] for _, facts in merged.sessions() if "input" in facts] == [
        f"{begin}.jsonl" for begin in cuts[:-1]
    ]
    assert merged.notes() == ["of all", *(f"of {begin}.jsonl" for begin in cuts[:-1])]
    assert [sorted(request.places) for request in merged.requests(0)] == [sorted(r.places) for r in whole.requests(0)]
    merged.close()
    whole.close()


async def test_principles_of_the_parts_come_along(tmp_path):
    for name, numbers in (("a", [1, 2]), ("b", [2, 3])):
        await judged(write_rows(tmp_path / f"{name}.jsonl", numbers), tmp_path / name, principles="query")
    merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert len(contents(tmp_path / "out")["principles"]) == 3


async def test_a_merged_run_is_gone_on_with(tmp_path):
    for name, numbers in (("a", [1, 2]), ("b", [3])):
        await judged(write_rows(tmp_path / f"{name}.jsonl", numbers), tmp_path / name)
    merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    engine = ScriptedEngine(by_seed)
    judge = GRMJudge(engine, judge_settings(**{**SETTINGS, "k": 4}))
    path = write_rows(tmp_path / "all.jsonl", [1, 2, 3, 4])
    with opened_run(tmp_path / "out", judge, resume=True) as store:
        outcomes = [outcome async for outcome in judge_items(judge, read_items(path), in_flight=1, store=store)]
    assert [outcome.replayed > 0 for outcome in outcomes] == [True, True, True, False]
    fresh = await judged(path, tmp_path / "fresh", k=4)
    assert [outcome.verdict.as_row() for outcome in outcomes] == [verdict.as_row() for verdict in fresh]


async def test_other_settings_are_refused_by_name_and_nothing_is_written(tmp_path):
    await judged(write_rows(tmp_path / "a.jsonl", [1]), tmp_path / "a")
    await judged(write_rows(tmp_path / "b.jsonl", [2]), tmp_path / "b", temperature=0.7, k=4)
    with pytest.raises(ResumeRefusedError) as refused:
        merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert f"k: 3 in {tmp_path / 'a'}, 4 in {tmp_path / 'b'}" in str(refused.value)
    assert f"temperature: 0.5 in {tmp_path / 'a'}, 0.7 in {tmp_path / 'b'}" in str(refused.value)
    assert not (tmp_path / "out").exists()


async def test_an_id_that_two_runs_gave_is_refused(tmp_path):
    for name in "ab":
        await judged(write_rows(tmp_path / f"{name}.jsonl", [ord(name)], id="mine"), tmp_path / name)
    with pytest.raises(InputError, match=r"b: got the id 'mine' a second time"):
        merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_recordings_of_two_servers_that_were_asked_the_same_are_joined(tmp_path):
    for step, name in enumerate("ab"):
        engine = ScriptedEngine(lambda request, j: judgment_text([3, 4]))
        recording = Recording(tmp_path / name)
        async with RewardService(partial(judge_of, engine), judge_settings(k=2), recording=recording) as service:
            for text in ("q", name):
                item = Item("", (Message("user", text),), ("x", "y"))
                await service.ask(item, asked=Asked("r", step, (("1",), ("2",))))
    assert merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "out").items == 4
    with contextlib.closing(RunStore.open(tmp_path / "out")) as merged:
        query_of = {item.id: item.messages[0].content for _, item in merged.items()}
        assert [(query_of[ask.item], ask.asked.step) for ask in merged.asks()] == [
            ("q", 0),
            ("a", 0),
            ("q", 1),
            ("b", 1),
        ]
        assert len({ask.item for ask in merged.asks()}) == 4


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "./a"]])
async def test_two_different_runs_are_needed(tmp_path, names):
    await judged(write_rows(tmp_path / "a.jsonl", [1]), tmp_path / "a")
    with pytest.raises(InputError, match=f"got {len(names)} runs to merge; expected two or more different ones"):
        merge_runs([tmp_path / name for name in names], tmp_path / "out")


async def test_the_command_says_what_came_of_it(tmp_path):
    for name, numbers in (("a", [1, 2]), ("b", [3])):
        await judged(
            write_rows(tmp_path / f"{name}.jsonl", numbers), tmp_path / name, script=lambda r, j: judgment_text([1, 2])
        )
    with sqlite3.connect(tmp_path / "b" / "run.sqlite") as db:
        db.execute("DELETE FROM verdicts")
    done = CliRunner().invoke(merge, [str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "out")])
    assert f"{tmp_path / 'out'}: 3 items, 9 judgments of 2 runs" in done.output
    assert "1 of them are begun and have no verdict" in done.output
    again = CliRunner().invoke(merge, [str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "out")])
    assert "already holds a run" in str(again.exception)
    assert Merged(3, 9, 1) == merge_runs([tmp_path / "a", tmp_path / "b"], Path(tmp_path / "again"))


async def test_labels_of_people_come_along(tmp_path):
    for name, numbers in (("a", [1, 2]), ("b", [3, 1])):
        await judged(write_rows(tmp_path / f"{name}.jsonl", numbers), tmp_path / name)
        with contextlib.closing(RunStore.open(tmp_path / name)) as store:
            add_label(tmp_path / name, store.item(1), Label(1.0, "ann", 1, {"label": 0}))
            add_label(tmp_path / name, store.item(1), Label(2.0, "ann", 1, {"label": 1}, f"in {name}"))
    assert merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "merged") == Merged(4, 12, 0, 2)
    assert labels_of(tmp_path / "merged") == {
        1: {"ann": Label(2.0, "ann", 1, {"label": 1}, "in a")},
        3: {"ann": Label(2.0, "ann", 3, {"label": 1}, "in b")},
    }  # the last item came in both runs, and has another name here
