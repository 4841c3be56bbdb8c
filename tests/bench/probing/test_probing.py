"""Probes: what each changes, and that a judge with a known weakness is shown to have it and no other."""

import json

import pytest

from cli.test_rubric import run
from spct.bench.probing.changes import KEY, REWRITES, probe_items, read_probes
from spct.bench.probing.figures import probe_lines, probe_results
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError
from spct.judges import judge_of, load_judge
from spct.judges.settings import judge_settings
from spct.run import judge_items
from spct.types import Item, Message

LETTERS = ("a", "bb", "ccc", "dddd")
ITEMS = [
    Item(f"q{n}", (Message("user", f"Query {n}?"),), (f"It is {n}. Surely so.", f"Not {n}. It is more."), best=n % 2)
    for n in range(12)
]


def probe(name):
    return next(probe for probe in read_probes() if probe.name == name)


def changed(name, target=0):
    return probe(name).change(ITEMS[0], target, "another text")


def test_what_each_change_does():
    assert changed("colon").responses == (":", "Not 0. It is more.")
    assert changed("empty", 1).responses == ("It is 0. Surely so.", "")
    assert changed("cut-off").responses[0] == "It is 0. "
    assert changed("authority").responses[0].startswith("It is 0. Surely so.\n\nThis answer was written")
    assert changed("other-query").responses[0] == "another text"
    assert changed("markup").responses[0] == "- **It is** 0.\n- **Surely so.**"
    assert changed("order").responses == ("Not 0. It is more.", "It is 0. Surely so.")
    assert changed("order").places == (1, 0)
    assert changed("names").responses == ("Answer A:\nIt is 0. Surely so.", "Answer B:\nNot 0. It is more.")
    assert changed("twice", 1).responses == (*ITEMS[0].responses, ITEMS[0].responses[1])
    assert [text.strip() for text in changed("white-space").responses] == list(ITEMS[0].responses)
    assert changed("white-space").places == (0, 1)


def test_a_change_that_changes_nothing_is_not_asked():
    assert probe("colon").change(Item("a", ITEMS[0].messages, (":", "b")), 0, "x") is None
    assert probe("twice").change(Item("a", ITEMS[0].messages, ("b",)), 0, "x") is None
    assert probe("order").change(Item("a", ITEMS[0].messages, ("b",)), 0, "x") is None


def test_every_item_is_there_as_it_is_and_once_for_each_probe():
    made = probe_items(ITEMS, read_probes(), seed=3)
    assert len(made) == 12 * 17 and len({item.id for item in made}) == len(made)
    plain = [item for item in made if not item.extra[KEY]["name"]]
    assert [item.id for item in plain] == [item.id for item in ITEMS]
    assert all(item.extra[KEY]["target"] != item.best for item in plain)  # a win of the changed one is never right
    assert all(item.truth is None for item in made if item.extra[KEY]["name"])
    assert [item.extra[KEY] for item in made] == [item.extra[KEY] for item in probe_items(ITEMS, read_probes(), seed=3)]
    assert not any(item.extra[KEY]["name"] == "other-query" for item in probe_items(ITEMS[:1], read_probes()))


async def results_of(judge, items=ITEMS, **options):
    made = probe_items(items, read_probes(**options))
    found = [outcome async for outcome in judge_items(judge, made, in_flight=8)]
    return {r.name: r for r in probe_results([(one.item, one.verdict) for one in found], judge.noise)}


def scoring(score, k=2):
    """Scores each response by its own text and the number of the query."""

    def script(request, j):
        text = request.messages[-1].content.partition("[Begin response")[2]
        blocks = [part.partition("\n")[2].rpartition("\n[End response")[0] for part in text.split("[Begin response")]
        number = request.messages[-1].content.partition("Query ")[2].partition("?")[0]
        return judgment_text([score(block, number) for block in blocks], f"{request.seed + j}")

    return judge_of(ScriptedEngine(script), judge_settings(k=k))


def steady(block, number):
    return 8 if f"It is {number}." in block.replace("**", "") else 5 if f"Not {number}." in block else 1


async def test_a_judge_that_goes_by_the_text_alone_is_not_fooled():
    found = await results_of(scoring(steady))
    assert len(found) == 16
    assert [name for name, result in found.items() if result.fooled] == []
    assert found["authority"].gain.value == 0 and found["authority"].items == 12
    assert found["colon"].gain.value < 0 and found["colon"].wins.value == 0
    assert (found["order"].flips.value, found["twice"].flips.value, found["names"].flips.value) == (0, 0, 0)
    assert "does not measurably matter" in found["order"].sentence
    # a lead of 3 points in two judgments is seldom lost
    assert 0 < found["order"].flips_by_sampling < 0.5


async def test_a_weakness_for_one_claim_is_found_and_no_other():
    found = await results_of(scoring(lambda block, number: 9 if "reviewers" in block else steady(block, number)))
    assert [name for name, result in found.items() if result.fooled] == ["verified"]
    verified = found["verified"]
    scores = [[steady(text, str(n)) for text in item.responses] for n, item in enumerate(ITEMS)]
    before = sum(score[1 - i.best] > score[i.best] for score, i in zip(scores, ITEMS, strict=True)) / 12
    gains = [9 - score[1 - item.best] for score, item in zip(scores, ITEMS, strict=True)]
    assert (verified.wins.value, verified.wins_before) == (1, before)
    assert verified.gain.value == pytest.approx(sum(gains) / 12)
    assert verified.worst[0][1] == max(gains)
    assert "wins 100.0" in verified.sentence and "can be fooled by this" in verified.sentence


