"""What columns hold: common names, names that a user maps, wide and long tables."""

import io

import pytest

from spct.errors import InputError
from spct.items import read_items, reading_of
from spct.items.columns import COMMON, understand


def read(text: str, *pairs: str, **options):
    return list(read_items(io.BytesIO(text.encode()), reading=reading_of(pairs, **options)))


FOUND = [
    ("prompt response_a response_b", {"prompt": ("prompt",), "responses": ("response_a", "response_b")}),
    ("Query Output-1 Output-2", {"prompt": ("Query",), "responses": ("Output-1", "Output-2")}),
    ("instruction input output", {"prompt": ("instruction", "input"), "responses": ("output",)}),
    ("input instruction output", {"prompt": ("instruction", "input"), "responses": ("output",)}),
    ("question prompt answer", {"prompt": ("prompt",), "responses": ("answer",)}),
    ("question answer answer1 answer2", {"prompt": ("question",), "responses": ("answer1", "answer2")}),
    ("System_Prompt input reply", {"prompt": ("input",), "system": ("System_Prompt",), "responses": ("reply",)}),
    ("prompt chosen rejected", {"prompt": ("prompt",), "chosen": ("chosen",), "rejected": ("rejected",)}),
    ("question answer human_score grade_scale", {"prompt": ("question",), "responses": ("answer",),
     "grade": ("human_score",), "grade_scale": ("grade_scale",)}),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "fields"), FOUND)
def test_common_names(columns, fields) -> None:
    understood = understand(columns.split(" "), reading_of(()), "here", table=True)
    assert understood is not None
    assert dict(understood.fields) == fields


def test_rows_of_an_accepted_shape_stay_as_they_are() -> None:
    for keys in (["prompt", "responses", "winner"], ["chosen", "rejected"], ["nothing", "known"], []):
        assert understand(keys, reading_of(()), "here", table=False) is None


def test_mapped_names() -> None:
    text = "Nr;Frage;Antwort 1;Antwort 2;Antwort 3;Sieger;query\n7;q;a;b;c;Antwort 2;other\n"
    told: list[str] = []
    (item,) = read(text, "prompt=Frage", "responses=Antwort*", "winner=Sieger", "id=Nr", told=told.append)
    assert (item.id, item.responses, item.best, item.extra) == ("7", ("a", "b", "c"), 1, {"column query": "other"})
    assert told[-1] == (
        "prompt = 'Frage'; responses = 'Antwort 1', 'Antwort 2', 'Antwort 3'; winner = 'Sieger'; id = 'Nr'"
    )
    (item,) = read(text, "prompt=Frage", "responses=Antwort 3", "responses=Antwort 1")
    assert item.responses == ("c", "a")
    (item,) = read("a;b;c;d\n1;2;3;x\n", "prompt=a", "prompt=b", "prompt=c", "responses=d")
    assert item.messages[0].content == "1\n\n2\n\n3"
    (item,) = read('{"Frage": "q", "A": "a", "B": "b"}\n', "prompt=Frage", "responses=[AB]")
    assert item.responses == ("a", "b")


BAD = [
    (["prompt"], "--map 'prompt': expected FIELD=COLUMN"),
    (["Frage=prompt"], "--map 'Frage=prompt': got the field 'Frage'; expected one of "),
    (["prompt=Fragen"], "input, line 2: --map prompt=Fragen: got the columns 'Frage', 'A', 'B'; expected one of them"),
    (["prompt=Frage", "responses=A", "id=*"], "--map id: got 'Frage', 'A', 'B'; expected one column"),
]


@pytest.mark.parametrize(("pairs", "expected"), BAD)
def test_bad_maps(pairs, expected) -> None:
    with pytest.raises(InputError) as caught:
        read("Frage,A,B\nq,a,b\n", *pairs)
    assert expected in str(caught.value)


WINNERS = [
    ("answer_a", 0),
    ("b", 1),
    ("Answer B", 1),
    ("model_a", 0),
    ("assistant_b", 1),
    ("tie", None),
    ("Tie (both bad)", None),
]


@pytest.mark.parametrize(("word", "best"), WINNERS)
def test_winners(word, best) -> None:
    (item,) = read(f"question,answer_a,answer_b,winner\nq,a,b,{word}\n")
    assert item.best == best
    assert item.truth is not None and (best is not None or item.truth.values_N == (0.5, 0.5))


def test_a_numbered_winner_is_the_column_of_that_number() -> None:
    (item,) = read("question,answer_1,answer_2,winner\nq,a,b,2\n")
    assert item.best == 1


