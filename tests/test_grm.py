import asyncio
import contextlib
import inspect
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from servers.behaviours import choice, completion, replies
from servers.chat import ChatServer
from spct import GRM, Item, Message, Tool
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import EngineUnreachableError, InputError, ResumeRefusedError, TemplateError
from spct.grm import SETTINGS
from spct.items import item_to_row
from spct.judges.settings import SETTING_NAMES, JudgeSettings, judge_settings
from spct.run.store import RunStore


def grm(script=lambda request, j: judgment_text([3, 8]), **settings):
    return GRM(ScriptedEngine(script), **settings)


def test_judge_from_plain_code():
    with grm(k=4, ordering="fixed") as model:
        verdict = model.judge("Name a prime above 10.", ["12", "11"])
    assert (verdict.best, verdict.totals, verdict.id) == (1, (12, 32), "6b2e5945f3475967")


def test_judge_takes_conversations_items_and_rows():
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    item = Item("x", (Message("user", "Hi"),), ("a", "b"))
    with grm(k=1) as model:
        assert model.judge(turns, ["a", "b"], id="t").id == "t"
        assert "Be brief." in model.engine.requests[0].messages[-1].content
        assert model.judge(item).id == "x"
        assert model.judge({"prompt": "Hi", "chosen": "a", "rejected": "b"}).n == 2


def test_judge_many_keeps_order_and_streams():
    taken = []

    def rows():
        for n in range(50):
            taken.append(n)
            yield {"id": f"r{n}", "prompt": "q", "responses": ["a", "b"]}

    with grm(k=1, in_flight=2) as model:
        verdicts = model.judge_many(rows())
        assert next(verdicts).id == "r0"
        assert len(taken) < 20
        assert [verdict.id for verdict in verdicts] == [f"r{n}" for n in range(1, 50)]


async def test_async_and_inside_a_running_loop():
    model = grm(k=2)
    verdict = await model.ajudge("q", ["a", "b"])
    assert verdict.valid == 2
    many = [v async for v in model.ajudge_many([{"prompt": "q", "responses": ["a", "b"]}] * 3)]
    assert [v.id for v in many] == ["d8bb76cf4a80b77d", "d8bb76cf4a80b77d-2", "d8bb76cf4a80b77d-3"]
    await model.aclose()
    plain = grm(k=1)
    assert (await asyncio.to_thread(plain.judge, "q", ["a", "b"])).valid == 1
    assert plain.judge("q", ["a", "b"]).valid == 1
    plain.close()


def test_one_error_for_bad_arguments():
    with pytest.raises(
        InputError, match="a GRM over an object takes no temprature; the settings of a GRM are adaptive"
    ):
        grm(temprature=1)
    with grm(k=1) as model:
        with pytest.raises(InputError, match="one string"):
            model.judge("q", "a")
        with pytest.raises(InputError, match="no responses"):
            model.judge("q")
        with pytest.raises(InputError, match="these arguments"):
            model.judge("q", [])
        with pytest.raises(InputError):
            model.judge("q", ["a", 3])


def test_engine_errors_reach_the_caller():
    with (
        grm(lambda r, j: EngineUnreachableError("nobody"), k=1) as model,
        pytest.raises(ConnectionError, match="nobody"),
    ):
        model.judge("q", ["a", "b"])


def test_closing_twice_is_fine():
    model = grm(k=1)
    model.judge("q", ["a", "b"])
    model.close()
    model.close()


def test_the_options_of_an_engine_stand_beside_the_settings():
    model = GRM("openai:m", base_url="http://127.0.0.1:1/v1", concurrency=3, k=2, temperature=0)
    assert (
        model.engine.configuration["server"] == "http://127.0.0.1:1/v1" and model.engine.capabilities.concurrency == 3
    )
    assert (model.settings.k, model.settings.sampling.temperature) == (2, 0)
    said = r"model 'openai:m' takes no base_urls; it takes .*base_url.*; the settings of a GRM are adaptive.* in_flight"
    with pytest.raises(InputError, match=said):
        GRM("openai:m", base_urls="x")
    with pytest.raises(InputError, match="takes no base_url; the settings of a GRM are"):
        grm(base_url="http://127.0.0.1:1/v1")
    with pytest.raises(InputError, match="in_flight is 0; expected a whole number, 1 or more"):
        grm(in_flight=0)


