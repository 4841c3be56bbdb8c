"""Batches on a Ray of this machine: equal to one process, whoever dies on the way."""

import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from spct.cli.bench import bench
from spct.cli.judge import judge
from spct.cli.meta import meta
from spct.cli.train.rft import rft_data
from spct.cli.vote import vote
from spct.cluster.dataset import judge_dataset
from spct.run.runner import WINDOW

SCRIPT = """
import logging
import os
from pathlib import Path
from spct.engines.engine import Capabilities
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import EngineAuthError, EngineError
from spct.judges.grm import GRMJudge

HERE = Path(__file__).parent

def judge(request, j):
    text, seed = request.messages[-1].content, request.seed + j
    with (HERE / "asked").open("a") as asked:
        asked.write(f"{seed}\\n")
    if "poison" in text and not (HERE / "harmless").exists():
        os._exit(1)
    if "locked" in text and (HERE / "lock").exists():
        raise EngineAuthError("the key is refused")
    if "gone" in text and not (HERE / "harmless").exists():
        raise EngineError("the server is gone")
    return "no box" if seed % 9 == 0 else judgment_text([1 + seed % 10, 1 + seed // 10 % 10])

def own(name, *, requests_per_minute=None):
    engine = ScriptedEngine(judge, capabilities=Capabilities(seeding="sample", seed_alone=False))
    engine.notes = (f"{requests_per_minute} requests a minute, logged from {logging.getLogger('spct').level}",)
    return engine

class Noting(GRMJudge):
    def check(self, item):
        with (HERE / "checked").open("a") as checked:
            checked.write(f"{item.id}\\n")
        super().check(item)

def rate(request, j):
    text = " ".join(message.content for message in request.messages)
    if "locked" in text and (HERE / "lock").exists():
        raise EngineAuthError("the key is refused")
    if "locked" in text and (HERE / "down").exists():
        raise EngineError("the server is gone")
    if "poison" in text and (HERE / "poisoned").exists():
        os._exit(1)
    return judgment_text([1 + sum(text.encode()) % 10])
"""


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",
        num_cpus=2,
        _node_ip_address="127.0.0.1",
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=80 * 2**20,
    )
    yield ray
    ray.shutdown()


@pytest.fixture
def folder(tmp_path):
    """Where a test works; what its actors leave on this disk for a next start goes with it."""
    (tmp_path / "script.py").write_text(SCRIPT)
    yield tmp_path
    for made in tmp_path.rglob("cut.json"):
        batch = orjson.loads(made.read_bytes())["id"]
        shutil.rmtree(Path(tempfile.gettempdir()) / f"spct-ray-{batch}", ignore_errors=True)


