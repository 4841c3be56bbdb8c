"""One way into a run: what it records, what it refuses, what of a directory it never touches."""

import contextlib
import os
import platform
import stat
import subprocess
from hashlib import sha256
from importlib.metadata import version

import orjson
import pytest

from spct import GRM
from spct.engines import load_engine
from spct.engines.engine import Capabilities
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import EngineError, ResumeRefusedError, RunError
from spct.items import fingerprint, parse_item
from spct.judges.grm import GRMJudge
from spct.judges.jury import JuryJudge, Member
from spct.judges.settings import judge_settings
from spct.meta.llm import SHIPPED, LLMMeta
from spct.run import RunStore, judge_items, open_run, opened_run
from spct.run.opening import file_facts
from spct.voting.orders import sample_seed, seed_base
from spct.voting.rows import short_of

ROWS = [{"prompt": f"question {n}", "responses": ["a", "b"]} for n in range(5)]


def judge(capabilities=None, **settings):
    engine = ScriptedEngine(
        lambda r, j: judgment_text([3, 8]), **({"capabilities": capabilities} if capabilities else {})
    )
    return GRMJudge(engine, judge_settings(**{"k": 2, **settings}))


def test_a_session_says_when_with_what_on_what(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(b"rows")
    store = open_run(tmp_path / "run", judge(), resume=False, session=file_facts(tmp_path / "in.jsonl"))
    ((started, facts),) = store.sessions()
    assert started.endswith("+00:00")
    assert facts["spct"] == version("spct")
    assert facts["python"] == platform.python_version()
    assert facts["input"] == str(tmp_path / "in.jsonl")
    assert facts["input_sha256"] == sha256(b"rows").hexdigest()
    store.close()


def test_another_effective_grammar_is_refused_by_name(tmp_path):
    open_run(tmp_path, judge(Capabilities(grammar="gbnf")), resume=False).close()
    assert orjson.loads((tmp_path / "settings.json").read_bytes())["grammar"] == "gbnf"
    with pytest.raises(ResumeRefusedError, match="grammar: 'gbnf' in the run, None now"):
        open_run(tmp_path, judge(Capabilities()), resume=True)
    with pytest.raises(ResumeRefusedError, match="grammar: 'gbnf' in the run, None now"):
        open_run(tmp_path, judge(Capabilities(grammar="gbnf"), grammar=False), resume=True)
    open_run(tmp_path, judge(Capabilities(grammar="gbnf")), resume=True).close()


async def test_a_session_says_by_which_meta_rm_its_judgments_are_rated(tmp_path):
    engine = ScriptedEngine(lambda r, j: "\\boxed{7}")
    engine.notes = ("the server rounds",)
    meta = LLMMeta(engine, temperature=0.25)
    made = GRMJudge(ScriptedEngine(lambda r, j: judgment_text([3, 8])), judge_settings(k=2), meta=meta)
    with opened_run(tmp_path, made, resume=False) as store:
        ((_, facts),) = store.sessions()
        assert facts["meta"]["id"] == meta.model_id
        assert facts["meta"]["temperature"] == 0.25
        (texts,) = store.meta_prompts().values()
        assert list(texts) == [SHIPPED.name, "_given.jinja"]
        assert texts[SHIPPED.name] == SHIPPED.read_text("utf-8")
        assert store.notes() == []
    with contextlib.closing(RunStore.open(tmp_path)) as store:
        assert store.notes() == [f"meta RM {meta.model_id}: the server rounds"]


def test_notes_of_all_sessions_are_kept_once(tmp_path):
    store = open_run(tmp_path, judge(), resume=False)
    store.keep_notes(["one", "two"])
    store.keep_notes(["two", "three"])
    assert store.notes() == ["one", "two", "three"]
    store.close()


def noted(directory):
    with contextlib.closing(RunStore.open(directory)) as store:
        return store.notes()


@pytest.mark.parametrize("error", [EngineError("gone"), KeyboardInterrupt(), GeneratorExit()])
def test_what_the_engine_noted_is_kept_whatever_ends_the_session(tmp_path, error):
    told = judge()
    with pytest.raises(type(error)), opened_run(tmp_path, told, resume=False):
        told.engine.notes = ("the server ignores seeds",)
        raise error
    assert noted(tmp_path) == ["the server ignores seeds"]


def test_what_the_engine_noted_is_kept_of_verdicts_that_are_not_all_taken(tmp_path):
    engine = ScriptedEngine(lambda r, j: judgment_text([3, 8]))
    with GRM(engine, k=2) as model:
        verdicts = model.judge_many(ROWS, out=tmp_path / "run")
        next(verdicts)
        engine.notes = ("the server ignores seeds",)
        verdicts.close()
    assert noted(tmp_path / "run") == ["the server ignores seeds"]


def test_a_run_that_can_keep_no_notes_tells_what_ended_the_session(tmp_path):
    with pytest.raises(EngineError, match="gone"), opened_run(tmp_path, judge(), resume=False) as store:
        store._db.execute("DROP TABLE meta")
        raise EngineError("gone")


def test_a_run_of_another_format_is_refused_with_what_to_do(tmp_path):
    store = open_run(tmp_path, judge(), resume=False)
    store.set_meta("format", "1")
    store.close()
    for write in (False, True):
        with pytest.raises(
            RunError, match=r"written in format 1, and this version of spct reads format 3: read it with"
        ):
            RunStore.open(tmp_path, write=write)


def test_links_in_a_run_directory_are_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").symlink_to(precious)
    with pytest.raises(RunError, match="lock"):
        open_run(tmp_path / "run", judge(), resume=False)
    (tmp_path / "run" / "lock").unlink()
    (tmp_path / "run" / "settings.json").symlink_to(precious)
    (tmp_path / "run" / ".settings.json.partial").symlink_to(precious)
    open_run(tmp_path / "run", judge(), resume=False).close()
    assert precious.read_text() == "keep me"
    assert not (tmp_path / "run" / "settings.json").is_symlink()
    assert stat.S_IMODE((tmp_path / "run" / "settings.json").stat().st_mode) == 0o644


def test_a_closed_run_on_a_disk_that_cannot_be_written_is_read(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(run)], capture_output=True, check=False).returncode == 0
    )
    if not mounted:
        pytest.skip("mounting a file system needs root")
    try:
        open_run(run, judge(), resume=False).close()
        subprocess.run(["mount", "-o", "remount,ro", str(run)], check=True)
        assert not os.access(run, os.W_OK)
        store = RunStore.open(run)
        assert orjson.loads(store.meta("settings"))["k"] == 2
        store.close()
        with pytest.raises(RunError, match="Read-only file system"):
            RunStore.open(run, write=True)
    finally:
        subprocess.run(["umount", str(run)], check=True)


