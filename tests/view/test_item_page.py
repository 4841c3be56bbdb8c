import contextlib

from spct.engines.scripted import ScriptedEngine
from spct.judges import judge_of
from spct.judges.jury import JuryJudge, Member
from spct.judges.settings import judge_settings
from spct.run import RunStore, judge_items, opened_run
from spct.turns import Message, ToolCall, Trajectory
from spct.types import Item
from spct.view.item_page import LEVELS, ItemReader, Score
from spct.view.markup import raw
from spct.view.pages.page import templates
from view.runs import ITEMS, make_run


def page_of(folder, position):
    with contextlib.closing(RunStore.open(folder)) as store:
        reader = ItemReader(store)
        return reader.page(reader.stored(position, store.verdict_row(position)))


def test_scores_stand_in_item_order_with_the_places_they_were_shown_at(runs):
    page = page_of(runs / "small", 0)
    orders = {tuple(i for group in judgment.places for i in group) for judgment in page.judgments}
    assert len(orders) == 3
    for judgment in page.judgments:
        order = [i for group in judgment.places for i in group]
        assert {i: score.place for i, score in judgment.scores.items()} == {i: order.index(i) + 1 for i in range(3)}
        assert judgment.scores[0].value in (8, 9)  # the one that this judge likes, wherever it was shown
        assert all(judgment.scores[i].value in (2, 3, 4) for i in (1, 2))
        assert judgment.form == "\\boxed{" + ", ".join(f"{judgment.scores[i].value:g}" for i in order) + "}"


def test_colours_go_by_the_scale_of_the_judge(runs):
    scores = [score for judgment in page_of(runs / "small", 3).judgments for score in judgment.scores.values()]
    assert {(score.value, score.level) for score in scores} == {(8, 8), (5, 4)}


async def test_colours_of_a_jury_go_by_its_scores_and_not_by_what_they_are_compared_as(tmp_path):
    likes = ScriptedEngine(lambda request, j: "\\boxed{8, 5}")
    members = [Member(name, judge_of(likes, judge_settings(k=1))) for name in ("first", "second")]
    with opened_run(tmp_path, JuryJudge(members, comparable="rank"), resume=False) as store:
        async for _ in judge_items(JuryJudge(members, comparable="rank"), ITEMS[1:2], in_flight=1, store=store):
            pass
    scores = [score for judgment in page_of(tmp_path, 0).judgments for score in judgment.scores.values()]
    assert {(score.value, score.level) for score in scores} == {(8, LEVELS), (5, 0)}


def test_an_invalid_judgment_has_places_and_no_scores(runs):
    first = page_of(runs / "small", 4).judgments[0]
    assert first.problem.startswith("truncated: the completion was cut off")
    assert [first.scores[i] for i in range(2)] == [Score(i, None, None, first.scores[i].place) for i in range(2)]
    assert (first.principles, first.critique, "I cannot say" in first.answer.html) == (None, None, True)


def test_a_blind_item_says_nothing_of_its_responses_but_their_texts(runs):
    with contextlib.closing(RunStore.open(runs / "small")) as store:
        blind = ItemReader(store).blind(ITEMS[1], [1, 0])
    assert [text.html for text, _ in blind.responses] == ["<p>Paris.</p>\n", "<p>Lyon.</p>\n"]
    assert [(role, text.html, more) for role, text, more in blind.messages] == [
        ("user", "<p>What is the capital of France?</p>\n", {})
    ]


async def test_calls_of_tools_and_responses_of_several_turns_are_shown(tmp_path):
    call = Message("assistant", "Let me look.", calls=(ToolCall(1, "search", '{"q": "\u202e<primes>"}'),))
    result = Message("tool", "11 is prime.", answers=1)
    item = Item("t", (Message("user", "A prime?", images=("http://e.test/a.png",)),),
                (Trajectory([call, result, Message("assistant", "It is 11.")]), "12"), best=0)  # fmt: skip
    await make_run(tmp_path, [item], lambda request, j: "\\boxed{9, 1}", k=1)
    page = page_of(tmp_path, 0)
    ((role, _, more),) = page.messages
    assert (role, more) == ("user", {"image 1": raw("http://e.test/a.png")})  # named, and never loaded
    first, second = page.responses
    assert [(role, text.html, more) for role, text, more in first.turns] == [
        ("assistant", "<p>Let me look.</p>\n", {"call 1: search": raw('{"q": "\u202e<primes>"}')}),
        ("tool", "<p>11 is prime.</p>\n", {"answers": raw("call 1")}),
        ("assistant", "<p>It is 11.</p>\n", {}),
    ]
    assert second.turns == []
    shown = (
        templates()
        .get_template("item_body.html")
        .render(item=page, export=True, here=None, pre="", compared=None, labels=[], run="t")
    )
    assert '{"q": "\\u202e&lt;primes&gt;"}</pre>' in shown
