"""Rubrics learned in a world whose true criteria are known: are they found, and is nothing found where nothing is?"""

import json
import re

import pytest

from cli.test_rubric import run
from spct.bench.learning.choosing import Answered, chosen, credits, fitted, without_doubles
from spct.bench.learning.learn import learn, learned_lines, split
from spct.bench.learning.propose import distinct, questions_in
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError
from spct.judges.settings import judge_settings
from spct.rubrics import Rubric
from spct.types import Item, Message
from spct.voting.orders import keyed_hash

TRAITS = {"CITES": "Does it name where its facts come from?", "POLITE": "Is it courteous towards the reader?",
          "LONG": "Does it have more than one paragraph?", "RHYMES": "Do its lines end in equal sounds?"}  # fmt: skip
TRUE = {"CITES": 2.0, "POLITE": 1.0}


def world(count, lawful=True):
    """Pairs of responses with traits at random; the better one has more of the true ones, or is drawn by lot."""
    items = []
    for n in range(10_000):
        traits = [[t for t in TRAITS if keyed_hash(n, i, t) % 2] for i in range(2)]
        worth = [sum(TRUE.get(t, 0) for t in of_one) for of_one in traits]
        if lawful and worth[0] == worth[1]:
            continue
        best = int(worth[1] > worth[0]) if lawful else keyed_hash(n, "lot") % 2
        texts = tuple(f"{i}: {' '.join(of_one)} {n}" for i, of_one in enumerate(traits))
        items.append(Item(f"q{n}", (Message("user", f"query {n}"),), texts, best=best))
        if len(items) == count:
            return items
    raise AssertionError