def test_from_python_a_run_is_kept_and_gone_on_with(tmp_path):
    def script(request, j):
        return judgment_text([3, 8])

    with GRM(ScriptedEngine(script), k=2) as model:
        first = list(model.judge_many(ROWS[:3], out=tmp_path / "run"))
    engine = ScriptedEngine(script)
    with GRM(engine, k=2) as model:
        with pytest.raises(RunError, match="already holds a run"):
            list(model.judge_many(ROWS, out=tmp_path / "run"))
        verdicts = list(model.judge_many(ROWS, out=str(tmp_path / "run"), resume=True))
        assert len(engine.requests) == 4
    assert [verdict.as_row() for verdict in verdicts[:3]] == [verdict.as_row() for verdict in first]
    store = RunStore.open(tmp_path / "run")
    assert [row for _, row in store.verdict_rows()] == [verdict.as_row() for verdict in verdicts]
    store.close()


def test_from_python_stopping_early_keeps_what_was_judged(tmp_path):
    with GRM(ScriptedEngine(lambda r, j: judgment_text([3, 8])), k=1, in_flight=1) as model:
        verdicts = model.judge_many(ROWS, out=tmp_path)
        first = next(verdicts)
        verdicts.close()
    store = RunStore.open(tmp_path, write=True)
    assert next(store.verdict_rows()) == (0, first.as_row())
    store.close()


