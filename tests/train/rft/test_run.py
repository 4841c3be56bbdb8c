"""``spct train rft-data`` with a scripted engine: what is asked, what is kept, what is counted, and going on after a kill."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter

import orjson
import pytest
from click.testing import CliRunner

from spct.cli import spct
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError
from spct.items import parse_item
from spct.judges.settings import JudgeSettings
from spct.train.common.trajectories import trajectory_row
from spct.train.rft.run import Sampling, check_trainable
from spct.types import Item, Message
from train import small

ENGINE = """
import asyncio, os, re
from random import Random
from spct.engines.scripted import judgment_text

left = int(os.environ.get("ANSWERS", "1000"))

async def judge(request, j):
    global left
    left -= 1
    if left < 0:
        print("no more", flush=True)
        await asyncio.sleep(300)
    await asyncio.sleep(DELAY)
    text = request.messages[-1].content
    random = Random(request.seed + j)
    n = len(re.findall(r"\\[Begin response \\d+ ", text))
    told = re.search(r"the best response is: response (\\d+)", text)
    label = re.search(r"the correct score is: (\\d)", text)
    if "easy" in text and not told:
        place = re.findall(r"\\[Begin response (\\d+) [^]]*\\]\\ngood", text)
        return judgment_text([9 if str(i + 1) in place else 2 for i in range(n)])
    if n == 1:
        return judgment_text([int(label[1]) if label else random.randint(0, 1)])
    if random.random() < 0.2:
        return "no box"
    scores = [random.randint(1, 8) for _ in range(n)]
    if told and random.random() < 0.8:
        scores[int(told[1]) - 1] = 10
    said = "As the hint says." if told and random.random() < 0.6 else "Principles."
    return judgment_text(scores, said)