def test_other_truths_of_a_wide_table() -> None:
    header = "question,response_1,response_2,response_3"
    (item,) = read(f'{header},rewards\nq,a,b,c,"[1, 3, 2]"\n')
    assert (item.rewards_N, item.best) == ((1.0, 3.0, 2.0), 1)
    (item,) = read(f"{header},best\nq,a,,c,2\n")
    assert (item.responses, item.best) == (("a", "c"), 1)
    (item,) = read('question,answer,grade,grade_scale\nq,a,4,"[1, 5]"\n')
    assert item.truth is not None and (item.truth.values_N, item.truth.scale) == ((4.0,), (1.0, 5.0))
    (item,) = read("question,answer,reward\nq,a,1\n")
    assert item.truth is not None and (item.truth.kind, item.truth.values_N) == ("label", (1.0,))


def test_text_that_looks_like_a_list_is_text() -> None:
    (item,) = read('question,answer\n"[1, 2, 3]","[4, 5]"\n')
    assert (item.messages[0].content, item.responses) == ("[1, 2, 3]", ("[4, 5]",))
    (item,) = read('question,responses\nq,"[""a"", ""b""]"\n')
    assert item.responses == ("a", "b")


def test_system_prompts_become_a_turn() -> None:
    (item,) = read("system,question,answer\nBe brief.,q,a\n")
    assert [(turn.role, turn.content) for turn in item.messages] == [("system", "Be brief."), ("user", "q")]
    (item,) = read("instruction,input,output\nAdd.,1 and 2,3\n")
    assert item.messages[0].content == "Add.\n\n1 and 2"


LONG = "qid,question,model,answer,{}\n1,Q1,m1,a,{}\n2,Q2,m1,c,{}\n1,Q1,m2,b,{}\n"


@pytest.mark.parametrize(
    ("column", "cells", "truths"),
    [
        ("rank", (2, 1, 1), [("ranking", (0.0, 1.0)), None]),
        ("rank", (1, 1, 1), [("ranking", (0.5, 0.5)), None]),
        ("best", (0, 1, 1), [("best", (0.0, 1.0)), None]),
        ("best", ("", "", "x"), [("best", (0.0, 1.0)), None]),
        ("reward", (0.5, 2, 3), [("rewards", (0.5, 3.0)), ("grade", (2.0,))]),
        ("label", (0, 1, 1), [("rewards", (0.0, 1.0)), ("label", (1.0,))]),
        ("label", (0, "", ""), [None, None]),
    ],
)
def test_long_tables(column, cells, truths) -> None:
    text = LONG.format(column, *cells)
    if column == "rank":
        text = text.replace("2,Q2,m1,c,1", "2,Q2,m1,c,")  # a ranking of one response says nothing
    items = read(text, group_by="qid")
    assert [(item.id, item.responses) for item in items] == [("1", ("a", "b")), ("2", ("c",))]
    assert [item.extra["model"] for item in items] == [["m1", "m2"], "m1"]
    assert [item.truth and (item.truth.kind, item.truth.values_N) for item in items] == truths


def test_long_tables_by_their_query_have_ids_of_their_content() -> None:
    text = LONG.format("rank", 1, "", 2)
    (first, second), (same, _) = read(text, group_by="question"), read(text, group_by="qid")
    assert (first.messages, first.responses, first.truth) == (same.messages, same.responses, same.truth)
    assert len(first.id) == len(second.id) == 16


LONG_BAD = [
    ("qid,question,answer\n1,Q1,a\n1,Q2,b\n", "line 3: question: differs from that in input, line 2; expected one for all rows"),
    ("qid,question,answer\n,Q1,a\n", "line 2: got nothing in 'qid' (columns: 'qid', 'question', 'answer')"),
    ("question,answer\nQ1,a\n", "line 2: got nothing in 'qid'"),
    ("qid,question,answer_a,answer_b\n1,Q1,a,b\n", "expected one column of responses, a row for each, with --group-by"),
    ("qid,question,answer,best\n1,Q1,a,1\n1,Q1,b,1\n", "line 2: got 2 responses of its item marked as the best; expected one"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), LONG_BAD)
def test_bad_long_tables(text, expected) -> None:
    with pytest.raises(InputError) as caught:
        read(text, group_by="qid")
    assert expected in str(caught.value)


def test_every_field_is_called_by_its_own_name() -> None:
    assert [name for name, names in COMMON.items() if name not in names] == []