async def test_from_an_event_loop_too(tmp_path):
    model = GRM(ScriptedEngine(lambda r, j: judgment_text([3, 8])), k=1)
    verdicts = [verdict async for verdict in model.ajudge_many(ROWS, out=tmp_path)]
    await model.aclose()
    store = RunStore.open(tmp_path)
    assert [row["id"] for _, row in store.verdict_rows()] == [verdict.id for verdict in verdicts]
    store.close()


async def test_a_resume_with_more_retries_fills_the_votes_that_lack_judgments(tmp_path):
    """The first attempt of every second judgment is unreadable; a run of one attempt each keeps half of them."""

    item = parse_item({"id": "q", "prompt": "q", "responses": ["a", "b"]}, where="row")
    firsts = {sample_seed(seed_base(0, fingerprint(item)), row, 0, j) for row in range(2) for j in range(2)}
    spoilt = sorted(firsts)[::2]

    def half(request, j):
        return "no box" if request.seed + j in spoilt else judgment_text([3, 8])

    async def run(retries, resume):
        engine = ScriptedEngine(half)
        made = GRMJudge(engine, judge_settings(k=4, retries=retries))
        with opened_run(tmp_path, made, resume=resume) as store:
            (outcome,) = [found async for found in judge_items(made, [item], in_flight=1, store=store)]
        return outcome.verdict, engine.requests

    short, _ = await run(0, resume=False)
    lacking = short_of(short)
    assert lacking == {"no_box": 2}
    filled, requests = await run(1, resume=True)
    assert short_of(filled) == {}
    assert sum(request.n for request in requests) == lacking.total()
    with pytest.raises(ResumeRefusedError, match="retries: 1 in the run, 0 now"):
        await run(0, resume=True)


def behind(base_url, **options):
    """A judge that nothing is asked of."""
    return GRMJudge(load_engine("openai:m", base_url=base_url, **options), judge_settings(k=2))


def test_a_run_goes_on_with_other_servers_and_not_with_other_fields_of_the_request(tmp_path):
    first = behind("http://127.0.0.1:1/v1", params={"top_k": 20}, headers={"x-key": "k-verysecret"})
    open_run(tmp_path, first, resume=False).close()
    elsewhere = behind("http://127.0.0.1:2/v1,http://127.0.0.1:3/v1", params={"top_k": 20})
    open_run(tmp_path, elsewhere, resume=True).close()
    with pytest.raises(ResumeRefusedError, match=r"params: .*top_k.*20.* in the run, .*seed.*null.* now"):
        open_run(tmp_path, behind("http://127.0.0.1:2/v1", params={"seed": None}), resume=True)
    with pytest.raises(ResumeRefusedError, match=r"params: .*top_k.*20.* in the run, None now"):
        open_run(tmp_path, behind("http://127.0.0.1:2/v1"), resume=True)
    assert not any(b"verysecret" in path.read_bytes() for path in tmp_path.iterdir())


def test_a_jury_goes_on_with_the_same_fields_of_each_request_and_says_whose_differ(tmp_path):
    def jury(params, seed=0):
        other = GRMJudge(load_engine("openai:n", base_url="http://127.0.0.1:1/v1"), judge_settings(k=2, seed=seed))
        return JuryJudge([Member("first", behind("http://127.0.0.1:1/v1", params=params)), Member("other", other)])

    open_run(tmp_path, jury({"top_k": 20}), resume=False).close()
    open_run(tmp_path, jury({"top_k": 20}), resume=True).close()
    with pytest.raises(ResumeRefusedError, match=r"\n  jurors\.first\.params: .*20.* in the run, .*40.* now\n"):
        open_run(tmp_path, jury({"top_k": 40}), resume=True)
    with pytest.raises(ResumeRefusedError, match=r"\n  jurors\.first\.params: .*20.* in the run, None now\n"):
        open_run(tmp_path, jury(None), resume=True)
    with pytest.raises(ResumeRefusedError, match=r":\n  jurors\.other\.seed: 0 in the run, 1 now\nresume"):
        open_run(tmp_path, jury({"top_k": 20}, seed=1), resume=True)