"""


def rows(count=40):
    made = []
    for i in range(count):
        kind, source = ("easy" if i % 5 == 0 else "hard"), f"s{i % 2}"
        if i % 4 == 3:
            row = {"prompt": f"hard {i}", "responses": ["good"], "label": i % 8 // 4}
        else:
            responses = ["good"] + [f"bad {k}" for k in range(1 + i % 3)]
            row = {"prompt": f"{kind} {i}", "responses": responses[::-1], "best": len(responses) - 1}
        made.append({"id": f"i{i}", "source": source, **row})
    return made


def prepared(path, delay=0.0, given=None):
    (path / "engine.py").write_text(ENGINE.replace("DELAY", str(delay)))
    small.jsonl(path / "items.jsonl", rows() if given is None else given)
    return ["train", "rft-data", str(path / "items.jsonl"), "--model", f"scripted:{path / 'engine.py'}:judge"]


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_kept_is_what_the_rules_keep_and_every_judgment_is_counted(tmp_path):
    done = CliRunner().invoke(spct, [*prepared(tmp_path), "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    kept = read(tmp_path / "out" / "trajectories.jsonl")
    items = {row["id"]: parse_item(row, where="") for row in rows()}
    for row in kept:
        item, scores = items[row["item"]], row["scores"]
        rivals = [score for i, score in enumerate(scores) if i != item.best]
        assert scores == [item.rewards_N[0]] if item.best is None else scores[item.best] > max(rivals)
        shown = re.search(r"\\boxed\{(.*)\}", row["completion"])[1]
        assert [scores[i] for i in row["order"]] == [int(score) for score in shown.split(", ")]
    plain = Counter(row["item"] for row in kept if not row["hinted"])
    assert set(plain.values()) <= {1, 2}  # three of three are too easy
    assert not any("easy" in items[id].messages[0].content for id in plain)
    for source in ("s0", "s1"):
        counts = report["sources"][source]
        own = [row for row in kept if row["source"] == source]
        assert counts["items"] == 20
        assert sum(counts["plain"].values()) == 60
        assert sum(counts["hinted"].values()) == 20
        assert counts["plain"]["kept"] == sum(not row["hinted"] for row in own)
        assert counts["hinted"]["kept"] == sum(row["hinted"] for row in own)
        assert 0 < counts["hint_mentioned"] == sum("the hint" in row["completion"] for row in own)
        assert counts["plain"]["too_easy"] == 3 * counts["too_easy_items"] > 0
        assert min(counts["plain"][fate] for fate in ("kept", "wrong", "tied", "invalid")) > 0
    assert report["trajectories"] == len(kept) == len({row["id"] for row in kept})
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert sorted(manifest["outputs"]) == ["report.json", "report.md", "trajectories.jsonl"]
    assert [len(digest) for digest in manifest["inputs"].values()] == [64]


def test_without_rejection_the_same_judgments_are_sampled_and_the_wrong_ones_learned_too(tmp_path):
    command = prepared(tmp_path)
    reports = {}
    for keep, flag in (("correct", "--rejection"), ("all", "--no-rejection")):
        done = CliRunner().invoke(spct, [*command, flag, "--out", str(tmp_path / keep), "--json"])
        assert done.exit_code == 0, done.output
        reports[keep] = json.loads(done.stdout)
    assert reports["all"]["sources"] != {} and reports["all"]["rejection"] is False
    of_kept = ("repeated", "hint_mentioned")
    counted = [{k: v for k, v in row.items() if k not in of_kept} for row in reports["all"]["sources"].values()]
    before = [{k: v for k, v in row.items() if k not in of_kept} for row in reports["correct"]["sources"].values()]
    assert counted == before
    fates = sum((Counter(row[part]) for row in counted for part in ("plain", "hinted")), Counter())
    assert reports["all"]["trajectories"] == fates.total() - fates["invalid"] > reports["correct"]["trajectories"]
    learned = {row["id"]: row for row in read(tmp_path / "all" / "trajectories.jsonl")}
    assert all(learned[row["id"]] == row for row in read(tmp_path / "correct" / "trajectories.jsonl"))
    assert "Nothing is rejected" in (tmp_path / "all" / "report.md").read_text()


def test_no_training_prompt_has_a_hint(tmp_path):
    done = CliRunner().invoke(spct, [*prepared(tmp_path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    kept = read(tmp_path / "out" / "trajectories.jsonl")
    assert sum(row["hinted"] for row in kept) > 10
    text = "".join(turn["content"] for row in kept for turn in row["messages"])
    assert "Hint:" not in text and "the best response is" not in text


async def test_the_sampling_prompt_is_the_training_prompt_and_the_hint():
    engine = ScriptedEngine(lambda request, j: judgment_text([9, 1]))
    item = Item("i", (Message("user", "which?"),), ("good", "bad"), best=0)
    sampling = Sampling(JudgeSettings(k=1))
    told, plain = sampling.hinted_judge(engine, JudgeSettings(k=1)), sampling.judge(engine)
    (judgment,) = (await told.judge(item)).judgments
    (sent,) = engine.requests
    row = trajectory_row(item, judgment, plain.template_of(item), hinted=True, model="m", special_tokens=())
    (learned,) = row["messages"]
    place = judgment.order.index(0) + 1
    assert sent.messages[-1].content == learned["content"] + f"\n\nHint: the best response is: response {place}"


def test_killed_again_and_again_it_ends_where_an_uninterrupted_one_does(tmp_path):
    """Each of four sessions answers so many times, and hangs until it is killed."""
    command = prepared(tmp_path, delay=0.01)
    whole = CliRunner().invoke(spct, [*command, "--out", str(tmp_path / "whole")])
    assert whole.exit_code == 0, whole.output
    cut = [
        sys.executable,
        "-c",
        "from spct.cli import main; main()",
        *command,
        "--out",
        str(tmp_path / "cut"),
        "--resume",
    ]
    for answers in (20, 45, 33, 60):
        env = os.environ | {"ANSWERS": str(answers)}
        process = subprocess.Popen(
            [*cut, "--concurrency", "2"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        assert process.stdout.readline() == b"no more\n"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    subprocess.run(cut, check=True, capture_output=True)
    for name in ("trajectories.jsonl", "report.json", "report.md"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_nothing_kept_is_one_error_after_the_report(tmp_path):
    command = prepared(tmp_path, given=[{"prompt": "easy", "responses": ["good", "bad"], "best": 0}])
    command += ["--out", str(tmp_path / "out"), "--no-hinted"]
    done = subprocess.run(
        [sys.executable, "-c", "from spct.cli import main; main()", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith(
        "spct: TrainingError: no judgment was kept, so there is nothing to learn from: 3 too easy;"
    )
    assert "| items | 1 | 1 | 0 | 3 | 0 | 0 | 0 | 0 | 0 | 3 |" in (tmp_path / "out" / "report.md").read_text()
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "a", "responses": ["b", "c"]}, "no single best"),
        ({"prompt": "a", "responses": ["b"]}, "one response and no label"),
        ({"prompt": "a", "responses": ["b"], "rewards": [0.5]}, "one response and the label 0.5"),
        ({"prompt": "a", "responses": ["b", "c"], "best": 0, "strength": 9}, "expected 1, 2 or 3"),
    ],
)
def test_an_item_that_no_judgment_could_be_right_about_stops_or_is_counted(tmp_path, row, said):
    item = parse_item(row, where="here")
    judge = Sampling(JudgeSettings(k=3)).judge(ScriptedEngine(lambda request, j: ""))
    with pytest.raises(InputError, match=said):
        check_trainable(item, judge, hinted=True)
    good = {"prompt": "hard", "responses": ["good", "bad"], "best": 0}
    command = [*prepared(tmp_path, given=[row, good]), "--out", str(tmp_path / "out"), "--n-rft", "8", "--json"]
    assert isinstance(CliRunner().invoke(spct, command).exception, InputError)
    done = CliRunner().invoke(spct, [*command, "--skip-bad"])
    assert orjson.loads(done.stdout)["sources"]["items"]["items"] == 1
    assert "1 row left out; the first: " in done.stderr


def test_changed_settings_are_not_mixed_into_what_is_there(tmp_path):
    command = [*prepared(tmp_path), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(spct, command).exit_code == 0
    again = CliRunner().invoke(spct, command).exception
    assert "already holds a run; add --resume" in str(again)
    other = CliRunner().invoke(spct, [*command, "--resume", "--temperature", "1.0"]).exception
    assert "temperature: 0.5 in the run, 1.0 now" in str(other)
