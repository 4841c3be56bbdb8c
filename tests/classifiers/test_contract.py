"""What every scalar model keeps to, whether it scores one response or compares two: a row each in ``ROWS``."""

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from servers.behaviours import choice, completion, fails
from servers.chat import ChatServer, write_reply
from servers.classify import classifies
from spct.classifiers import (
    PAIR_SCORERS,
    SCORERS,
    Conversation,
    Pair,
    PairScorer,
    Score,
    Scorer,
    load_pairs,
    load_scorer,
)
from spct.errors import ContextLengthError
from spct.types import Message

KEY = "a-key-that-nobody-may-see"
LONGEST = 256
"""Characters that the local servers take, and tokens that the tiny models read: a token a byte."""
QUERY = (Message("user", "2+2?"),)
ANSWERS = ["4", "It is five.", "Four, I would say, and I am sure of it.", "no"]
Model = Scorer | PairScorer


@dataclass(frozen=True)
class Given:
    """What a row may build its model from."""

    tmp_path: Path
    classify: ChatServer
    attributes: ChatServer

    def tiny(self, save: str, **config: Any) -> str:
        pytest.importorskip("transformers")
        return f"classifier:{getattr(importlib.import_module('classifiers.tiny_classifiers'), save)(self.tmp_path, **config)}"


ROWS: dict[str, Callable[[Given], Model]] = {
    "score classifier": lambda given: load_scorer(given.tiny("save_decoder", context=LONGEST), device="cpu"),
    "score remote": lambda given: load_scorer("remote:m", base_url=given.classify.base_url, api_key=KEY),
    "score attributes": lambda given: load_scorer("attributes:m", base_url=given.attributes.base_url, api_key=KEY),
    "compare classifier": lambda given: load_pairs(given.tiny("save_encoder"), device="cpu"),
}


async def numbers(model: Model, answers: Sequence[str]) -> list[Score]:
    """The scores of ``answers`` to one query; a model of pairs compares each with the answer "yes"."""
    if hasattr(model, "score"):
        return await model.score([talk(answer) for answer in answers])
    return await model.compare([Pair(QUERY, answer, "yes") for answer in answers])


def talk(answer: str) -> Conversation:
    return (*QUERY, Message("assistant", answer))


async def starts_twice(model: Model) -> None:
    await model.start()
    await model.start()


async def says_what_it_is(model: Model) -> None:
    kind, _, name = model.model_id.partition(":")
    assert kind and name
    assert json.loads(json.dumps(dict(model.protocol))) == model.protocol
    assert all(isinstance(value, (str, int, float, bool, type(None))) for value in model.protocol.values())
    assert KEY not in f"{model.model_id} {model.protocol}"
    assert isinstance(model.capabilities.special_tokens, tuple)


async def gives_one_number_an_answer_in_order(model: Model) -> None:
    found = await numbers(model, ANSWERS)
    assert [score.problem for score in found] == [None] * len(ANSWERS)
    values = [score.value for score in found]
    assert len(set(values)) == len(ANSWERS)
    assert [score.value for score in await numbers(model, ANSWERS[::-1])] == pytest.approx(values[::-1], abs=1e-4)
    assert [(await numbers(model, [answer]))[0].value for answer in ANSWERS] == pytest.approx(values, abs=1e-4)


async def gives_nothing_for_nothing(model: Model) -> None:
    assert await numbers(model, []) == []


async def answers_many_tasks_at_once(model: Model) -> None:
    one_by_one = [score.value for score in await numbers(model, ANSWERS)]
    at_once = await asyncio.gather(*(numbers(model, [answer]) for answer in ANSWERS))
    assert [score.value for (score,) in at_once] == pytest.approx(one_by_one, abs=1e-4)


async def cuts_nothing_short(model: Model) -> None:
    with pytest.raises(ContextLengthError):
        await numbers(model, ["4", "x" * LONGEST])
    assert (await numbers(model, ["4"]))[0].value is not None


async def closes_twice_and_opens_again(model: Model) -> None:
    before = await numbers(model, ANSWERS[:1])
    await model.close()
    await model.close()
    assert await numbers(model, ANSWERS[:1]) == before


PROMISES = [
    starts_twice,
    says_what_it_is,
    gives_one_number_an_answer_in_order,
    gives_nothing_for_nothing,
    answers_many_tasks_at_once,
    cuts_nothing_short,
    closes_twice_and_opens_again,
]


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Given]:
    async def attributes(call: Any, writer: asyncio.StreamWriter) -> None:
        """One attribute, the length of the response; 400 for what is too long, in the words of vLLM."""
        length = len(call.body["messages"][-1]["content"])
        if length < LONGEST:
            await write_reply(writer, 200, completion([choice(f"helpfulness:{length}")]))
        else:
            await fails(400, f"This model's maximum context length is {LONGEST} tokens.")(call, writer)

    by_length = classifies(lambda prompt, answer: [float(len(answer))], LONGEST)
    async with ChatServer(by_length) as classify, ChatServer(attributes) as other:
        yield Given(tmp_path, classify, other)


@pytest.mark.parametrize("row", ROWS)
async def test_a_scalar_model_keeps_its_promises(row: str, given: Given) -> None:
    """All on one model, in order: it is loaded once."""
    model = ROWS[row](given)
    try:
        for promise in PROMISES:
            await promise(model)
    finally:
        await model.close()


def test_every_model_has_a_row() -> None:
    assert set(ROWS) == {*(f"score {kind}" for kind in SCORERS), *(f"compare {kind}" for kind in PAIR_SCORERS)}