def test_the_settings_and_their_defaults_are_those_of_a_judge():
    parameters = inspect.signature(GRM).parameters
    named = {name: p.default for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert named.keys() - {"meta", "in_flight", "cache"} == SETTINGS == SETTING_NAMES - {"jury"}
    assert judge_settings(**{name: named[name] for name in SETTINGS}) == JudgeSettings()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"k": 2.5}, "k is 2.5; expected a whole number"),
        ({"k": "3"}, "k is '3'; expected a whole number"),
        ({"k": True}, "k is True; expected a whole number"),
        ({"k": None}, "k is None; expected a whole number"),
        ({"k": [2]}, r"k is \[2\]; expected a whole number"),
        ({"temperature": "0"}, "temperature is '0'; expected a number or a whole number"),
        ({"temperature": False}, "temperature is False"),
        ({"temperature": float("nan")}, "temperature is nan; expected 0 or more"),
        ({"max_tokens": 10.0}, "max_tokens is 10.0"),
        ({"grammar": 1}, "grammar is 1; expected True or False"),
        ({"template": None}, "template is None; expected text"),
        ({"block_size": "4"}, "block_size is '4'; expected a whole number or None"),
        ({"trajectory_chars": 10}, "trajectory_chars is 10; expected 200 or more"),
        ({"trajectory_chars": 0}, "trajectory_chars is 0; expected 200 or more"),
        ({"seed": 0.0}, "seed is 0.0"),
    ],
)
def test_a_setting_of_another_kind_is_refused(setting, said):
    with pytest.raises(InputError, match=said):
        grm(**setting)
    name = next(iter(setting))
    assert grm(**{name: {"k": np.int64(3), "seed": np.int32(1)}.get(name)} if name in ("k", "seed") else {}).settings


ROW = {"prompt": "q", "responses": ["a", "b"]}
ITEM = Item("x", (Message("user", "q"),), ("a", "b"))
UNUSED = [
    (("q", {"gpt": "a", "llama": "b"}), {}, "responses: got a dict; expected a list: list"),
    (("q", {"a", "b"}), {}, "responses: got a set, which has no order"),
    (("q", ["a", "b"]), {"k": 3, "temperature": 0}, "judge takes no k, temperature; .*settings of the GRM"),
    (("q", ["a", "b"]), {"refrence": "4"}, "judge takes no refrence; it takes id, tools, reference"),
    ((ROW, ["c"]), {}, "responses given beside a row or an item"),
    ((ROW,), {"reference": "4"}, "reference given beside a row or an item"),
    ((ITEM,), {"id": "y", "best": 0}, "id, best given beside a row or an item"),
    (("q", 3), {}, "responses: got int 3; expected a list of texts"),
    (("q", [b"a", {1}]), {}, r"responses\[1\]: got set"),
]


@pytest.mark.parametrize(("given", "named", "said"), UNUSED)
def test_every_argument_has_effect_or_is_refused(given, named, said):
    with grm(k=1) as model, pytest.raises(InputError, match=said):
        model.judge(*given, **named)


def test_what_other_libraries_hold_is_read():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"prompt": ["q"] * 2, "responses": [np.array(["a", "b"])] * 2, "reference": [np.nan, "4"]})
    with grm(k=1, ordering="fixed") as model:
        for query, responses in [
            ("q", np.array(["a", "b"], dtype=object)),
            (np.array([{"role": "user", "content": "q"}], dtype=object), pandas.Series(["a", "b"])),
            ({"role": "user", "content": "q"}, ("a", b"b")),
            ([Message("user", "q")], iter(["a", "b"])),
        ]:
            assert model.judge(query, responses).id == "d8bb76cf4a80b77d"
        assert model.judge({**ROW, "role": "a column of its own"}).id == "d8bb76cf4a80b77d"
        assert model.judge(table.iloc[0]).id == "d8bb76cf4a80b77d"
        assert model.judge("q", ["a", "b"], id=np.int64(3), best=np.int64(1)).id == "3"
        assert next(v.id for v in model.judge_many(table.to_dict("records"))) == "d8bb76cf4a80b77d"
        with pytest.raises(InputError, match="got a table; expected rows"):
            list(model.judge_many(table))


def test_the_parts_of_a_judgment():
    text = "#### Specific Criteria\n1. Truth (Weight: 100)\n#### Analysis\nThe second is a prime.\n#### Scores\n\\boxed{3, 8}"
    with grm(lambda r, j: f"<think>\\boxed{{9, 9}}</think>{text}", k=1, ordering="fixed") as model:
        (judgment,) = model.judge("q", ["a", "b"]).judgments
    assert judgment.principles == "1. Truth (Weight: 100)"
    assert judgment.critique == "The second is a prime."
    assert judgment.sections == {
        "reasoning": "<think>\\boxed{9, 9}</think>",
        "principles": "1. Truth (Weight: 100)",
        "critique": "The second is a prime.",
        "scores": "\\boxed{3, 8}",
    }
    assert judgment.scores == (3, 8)