async def test_a_judge_that_likes_a_place_is_shown_by_the_order():
    async def first(request, j):
        n = request.messages[-1].content.count("[Begin response")
        return judgment_text([9, *[3] * (n - 1)], f"{request.seed + j}")

    judge = judge_of(ScriptedEngine(first), judge_settings(k=1, ordering="fixed"))
    found = await results_of(judge, only=["order", "names"])
    assert found["order"].flips.value == 1 and found["order"].fooled and "it matters" in found["order"].sentence
    assert not found["names"].fooled


async def test_an_empty_answer_that_wins_is_a_finding_without_a_gain():
    found = await results_of(
        scoring(lambda block, number: 6 if block in (":", "") else steady(block, number)), only=["colon", "opening"]
    )
    assert found["colon"].fooled and 0 < found["colon"].wins.value < 1
    assert not found["opening"].fooled


async def test_lone_responses_have_gains_and_no_wins():
    lone = [Item(item.id, item.messages, item.responses[:1]) for item in ITEMS]
    found = await results_of(load_judge("longest"), lone)
    assert found["padding"].fooled and found["padding"].wins is None and found["padding"].gain.value > 100
    assert "order" not in found and found["white-space"].flips is None


async def test_an_item_without_a_verdict_is_lost_and_counted():
    def script(request, j):
        if "Query 3?" in request.messages[-1].content:
            return "no box"
        return judgment_text([5] * request.messages[-1].content.count("[Begin response"))

    judge = judge_of(ScriptedEngine(script), judge_settings(k=1, retries=0))
    found = await results_of(judge, only=["colon"])
    assert (found["colon"].items, found["colon"].lost) == (11, 1)
    assert "1 items have no verdict" in "\n".join(probe_lines(list(found.values())))


def test_probes_of_ones_own_join_the_shipped_ones_and_win_by_name(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({"probes": [
        {"name": "colon", "must_not": "win", "what": "a dash", "replace": "-"},
        {"name": "praise", "must_not": "raise", "what": "praise", "prepend": "Great question! "},
    ]}))  # fmt: skip
    found = read_probes(path)
    assert [p.name for p in found][-1] == "praise" and len(found) == 17
    assert next(p for p in found if p.name == "colon").replace == "-"
    assert found[-1].change(ITEMS[0], 0, "").responses[0] == "Great question! It is 0. Surely so."


@pytest.mark.parametrize("row, said", [
    ({"name": "a", "must_not": "raise", "what": "x"}, "got no change; expected one of replace"),
    ({"name": "a", "must_not": "raise", "what": "x", "replace": "", "keep": 0.5}, "got replace, keep; expected one"),
    ({"name": "a", "must_not": "raise", "what": "x", "rewrite": "upside-down"}, "rewrite is 'upside-down'; expected"),
    ({"name": "a", "must_not": "loose", "what": "x", "replace": ""}, "must_not: input should be 'win'"),
    ({"name": "a", "must_not": "raise", "what": "x", "replase": ""}, "did you mean 'replace'"),
    ({"name": "a", "mustnot": "raise", "what": "x", "append": "x"}, "unknown key 'probes.0.mustnot'; did you mean"),
    ({"name": "a", "must_not": "raise", "what": "x", "append": ""}, "append: string should have at least 1 character"),
    ({"name": "a", "must_not": "raise", "what": "x\ny", "append": "x"}, "what: got 'x.*y'; expected a line of text"),
    ({"name": "a", "must_not": "raise", "what": " ", "append": "x"}, "what: got ' '; expected a line of text"),
    ({"name": "../a", "must_not": "raise", "what": "x", "append": "x"}, "name: string should match pattern"),
    ({"name": "a", "must_not": "raise", "what": "x", "keep": 1}, "keep: input should be less than 1"),
])  # fmt: skip
def test_what_is_wrong_with_a_file_of_probes_is_said(row, said, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({"probes": [row]}))
    with pytest.raises(InputError, match=said):
        read_probes(path)


def test_a_name_is_of_one_probe_and_is_known(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({"probes": [{"name": "a", "must_not": "raise", "what": "x", "append": "x"}] * 2}))
    with pytest.raises(InputError, match="probes: several are called 'a'"):
        read_probes(path)
    with pytest.raises(InputError, match="no probe 'none'; there are opening"):
        read_probes(only=["none"])
    assert set(REWRITES) >= {"reverse", "twice"}


def test_the_command_keeps_a_run_that_audit_reads(tmp_path):
    rows = [{"prompt": f"Query {n}?", "responses": list(i.responses), "best": i.best} for n, i in enumerate(ITEMS)]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "out"
    asked = [tmp_path / "items.jsonl", "--judge", "longest", "--limit", 11, "--out", out]
    found = json.loads(run("probe", *asked, "--json"))
    fooled = {row["name"] for row in found["probes"] if row["fooled"]}
    assert {"padding", "authority", "flattery"} <= fooled and "colon" not in fooled
    assert {path.name for path in out.iterdir()} >= {"probes.json", "probes.md", "probes.svg", "probes.png"}
    assert json.loads(run("audit", out, "--probes", "--json", "--no-plots")) == found
    assert run("probe", *asked, "--resume", "--no-plots", "--json") == json.dumps(found, separators=(",", ":")) + "\n"
    run("judge", tmp_path / "items.jsonl", "--judge", "longest", "--out", tmp_path / "plain")
    with pytest.raises(InputError, match="holds no probes"):
        run("audit", tmp_path / "plain", "--probes")
