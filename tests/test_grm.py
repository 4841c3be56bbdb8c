import asyncio

import pytest

from spct import GRM, Item, Message
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import EngineUnreachableError, InputError


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
    with pytest.raises(InputError, match="GRM takes no temprature; its settings are adaptive"):
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