def model(request, j):
    """Judges by LONG alone, proposes a question for every trait, and answers each question rightly nine times of ten."""
    text = request.messages[-1].content
    seed = request.seed + j
    if "Name what makes the difference" in text:
        return "\n".join(f"- {question}" for question in TRAITS.values()) + "\n- Is it better?\nand so on"
    shown = re.findall(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", text, re.DOTALL)
    for trait, question in TRAITS.items():
        if question in text:
            said = [int((trait in one) ^ (keyed_hash(seed, one, trait) % 10 == 0)) for one in shown]
            return rf"\boxed{{{', '.join(map(str, said))}}}"
    if "Is it better?" in text:
        return rf"\boxed{{{', '.join('1' for _ in shown)}}}"
    return judgment_text([8 if "LONG" in one else 3 for one in shown], f"seed {seed}")


async def learned(items):
    return await learn(ScriptedEngine(model), items, judge_settings(k=1), name="world")


async def test_the_true_criteria_are_found_with_their_weights_in_order():
    found = await learned(world(300))
    assert [one.ask for one in found.kept] == [TRAITS["CITES"], TRAITS["POLITE"]]
    assert found.kept[0].weight == 5 and 1 < found.kept[1].weight < 4.5
    assert (found.proposed, found.distinct) == (5, 4)  # "Is it better?" tells nothing apart
    assert found.gained and found.after.value > 0.8 > 0.6 > found.before.value
    assert found.gain.value == pytest.approx(found.after.value - found.before.value)
    assert sum(found.items.values()) == 300 and found.wrong > 40
    assert [c.ask for c in found.rubric.criteria] == [one.ask for one in found.kept]
    assert any("on " in line and "items never used" in line for line in learned_lines(found))


async def test_nothing_is_found_where_the_better_one_is_drawn_by_lot():
    found = await learned(world(300, lawful=False))
    assert found.rubric is None and found.kept == () and not found.gained and found.after is None
    assert list(learned_lines(found))[-1].startswith("nothing was gained: no question raised accuracy")


async def test_what_has_no_answer_is_counted_and_costs_only_the_question_that_lacks_it():
    def silent(request, j):
        text = request.messages[-1].content
        number = int(re.findall(r"^query (\d+)$", text, re.MULTILINE)[0])
        if number % 10 == 0 and not any(word in text for word in (*TRAITS.values(), "Name what makes the difference")):
            return "no box"  # the judge
        if any(number % every == 0 and TRAITS[trait] in text for every, trait in ((3, "RHYMES"), (7, "CITES"))):
            return "no box"
        return model(request, j)

    items = [*world(300), Item("lone", (Message("user", "query 1"),), ("a",))]
    found = await learn(ScriptedEngine(silent), items, judge_settings(k=1, retries=0), name="world")
    parts = split(items, 0)
    of = {part: [int(item.id[1:]) for item in of_part] for part, of_part in parts.items()}
    assert found.unjudged == {part: sum(n % 10 == 0 for n in of[part]) for part in ("fit", "test")}
    assert [one.ask for one in found.kept] == [TRAITS["CITES"], TRAITS["POLITE"]]
    assert found.unanswered == {part: sum(n % 7 == 0 for n in of[part]) for part in of}  # RHYMES costs nothing
    told = list(learned_lines(found))
    assert told[0].endswith("; 1 left out, without one best response of several") and found.left_out == 1
    assert f"{found.unanswered['fit']} to fit, {found.unanswered['choose']} to choose" in told[3]
    assert told[2].endswith("have no verdict of the judge: not learned from, and counted as wrong")
    row = found.as_row()
    assert row["unanswered"] == found.unanswered and row["unjudged"] == found.unjudged


async def test_a_model_that_answers_no_question_is_an_error():
    def deaf(request, j):
        return "no box" if any(q in request.messages[-1].content for q in TRAITS.values()) else model(request, j)

    with pytest.raises(InputError, match="the model answered no question validly"):
        engine = ScriptedEngine(lambda request, j: deaf(request, j).replace("- Is it better?", ""))
        await learn(engine, world(120), judge_settings(k=1, retries=0), name="world")


def test_items_of_one_conversation_are_in_one_part():
    items = [
        Item(f"{n}-{m}", (Message("user", f"query {n}"),), ("a", f"b{m}"), best=0) for n in range(60) for m in (1, 2)
    ]
    parts = split(items, 0)
    of_query = [{item.messages[0].content for item in part} for part in parts.values()]
    assert sum(map(len, of_query)) == 60 and sum(map(len, parts.values())) == 120
    assert 0.25 < len(parts["fit"]) / 120 < 0.55
    with pytest.raises(InputError, match="too few items with one best response to learn from"):
        split(items[:20], 0)


def test_questions_are_read_from_lists_alone_and_each_once():
    text = "Is this one?\n- Does it name a source?\n* **Is it courteous to all?**\n3. Is it short enough?\n- No question.\n- Why?"
    assert questions_in(text) == ["Does it name a source?", "Is it courteous to all?", "Is it short enough?"]
    assert distinct(["Does it name a source?", "Does it name its source?", "Is it kind?"]) == [
        "Does it name a source?", "Is it kind?",
    ]  # fmt: skip


def answered(rows):
    worths = [tuple(one and tuple(one) for one in row) for row in rows]
    return [Answered(str(n), str(n), 0, len(next(filter(None, row))), row) for n, row in enumerate(worths)]


def test_weights_follow_the_truth_and_what_never_differs_weighs_nothing():
    items = answered([((1, 0), (0, 0), (0, 1))] * 30 + [((0, 1), (0, 0), (1, 0))] * 10)
    first, second, third = fitted(items, [0, 1, 2])
    assert first > 0 == second > third
    assert fitted(items, [1]) == [0.0]
    assert credits(items, [0], [1.0]) == [1.0] * 30 + [0.0] * 10
    assert credits(items, [], []) == [0.5] * 40


def test_doubles_and_questions_that_tell_nothing_are_left_out():
    items = answered([((1, 0), (1, 0), (1, 1), (0, 1), (1, 1))] * 3 + [((0, 0), (0, 0), (1, 1), (1, 1), (0, 1))] * 3)
    assert without_doubles(items, 5) == [0, 4]


def test_an_item_is_left_out_only_where_an_answer_that_counts_is_missing():
    items = answered([((1, 0), None), ((1, 0), (1, 0)), (None, (0, 1))])
    assert [one.under([0, 1]) for one in items] == [None, [(1, 0), (1, 0)], None]
    assert credits(items, [0], [1.0]) == [1, 1, 0] and credits(items, [1], [1.0]) == [0, 1, 0]
    assert credits(items, [0, 1], [1.0, 1.0]) == [0, 1, 0]
    assert fitted(items, [0]) == fitted(items[:2], [0]) and fitted(items, [0, 1]) == fitted(items[1:2], [0, 1])
    assert fitted(items[:1], [1]) == [0.0]
    assert without_doubles(items, 2) == [0]  # alike where both are answered
    assert without_doubles([items[0], items[2]], 2) == [0, 1]  # which is nowhere


def test_a_question_is_kept_only_if_its_gain_is_clear():
    fit = answered([((1, 0),)] * 20)
    assert [one.place for one in chosen(fit, answered([((1, 0),)] * 28 + [((0, 1),)] * 2), [0], 3)] == [0]
    assert chosen(fit, answered([((1, 0),)] * 16 + [((0, 1),)] * 14), [0], 3) == []


def test_the_best_of_many_has_to_be_clearer():
    def rows(count):
        return answered([((1, 0), *[(0, 0)] * 30)] * count + [((0, 1), *[(0, 0)] * 30)] * (30 - count))

    fit = rows(20)
    assert [one.place for one in chosen(fit, rows(23), [0], 3)] == [0]  # 23 of 30 by chance: p = 0.005
    assert chosen(fit, rows(23), list(range(31)), 3) == []
    assert [one.place for one in chosen(fit, rows(28), list(range(31)), 3)] == [0]


def test_the_command_writes_a_rubric_that_loads_and_its_report(tmp_path):
    (tmp_path / "script.py").write_text("from bench.learning.test_learn import model as judge\n")
    rows = [{"id": i.id, "prompt": i.messages[0].content, "responses": list(i.responses), "best": i.best}
            for i in world(200)]  # fmt: skip
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "world.yaml"
    asked = ["--model", f"scripted:{tmp_path}/script.py:judge", "-k", 1, "--out", out]
    told = run("rubric", "learn", tmp_path / "items.jsonl", *asked)
    assert TRAITS["CITES"] in told and "the rubric: " in told
    rubric = Rubric.load(out)
    report = json.loads(out.with_suffix(".json").read_text())
    assert [c.ask for c in rubric.criteria] == [one["ask"] for one in report["kept"]] and report["gained"]
    with pytest.raises(InputError, match="is there already"):
        run("rubric", "learn", tmp_path / "items.jsonl", "--model", "scripted:x.py:y", "--out", out)
