import os
import re
import signal
import subprocess
import sys
import time

import orjson
import pytest
from click.testing import CliRunner

from spct.cli.show import show
from spct.engines.engine import Sample
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError, RunError
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import judge_items, open_run
from spct.types import Item, Message

ITEMS = [
    Item(
        "prime",
        (Message("system", "Be brief."), Message("user", "Name a prime\nabove 10.")),
        ("11", "12\x1b[2J"),
        best=0,
        reference="Any of 11, 13, ...",
    ),
    Item("evil\x1b[1A", (Message("user", "x"),), ("a", "b", "c"), principles="Brevity"),
    Item("label", (Message("user", "x"),), ("a",), rewards_N=(1.0,)),
]


def by_item(request, j):
    prompt = request.messages[-1].content
    if "Name a prime" in prompt:
        shown_first = prompt.index("\n11\n") < prompt.index("\n12")
        scores = [9, 2] if shown_first else [2, 9]
        return Sample(judgment_text(scores, ["one", "two"]), "stop", 0, reasoning="hm " * 200, completion_tokens=40)
    if prompt.count("[Begin response") == 3:
        return Sample("never\x1b[2J ends", "length", 0, completion_tokens=7)
    return "\\boxed{1}"


async def make_run(directory, items=ITEMS, script=by_item, **settings):
    settings = {"k": 2, "retries": 0, **settings}
    engine = ScriptedEngine(script)
    judge = GRMJudge(engine, judge_settings(**settings))
    store = open_run(directory, judge, resume=False)
    outcomes = [outcome async for outcome in judge_items(judge, items, in_flight=2, store=store)]
    store.close()
    return outcomes