def test_a_judgment_without_headings_is_all_critique(tmp_path):
    with grm(lambda r, j: "Both are short. \\boxed{3, 8}" if "qq" in str(r) else "I refuse.", k=1, retries=0) as model:
        (said,) = model.judge("qq", ["a", "b"]).judgments
        (refused,) = model.judge("q", ["a", "b"]).judgments
    assert (said.principles, said.critique) == ("", "Both are short.")
    assert refused.sections == {"critique": "I refuse."}
    apart = replace(said, reasoning="Hm.", divide=None)
    assert apart.sections == {"reasoning": "Hm.", "critique": "Both are short. \\boxed{3, 8}"}
    assert apart == replace(said, reasoning="Hm.")
    with grm(k=1) as model:
        list(model.judge_many([{"id": "a", **ROW}], out=tmp_path / "run"))
    with contextlib.closing(RunStore.open(tmp_path / "run")) as store:
        (stored,) = store.history(0)
    assert stored.principles and stored.sections.keys() == {"principles", "critique", "scores"}
    assert pickle.loads(pickle.dumps(stored)).sections == stored.sections


CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"at": "tree"}'}}
LONG = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": "leaf " * 1000},
    {"role": "assistant", "content": "Green."},
]


def test_tools_beside_the_query_are_shown_and_kept(tmp_path):
    look = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    with grm(k=1) as model:
        model.judge("Which colour?", ["Green.", LONG], tools=[look])
        row = {"id": "a", "prompt": "Which colour?", "responses": ["Green.", "Red."], "tools": [look]}
        list(model.judge_many([row], out=tmp_path / "run"))
        texts = [request.messages[-1].content for request in model.engine.requests]
    assert all(
        '[Tool 1: "look" k7n9]\n{"type": "object"}\n[End of tools k7n9]\nWhich colour?\n' in text for text in texts
    )
    with contextlib.closing(RunStore.open(tmp_path / "run")) as store:
        assert store.item(0).messages[0].tools == (Tool("look", "", '{"type": "object"}'),)


def test_trajectories_are_judged_and_cut_only_to_a_declared_budget(tmp_path):
    with grm(k=1) as model:
        model.judge("Which colour?", [LONG, "Green."])
        whole = model.engine.requests[0].messages[-1].content
    assert whole.count("leaf") == 1000 and "[Left out" not in whole
    with grm(k=2, trajectory_chars=500) as model:
        list(
            model.judge_many(
                [{"id": "a", "prompt": "Which colour?", "responses": [LONG, "Green."]}], out=tmp_path / "run"
            )
        )
        short = model.engine.requests[0].messages[-1].content
    assert short.count("leaf") < 100 and short.count("characters, to keep to trajectory_chars") == 1
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["trajectory_chars"] == 500
    with contextlib.closing(RunStore.open(tmp_path / "run")) as store:
        assert str(store.item(0).responses[0]).count("leaf") == 1000
    with grm(k=2) as model, pytest.raises(ResumeRefusedError, match="trajectory_chars"):
        list(
            model.judge_many(
                [{"id": "a", "prompt": "Which colour?", "responses": [LONG, "Green."]}],
                out=tmp_path / "run",
                resume=True,
            )
        )


PNG = "data:image/png;base64,iVBORw0KGgo="
SEEN = [
    {"role": "user", "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PNG}}]}
]


async def test_images_are_passed_on_counted_and_kept_by_reference(tmp_path):
    answer = completion([choice(judgment_text([3, 8]))])
    async with ChatServer(replies(answer)) as server:
        async with GRM("openai:m", base_url=server.base_url, k=2, n_per_request=1, ordering="fixed") as model:
            rows = [{"id": "a", "messages": SEEN, "responses": ["A dot.", "A cat."]}]
            assert [v.best async for v in model.ajudge_many(rows, out=tmp_path / "run")] == [1]
            with contextlib.closing(RunStore.open(tmp_path / "run")) as store:
                again = item_to_row(store.item(0))
            with pytest.raises(TemplateError, match="no more than the reference that a run kept"):
                await model.ajudge(again)
        bodies = [call.body for call in server.chats]
    content = bodies[0]["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["text", "text", "image_url"]
    assert "[Image 1 " in content[0]["text"] and content[1]["text"] == "Image 1:"
    assert content[2] == {"type": "image_url", "image_url": {"url": PNG}}
    with contextlib.closing(RunStore.open(tmp_path / "run")) as store:
        assert store.images() == len(bodies)
        (kept,) = store.requests(0)[0].prompt[-1].images
        assert store.item(0).messages[0].images == (kept,) and kept.startswith("image:png;blake2b=")
    assert PNG.encode() not in b"".join(path.read_bytes() for path in (tmp_path / "run").iterdir())


def test_images_are_refused_by_an_engine_that_reads_text():
    with grm(k=1) as model, pytest.raises(TemplateError, match="has an image, and scripted:scripted reads text only"):
        model.judge(SEEN, ["a", "b"])