def write_items(path, count, repeats=False, **texts):
    """So many items, with ``repeats`` every seventh one that before it again; ``texts`` are those of items, as ``at_9``."""
    numbers = [n - n % 7 // 6 if repeats else n for n in range(count)]
    rows = [{"prompt": texts.get(f"at_{n}", f"question {n}"), "responses": ["a", "b"]} for n in numbers]
    path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return path


def run(folder, items, out, *more, model="scripted:{}:judge"):
    options = ["--model", model.format(folder / "script.py"), "-k", "3", "--out", str(folder / out)]
    return CliRunner().invoke(judge, [str(items), *options, *more], standalone_mode=False)


def rows_of(
    run, query="SELECT position, id, i.row, v.row FROM items i LEFT JOIN verdicts v USING (position) ORDER BY 1"
):
    with sqlite3.connect(run / "run.sqlite") as db:
        return db.execute(query).fetchall()


JUDGMENTS = "SELECT position, idx, attempt, shown, seed, text, scores FROM judgments ORDER BY 1, 2, 3"


def test_a_batch_is_the_run_of_one_process(cluster, folder):
    items = write_items(folder / "items.jsonl", 45, repeats=True)
    data = items.read_bytes().split(b"\n")
    (folder / "many").mkdir()
    (folder / "many" / "1.jsonl").write_bytes(b"\n".join(data[:20]))
    (folder / "many" / "2.jsonl").write_bytes(b"\n".join(data[20:]))
    assert run(folder, items, "whole").return_value == 0
    batch = ["--ray", "--shard-items", "10", "--actors", "2"]
    done = run(folder, folder / "many", "out", *batch)
    assert (done.return_value, "5/5 shards home" in done.stderr) == (0, True), done.output
    assert rows_of(folder / "out") == rows_of(folder / "whole")
    assert rows_of(folder / "out", JUDGMENTS) == rows_of(folder / "whole", JUDGMENTS)
    votes = [CliRunner().invoke(vote, [str(folder / name), "-k", "2", "--json"]).stdout for name in ("out", "whole")]
    assert votes[0] == votes[1] != ""
    arrow = pytest.importorskip("pyarrow.parquet")
    kept = [orjson.loads(row) for *_, row in rows_of(folder / "whole")]
    assert arrow.read_table(folder / "out" / "verdicts").column("means").to_pylist() == [row["means"] for row in kept]

    asked = (folder / "asked").read_text()
    again = run(folder, folder / "many", "out", *batch, "--resume", "--actors", "1")
    assert (again.return_value, (folder / "asked").read_text()) == (0, asked)


def test_options_reach_the_actors_and_their_notes_the_user(cluster, folder, quiet_after):
    items = write_items(folder / "items.jsonl", 14)
    more = [
        "--judge",
        f"{folder / 'script.py'}:Noting",
        "--limit",
        "12",
        "--requests-per-minute",
        "60",
        "--price-out",
        "1000000",
        "--log-level",
        "error",
    ]
    done = run(folder, items, "out", *more, "--ray", "--actors", "2", "--shard-items", "6", model="{}:own:x")
    assert done.return_value == 0, done.output
    said = done.stderr.splitlines()
    assert said.count("note: 30.0 requests a minute, logged from 40") == 1
    depends = (
        "note: that a sample of scripted:scripted depends on its seed alone was found not to hold: one process may"
    )
    assert [line.startswith(depends) for line in said if "seed alone" in line] == [True]
    assert [line.split()[0] for line in done.stdout.splitlines() if "$" in line or "cost" in line] == ["cost"]

    checked = (folder / "checked").read_text().splitlines()
    assert (len(checked), len(set(checked)), len(rows_of(folder / "out"))) == (14, 14, 12)  # the input was read once


def test_input_that_is_refused_starts_and_leaves_nothing(folder):
    pytest.importorskip("pyarrow")
    items = write_items(folder / "items.jsonl", 3)
    items.write_bytes(items.read_bytes() + b"\nno item")
    batch = ["--ray", "--shard-items", "2"]
    assert "items.jsonl, line 4: " in str(run(folder, items, "out", *batch).exception)
    assert list((folder / "out").iterdir()) == []
    both = run(folder, items, "out", *batch, "--limit", "1", "--sample", "1")
    assert "got --limit and --sample" in str(both.exception)


def test_items_that_kill_are_set_aside_and_a_shard_that_fails_everywhere_is_named(cluster, folder):
    items = write_items(folder / "items.jsonl", 36, at_3="poison 1", at_9="poison 2", at_15="gone")
    done = run(folder, items, "out", "--ray", "--shard-items", "12", "--actors", "1")
    assert (done.return_value, "set aside: 2 items" in done.stderr) == (1, True), done.output
    assert "undone: shard 1: the server is gone" in done.stderr
    (folder / "harmless").touch()
    run(folder, items, "whole")
    found, whole = rows_of(folder / "out"), rows_of(folder / "whole")
    undone, killers = range(12, 24), (3, 9)
    assert [row for row in found if row[0] not in killers] == [
        row for row in whole if row[0] not in (*undone, *killers)
    ]
    verdicts = [orjson.loads(row) for position, _, _, row in found if position in killers]
    assert [(row["best"], row["error"]["type"]) for row in verdicts] == [(None, "ActorDied")] * 2
    assert verdicts[0]["error"]["message"].startswith(
        "an actor died while it judged this item beside others, and another"
    )


def test_what_ends_a_batch_leaves_what_was_done_for_the_next_start(cluster, folder):
    items = write_items(folder / "items.jsonl", 30, at_25="locked")
    (folder / "lock").touch()
    batch = ["--ray", "--shard-items", "10", "--actors", "1", "--concurrency", "2"]
    ended = run(folder, items, "out", *batch)
    assert "the key is refused" in str(ended.exception)
    (folder / "lock").unlink()
    assert run(folder, items, "out", *batch, "--resume").return_value == 0
    asked = Counter((folder / "asked").read_text().split("\n")[:-1])
    # What was in flight, or judged and not yet committed: at most a window of items, three samples each.
    assert sum(asked.values()) - len(asked) <= WINDOW * 2 * 3 < len(asked) / 3
    run(folder, items, "whole")
    assert rows_of(folder / "out") == rows_of(folder / "whole")


def test_a_benchmark_and_training_data_are_those_of_one_process(cluster, folder):
    pytest.importorskip("numpy")
    items = write_items(folder / "items.jsonl", 16)
    items.write_bytes(
        b"\n".join(orjson.dumps({**orjson.loads(row), "best": 0}) for row in items.read_bytes().split(b"\n"))
    )
    model = ["--model", f"scripted:{folder / 'script.py'}:judge"]
    for name, more in (("out", ["--ray", "--actors", "1"]), ("whole", [])):
        benched = [
            "items",
            "--data",
            str(items),
            *model,
            "-k",
            "2",
            "--no-plots",
            "--out",
            str(folder / f"bench-{name}"),
            *more,
        ]
        CliRunner().invoke(bench, benched, catch_exceptions=False)
        sampled = [str(items), *model, "--no-hinted", "--out", str(folder / f"rft-{name}"), *more]
        CliRunner().invoke(rft_data, sampled, catch_exceptions=False)
    assert rows_of(folder / "bench-out") == rows_of(folder / "bench-whole")
    assert rows_of(folder / "bench-out", JUDGMENTS) == rows_of(folder / "bench-whole", JUDGMENTS)
    for file in ("trajectories.jsonl", "report.json", "manifest.json"):
        assert (folder / "rft-out" / file).read_bytes() == (folder / "rft-whole" / file).read_bytes() != b""


def test_adaptive_k_learns_from_the_first_shard_alone(cluster, folder):
    items = write_items(folder / "items.jsonl", 80)
    adaptive = ("-k", "6", "--adaptive", "0.8")
    assert run(folder, items, "out", *adaptive, "--ray", "--shard-items", "40", "--actors", "1").return_value == 0
    run(folder, items, "whole", *adaptive)
    assert rows_of(folder / "out", JUDGMENTS) == rows_of(folder / "whole", JUDGMENTS)
    assert rows_of(folder / "out") == rows_of(folder / "whole")
    small = run(folder, items, "small", *adaptive, "--ray", "--shard-items", "20")
    assert "make --shard-items that many or more" in str(small.exception)


def test_a_dataset_is_judged_as_by_one_process(cluster, folder):
    items = write_items(folder / "items.jsonl", 40)
    rows = [orjson.loads(line) for line in items.read_bytes().split(b"\n")]
    engine = f"scripted:{folder / 'script.py'}:judge"
    given = cluster.data.from_items([{**row, "id": f"q{n}"} for n, row in enumerate(rows)])
    found = {row["id"]: row for row in judge_dataset(given, engine, k=3, batch_size=16).take_all()}
    run(folder, items, "whole")
    whole = {f"q{place}": orjson.loads(row) for place, _, _, row in rows_of(folder / "whole")}
    for name in ("means", "totals", "spread", "valid", "invalid", "tied", "confidence"):
        assert {id: row[f"verdict_{name}"] for id, row in found.items()} == {id: row[name] for id, row in whole.items()}
    assert {row["verdict_id"] for row in found.values()} == set(found)


RATINGS = "SELECT * FROM ratings ORDER BY 1, 2, 3, 4"


def rate(folder, run, *more):
    options = ["--meta", f"llm:scripted:{folder / 'script.py'}:rate"]
    done = CliRunner().invoke(meta, [str(folder / run), *options, *more], standalone_mode=False)
    return done.return_value, done.stdout, done.stderr, str(done.exception)


@pytest.fixture
def judged(folder):
    """A run of 40 items, one of which holds the word poison and one the word locked, and a copy of it, neither of them rated."""
    items = write_items(folder / "items.jsonl", 40, at_9="poison", at_20="locked")
    (folder / "harmless").touch()
    run(folder, items, "whole")
    shutil.copytree(folder / "whole", folder / "out")
    return folder


def test_a_run_is_rated_as_by_one_process(cluster, judged):
    code, told, _, _ = rate(judged, "whole")
    on_ray = rate(judged, "out", "--ray", "--actors", "2")
    assert (code, on_ray[:2]) == (0, (0, told))
    assert rows_of(judged / "out", RATINGS) == rows_of(judged / "whole", RATINGS) != []


def test_judgments_over_which_actors_die_are_not_rated_and_all_others_are(cluster, judged):
    (judged / "poisoned").touch()
    code, told, said, _ = rate(judged, "out", "--ray", "--actors", "1")
    assert (code, said.count("an actor died: ")) == (1, 5)
    assert "3 could not be rated" in told and "actors died while they rated this judgment" in told
    (judged / "poisoned").unlink()
    assert "3 new" in rate(judged, "out", "--retry")[1]
    rate(judged, "whole")
    assert rows_of(judged / "out", RATINGS) == rows_of(judged / "whole", RATINGS)


def test_what_ends_the_rating_leaves_what_was_rated(cluster, judged):
    (judged / "lock").touch()
    assert rate(judged, "out", "--ray", "--actors", "1")[3] == "the key is refused"
    (judged / "lock").unlink()
    (judged / "down").touch()
    ended = rate(judged, "out", "--ray", "--actors", "1")[3]
    assert ended.endswith("the last error: the server is gone")
    kept = rows_of(judged / "out", RATINGS)
    (judged / "down").unlink()
    code, told, _, _ = rate(judged, "out", "--ray", "--actors", "1")
    assert (code, f"{len(kept)} from before" in told, len(kept) > 0) == (0, True, True)
    rate(judged, "whole")
    assert rows_of(judged / "out", RATINGS) == rows_of(judged / "whole", RATINGS)