def shown(*arguments):
    result = CliRunner().invoke(show, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert result.return_value == 0
    return result.stdout


async def test_a_run(tmp_path):
    await make_run(tmp_path, ITEMS[:2], temperature=0)
    text = shown(tmp_path).splitlines()
    assert text[:4] == [
        f"run {tmp_path}",
        "  model     scripted:scripted",
        "  judging   k 2, seed 0, template grm, principles self, ordering balanced, rule sum, tie_rule random",
        "  sampling  temperature 0, top_p 1.0, max_tokens 1024, retries 0, top_logprobs 0",
    ]
    assert text[4].startswith("  templates grm ")
    body = text[text.index("") + 1 :]
    assert body == [
        "item                   best  mean ± spread, best first               conf   valid/k  notes",
        body[1],
        "evil\\x1b[1A            -     no verdict: NoValidJudgment             -      0/2      2 invalid",
        "",
        "items       2 items, 1 verdict, 1 without one (NoValidJudgment 1)",
        body[5],
        "judgments   4, 2 of them invalid (50.0%): truncated 2",
        "vote        sum of scores over k = 2",
        "ties        none for first place",
        "truth       ✓ 1 correct, ✗ 0 wrong, = 0 tied, - 0 invalid, of 1 item with a known best or label",
        "            100.0% correct (strict: a tie counts as wrong, and so does no verdict)",
        "            100.0% if a tie earns 1/#tied (what breaking ties at random scores)",
        "            mean reciprocal rank 1.000",
        "not graded  1 item: nothing says which response is right",
        body[14],
    ]
    assert body[1].startswith("prime                ✓ A     A: 9.00±0.0  B: 2.00±0.0 ")
    assert body[5].startswith(
        "            evil\\x1b[1A: none of the 2 judgments validly scores all responses (truncated 2)"
    )
    assert body[14].endswith(" out, 4 requests")


async def test_an_item_in_full(tmp_path):
    (outcome, *_) = await make_run(tmp_path, ITEMS[:1])
    first, second = outcome.verdict.judgments
    confidence = f"{outcome.verdict.confidence:.2f}"

    def judgment(j, index):
        return [
            "",
            f"judgment {index}  seed {j.seed}, 40 tokens, ended by itself, answered",
            f"  shown as  Response 1 = {'AB'[j.order[0]]}, Response 2 = {'AB'[j.order[1]]}",
            "  scores    A: 9, B: 2",
            "  reasoning, the first 300 of 600 characters (all with --reasoning)",
            "    " + ("hm " * 100).rstrip() + " …",
            "  principles",
            "    1. Correctness (Weight: 60%)",
            "    2. Clarity (Weight: 40%)",
            "  critique",
            *[f"    {'- ' if bullet else ''}Response {number}: {word}" for bullet, number, word in critique],
        ]

    lines = [re.sub("answered .*", "answered", part) for part in shown(tmp_path, "prime", "--full").splitlines()]
    bulleted = next(part for part in lines if "Response 1: one" in part).strip().startswith("- ")
    critique = [(bulleted, 1, "one"), (True, 2, "two")]
    assert lines == [
        "item #0 prime  2 responses, A to B",
        "  system",
        "    Be brief.",
        "  user",
        "    Name a prime",
        "    above 10.",
        "  response A (known to be the best)",
        "    11",
        "  response B",
        "    12\\x1b[2J",
        "  reference answer",
        "    Any of 11, 13, ...",
        *judgment(first, 0),
        *judgment(second, 1),
        "",
        "vote",
        f"  prime: response A is best of 2, confidence {confidence}",
        "    rank  response  total  mean  spread  valid",
        "       1         A     18  9.00    0.00      2",
        "       2         B      4  2.00    0.00      2",
        "  sum of scores, 2 of k = 2 judgments valid",
        f"  confidence {confidence}: the estimated chance that response A would still lead if this judge went on "
        "sampling, not the chance that the judge is right",
        "  ✓ correct: the item says that response A is best",
    ]
    assert {first.order, second.order} == {(0, 1), (1, 0)}


async def test_a_filter_chooses_lines_and_not_sums(tmp_path):
    await make_run(tmp_path, ITEMS)
    ids = {
        kinds: [text.split()[0] for text in shown(tmp_path, *(part for k in kinds for part in ("--filter", k))).splitlines()
                if "/2 " in f"{text} " and text.startswith(("prime ", "evil", "label "))]
        for kinds in [(), ("correct",), ("none",), ("correct", "none"), ("invalid", "none"), ("flipped",)]
    }  # fmt: skip
    assert ids == {
        (): ["prime", "evil\\x1b[1A", "label"],
        ("correct",): ["prime"],
        ("none",): ["evil\\x1b[1A"],
        ("correct", "none"): ["prime", "evil\\x1b[1A"],
        ("invalid", "none"): ["evil\\x1b[1A"],
        ("flipped",): [],
    }
    assert "items       3 items" in shown(tmp_path, "--filter", "correct")
    with pytest.raises(InputError, match="got 'best'; expected some of correct, wrong"):
        shown(tmp_path, "--filter", "best")
    with pytest.raises(InputError, match="--filter chooses among the lines of a run"):
        shown(tmp_path, "prime", "--filter", "wrong")


async def test_invalid_judgments_with_reason_and_text(tmp_path):
    await make_run(tmp_path)
    text = shown(tmp_path, "evil\x1b[1A", "--judgments", 1)
    assert "  invalid   truncated: the completion was cut off" in text
    assert "  text\n    never\\x1b[2J ends\n" in text
    assert "7 tokens, cut off at the token limit" in text
    assert "principles given with the item\n    Brevity" in text
    assert "\nvote\n  evil\\x1b[1A: no verdict\n  NoValidJudgment: none of the 2" in text
    assert text.count("judgment 0") == 1 and "judgment 1" not in text
    assert "\x1b" not in text


async def test_only_invalid_ones(tmp_path):
    await make_run(
        tmp_path, script=lambda r, j: "no" if "Name" in r.messages[-1].content and r.seed % 2 else by_item(r, j)
    )
    assert "(none of its judgments is of the kind asked for)" in shown(tmp_path, "label", "--invalid")
    row = orjson.loads(shown(tmp_path, "1", "--invalid", "--json"))
    assert [judgment["problem"]["code"] for judgment in row["judgments"]] == ["truncated", "truncated"]


async def test_a_label(tmp_path):
    await make_run(tmp_path / "zero-to-one", ITEMS[2:], template="grm-single")
    text = shown(tmp_path / "zero-to-one", "label")
    assert text.startswith("item #0 label  1 response\n")
    assert text.endswith("  ✓ correct: the item's label is 1\n")
    await make_run(tmp_path / "one-to-ten", ITEMS[2:])
    text = shown(tmp_path / "one-to-ten", "label")
    assert text.endswith("\n  the item's label is 1\n")  # the lowest score of that scale is not the label 1


async def test_all_reasoning(tmp_path):
    await make_run(tmp_path, ITEMS[:1])
    assert "  reasoning\n    " + ("hm " * 200).rstrip() + "\n" in shown(tmp_path, "prime", "--reasoning")


async def test_json_lines_are_those_of_the_run(tmp_path):
    outcomes = await make_run(tmp_path)
    assert shown(tmp_path, "--json") == "".join(outcome.verdict.to_json() + "\n" for outcome in outcomes)


async def test_json_of_an_item(tmp_path):
    began = time.time()
    (outcome, *_) = await make_run(tmp_path)
    row = orjson.loads(shown(tmp_path, "prime", "--json"))
    answered = [judgment.pop("answered") for judgment in row["judgments"]]
    assert all(began <= at <= time.time() for at in answered) and answered == sorted(answered)
    assert all(0 <= judgment.pop("seconds") <= time.time() - began for judgment in row["judgments"])
    assert row["verdict"] == orjson.loads(outcome.verdict.to_json())
    assert (row["id"], row["position"], row["finished"]) == ("prime", 0, True)
    assert row["item"]["responses"] == ["11", "12\x1b[2J"]
    first = outcome.verdict.judgments[0]
    assert row["judgments"][0] | {"principles": "", "critique": ""} == {
        "index": 0,
        "attempt": 0,
        "block": 0,
        "order": list(first.order),
        "seed": first.seed,
        "finish_reason": "stop",
        "completion_tokens": 40,
        "scores": [9, 2],
        "expected": None,
        "unresolved": None,
        "no_expected": None,
        "problem": None,
        "principles": "",
        "critique": "",
        "text": first.text,
        "reasoning": "hm " * 200,
        "rating": None,
        "kept": None,
    }
    assert row["judgments"][0]["principles"] == "1. Correctness (Weight: 60%)\n2. Clarity (Weight: 40%)"


async def test_query_principles_are_shown(tmp_path):
    def script(request, j):
        if "[Begin response" in request.messages[-1].content:
            return judgment_text([3, 4])
        return "Specific Criteria:\n1. Magnitude (Weight: 100%)"

    item = Item("q", (Message("user", "x"),), ("a", "b"))
    await make_run(tmp_path, [item], script, principles="query")
    assert "  first step principles\n    1. Magnitude (Weight: 100%)\n" in shown(tmp_path, "q")


async def test_first_steps_are_shown_for_each_order_with_their_prompts(tmp_path):
    def script(request, j):
        if "#### Points to check" in request.messages[0].content:
            return "#### Points to check\n1. Look at AA"
        return judgment_text([3, 4])

    item = Item("q", (Message("user", "x"),), ("AA", "BB"))
    await make_run(tmp_path, [item], script, template="focus", k=2)
    text = shown(tmp_path, "q", "--prompt")
    assert text.count("  first step focus-points, shown ") == 2
    assert text.count("  prompt of a first step, user\n") == 2
    assert text.count("  prompt, user\n") == 2
    (row,) = map(orjson.loads, shown(tmp_path, "q", "--json").splitlines())
    assert sorted(tuple(first.pop("order")) for first in row["first_steps"]) == [(0, 1), (1, 0)]
    assert row["first_steps"] == [{"step": "focus-points", "text": "1. Look at AA"}] * 2


async def test_items_are_found_by_id_then_by_place(tmp_path):
    items = [Item(id_, (Message("user", id_),), ("a",)) for id_ in ("alpha", "alphabet", "0")]
    await make_run(tmp_path, items, lambda r, j: "\\boxed{5}")
    assert shown(tmp_path, "alpha").startswith("item #0 alpha ")
    assert shown(tmp_path, "#1").startswith("item #1 alphabet ")
    assert shown(tmp_path, "1").startswith("item #1 alphabet ")
    assert shown(tmp_path, "0").startswith("item #2 0 ")
    assert shown(tmp_path, "#0").startswith("item #0 alpha ")
    with pytest.raises(InputError) as error:
        shown(tmp_path, "alphabeta")
    assert str(error.value) == (
        f"no item 'alphabeta' among the 3 of {tmp_path}; near it: 'alphabet', 'alpha'; or give its place, '#0' to '#2'"
    )


async def test_an_id_that_several_items_have(tmp_path):
    items = [Item("same", (Message("user", f"{i}"),), ("a",)) for i in range(2)]
    await make_run(tmp_path, items, lambda r, j: "\\boxed{5}")
    with pytest.raises(InputError, match="2 items have the id 'same': name one by its place, #0, #1"):
        shown(tmp_path, "same")
    assert shown(tmp_path, "#1").startswith("item #1 same ")


def test_no_run(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        shown(tmp_path / "nowhere")


async def test_a_run_that_has_begun_nothing(tmp_path):
    await make_run(tmp_path, [])
    assert "\nitems       0 items, 0 verdicts\njudgments   0, 0 of them invalid (-)\n" in shown(tmp_path)
    with pytest.raises(InputError, match="has not begun any item yet"):
        shown(tmp_path, "x")


KILLED = """
import asyncio, os, signal, sys
import orjson
from pathlib import Path
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.grm import judge_settings
from spct.judges.grm import GRMJudge
from spct.run import judge_items, open_run
from spct.types import Item, Message

async def script(request, j):
    if "second" in request.messages[-1].content and request.messages[-1].content.index("slow") > 0:
        store.flush()
        print("half way", flush=True)
        await asyncio.sleep(3600)
    return judgment_text([8, 3])

items = [Item("first", (Message("user", "first"),), ("a", "b")),
         Item("second", (Message("user", "second"),), ("quick", "slow"))]
judge = GRMJudge(ScriptedEngine(script), judge_settings(k=2))
store = open_run(Path(sys.argv[1]), judge, resume=False)

async def run():
    async for _ in judge_items(judge, items, in_flight=1, store=store):
        pass

asyncio.run(run())
"""


def test_a_run_being_written_and_one_that_was_killed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "half way\n"
        running = [shown(tmp_path), shown(tmp_path, "second"), shown(tmp_path, "--json")]
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    killed = [shown(tmp_path), shown(tmp_path, "second"), shown(tmp_path, "--json")]
    assert running == killed
    run, item, rows = killed
    assert (
        "unfinished  1 item is begun and without a verdict; a stopped run goes on with spct judge ... --resume\n" in run
    )
    assert "items       1 item, 1 verdict\n" in run
    assert "vote so far (the run has not finished this item)\n  second: no verdict\n" in item
    assert [orjson.loads(row)["id"] for row in rows.splitlines()] == ["first"]


async def test_a_run_keeps_its_templates_whatever_becomes_of_their_files(tmp_path):
    mine, base = tmp_path / "mine.jinja", tmp_path / "base.jinja"
    base.write_text(
        "{% for _, text in turns %}{{ text }}{% endfor %}{% for i, r in responses %}[{{ i }}] {{ r }} {% endfor %}"
    )
    mine.write_text("---\nscale: [1, 9]\n---\nMy own words. {% include 'base.jinja' %}\n")
    run = tmp_path / "run"
    scripted = lambda r, j: judgment_text([8, 3])  # noqa: E731
    await make_run(
        run, [Item("q", (Message("user", "x"),), ("a", "b"))], scripted, template=str(mine), ordering="fixed"
    )
    mine.write_text("{{ query }} edited")
    base.unlink()
    assert "  principles\n    1. Correctness" in shown(run, "q", "--full")
    assert "  prompt, user\n    My own words. x[1] a [2] b\n" in shown(run, "q", "--prompt")
    assert "prompt, user" not in shown(run, "q")
    (first, _) = orjson.loads(shown(run, "q", "--prompt", "--json"))["judgments"]
    assert first["prompt"] == [{"role": "user", "content": "My own words. x[1] a [2] b"}]
    kept = shown(run, "--templates")
    assert f"{mine}: mine.jinja\n  ---\n  scale: [1, 9]\n" in kept
    assert f"{mine}: base.jinja\n  {{% for _, text in turns %}}" in kept
