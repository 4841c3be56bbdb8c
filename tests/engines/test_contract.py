"""What every engine promises, whatever stands behind it. A new engine adds one row to ``ROWS``."""

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from servers import behaviours as does
from servers.chat import ChatServer
from spct.engines import ENGINES, Engine, SampleBatch, SampleRequest, engine_options, load_engine
from spct.engines.http.presets import PRESETS
from spct.errors import ContextLengthError, EngineMissingError, InputError
from spct.types import FinishReason, Message

HELLO = SampleRequest((Message("user", "Say hello."),), n=3, seed=500, temperature=0.9, max_tokens=6)
KEY = "sk-verysecret-0123456789abcdef"
MINE = ["<mine>", "ENDTURN"]
BEGUN = Message("assistant", "1, 2, 3, 4")
COUNT = SampleRequest((Message("user", "Say the numbers from 1 to 9, separated by commas."), BEGUN), max_tokens=4)
OTHER = SampleRequest((Message("system", "Be brief."), Message("user", "Name a colour.")), n=2, max_tokens=5)


@dataclass(frozen=True)
class Given:
    """What a row may build its engine from."""

    request: pytest.FixtureRequest
    tmp_path: Path
    server: ChatServer

    def tiny_model(self, family: str = "llama") -> Path:
        pytest.importorskip("transformers")
        return importlib.import_module("engines.tiny_models").save_model(self.tmp_path, family)

    def script(self) -> Path:
        path = self.tmp_path / "script.py"
        path.write_text("def say(request, j):\n    return f'{request.messages[-1].content} {request.seed + j}'\n")
        return path

    def smollm2(self) -> str:
        return str(self.request.getfixturevalue("smollm2").name)


def behind_http(preset: str, given: Given) -> Engine:
    return load_engine(
        f"{preset}:m",
        base_url=given.server.base_url + "?key=verysecret",
        api_key=KEY,
        headers={"x-team": "verysecret-team"},
        special_tokens=MINE,
    )


ROWS: dict[str, Callable[[Given], Engine]] = {
    "scripted": lambda given: load_engine(f"scripted:{given.script()}:say", special_tokens=MINE),
    **{preset: partial(behind_http, preset) for preset in PRESETS},
    "transformers": lambda given: load_engine(f"transformers:{given.tiny_model()}", device="cpu", special_tokens=MINE),
    "vllm": lambda given: load_engine(
        f"vllm:{given.tiny_model('llama_wide')}",
        dtype="float32",
        cache_gb=0.25,
        arguments={"enforce_eager": True},
        special_tokens=MINE,
    ),
    "llamacpp": lambda given: load_engine(f"llamacpp:{given.smollm2()}", context_tokens=1024, special_tokens=MINE),
    "openvino": lambda given: load_engine(f"openvino:{given.smollm2()}", context_tokens=1024, special_tokens=MINE),
    "embedded": lambda given: load_engine(f"embedded:{given.smollm2()}", special_tokens=MINE),
}


async def names_itself(engine: Engine, kind: str) -> None:
    assert engine.model_id.partition(":")[2]
    assert kind == "embedded" or engine.model_id.startswith(f"{kind}:")


async def starts_twice(engine: Engine, kind: str) -> None:
    await engine.start()
    await engine.start()


async def says_what_is_in_effect(engine: Engine, kind: str) -> None:
    """Flat JSON values, the grammar as in the capabilities, and no secret among them."""
    configuration = dict(engine.configuration)
    assert configuration["grammar"] == engine.capabilities.grammar
    assert {type(value) for value in configuration.values()} <= {str, int, float, bool, type(None)}
    assert all(isinstance(note, str) and note for note in engine.notes)
    assert "verysecret" not in json.dumps([configuration, engine.notes, engine.model_id], allow_nan=False)


async def keeps_out_the_tokens_it_was_told_of(engine: Engine, kind: str) -> None:
    """Beside those of its own tokenizer; and a run says which."""
    assert engine.capabilities.special_tokens[-2:] == ("<mine>", "ENDTURN")
    assert len(engine.capabilities.special_tokens) > 2 or kind in (*PRESETS, "scripted")
    assert engine.configuration["special_tokens"] == "<mine> ENDTURN"


async def gives_n_samples_in_seed_order(engine: Engine, kind: str) -> None:
    batch = await engine.sample(HELLO)
    assert [sample.seed for sample in batch.samples] == [500, 501, 502]
    assert all(isinstance(sample.text, str) for sample in batch.samples)
    assert {sample.finish_reason for sample in batch.samples} <= set(get_args(FinishReason))
    assert batch.usage.requests >= 1
    assert batch.usage.prompt_tokens > 0
    assert 0 < batch.usage.completion_tokens <= 3 * 3 * HELLO.max_tokens


async def answers_many_requests_at_once(engine: Engine, kind: str) -> None:
    requests = [replace(HELLO if i % 2 else OTHER, seed=1000 * i) for i in range(5)]
    batches = await asyncio.gather(*(engine.sample(request) for request in requests))
    for request, batch in zip(requests, batches, strict=True):
        assert [sample.seed for sample in batch.samples] == [request.seed + j for j in range(request.n)]


async def keeps_its_word_on_seeds(engine: Engine, kind: str) -> None:
    if kind == "embedded":
        assert engine.capabilities.seed_alone is not None  # it has measured that
    if engine.capabilities.seeding == "sample" and engine.capabilities.seed_alone is not False:
        together, again = await engine.sample(HELLO), await engine.sample(HELLO)
        lone = [await engine.sample(replace(HELLO, n=1, seed=HELLO.seed + j)) for j in range(HELLO.n)]
        assert [s.text for s in together.samples] == [batch.samples[0].text for batch in lone]
        assert [s.text for s in together.samples] == [s.text for s in again.samples]


async def covers_the_text_with_logprobs(engine: Engine, kind: str) -> None:
    if not engine.capabilities.logprobs or kind in PRESETS:  # the local server has no tokens to tell of
        return
    for sample in (await engine.sample(replace(HELLO, top_logprobs=3))).samples:
        assert sample.logprobs is not None
        assert "".join(token.token for token in sample.logprobs) == sample.text
        assert all(token.logprob <= 1e-6 and len(token.top) >= 1 for token in sample.logprobs)


async def ignores_a_grammar_it_lacks(engine: Engine, kind: str) -> None:
    if engine.capabilities.grammar is None:
        assert len((await engine.sample(replace(HELLO, grammar='root ::= "x"'))).samples) == HELLO.n
    elif kind not in PRESETS:
        batch = await engine.sample(replace(HELLO, grammar='root ::= "yes" | "no"'))
        assert {sample.text.strip() for sample in batch.samples} <= {"yes", "no"}


async def counts_tokens_or_says_it_cannot(engine: Engine, kind: str) -> None:
    short, long = await engine.count_tokens(HELLO.messages), await engine.count_tokens(HELLO.messages * 3)
    assert (short is None) == (long is None)
    assert short is None or long is None or 0 < short < long


async def goes_on_from_a_begun_turn(engine: Engine, kind: str) -> None:
    if not engine.capabilities.continues:
        return
    (sample,) = (await engine.sample(replace(COUNT, temperature=0.0))).samples
    if kind in ("llamacpp", "openvino", "embedded"):  # the model that can count
        assert sample.text.startswith(", 5")
    before, after = await engine.count_tokens(COUNT.messages[:-1]), await engine.count_tokens(COUNT.messages)
    if kind in ("transformers", "vllm"):  # a token a byte, and no end of the turn behind them
        assert before is not None and after is not None and after - before == len(BEGUN.content)


async def refuses_what_does_not_fit(engine: Engine, kind: str) -> None:
    context_tokens = engine.capabilities.context_tokens
    if context_tokens is not None:
        with pytest.raises(ContextLengthError):
            await engine.sample(replace(HELLO, max_tokens=context_tokens))


async def goes_on_after_a_cancelled_request(engine: Engine, kind: str) -> None:
    cancelled = asyncio.ensure_future(engine.sample(replace(HELLO, max_tokens=100)))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert len((await engine.sample(OTHER)).samples) == OTHER.n
    (outcome,) = await asyncio.gather(cancelled, return_exceptions=True)
    assert isinstance(outcome, (asyncio.CancelledError, SampleBatch))  # an engine that never waits is done already


async def closes_twice(engine: Engine, kind: str) -> None:
    await engine.close()
    await engine.close()


PROMISES = [
    names_itself,
    starts_twice,
    says_what_is_in_effect,
    keeps_out_the_tokens_it_was_told_of,
    gives_n_samples_in_seed_order,
    answers_many_requests_at_once,
    keeps_its_word_on_seeds,
    covers_the_text_with_logprobs,
    ignores_a_grammar_it_lacks,
    counts_tokens_or_says_it_cannot,
    goes_on_from_a_begun_turn,
    refuses_what_does_not_fit,
    goes_on_after_a_cancelled_request,
    says_what_is_in_effect,  # after sampling, too
    closes_twice,
]


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with ChatServer(does.honest) as server:
        yield server


@pytest.mark.parametrize("kind", ROWS)
async def test_an_engine_keeps_its_promises(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, server: ChatServer
) -> None:
    """All on one engine, in order: a model is loaded once."""
    try:
        engine = ROWS[kind](Given(request, tmp_path, server))
    except EngineMissingError as error:
        pytest.skip(str(error))
    try:
        for promise in PROMISES:
            await promise(engine, kind)
    finally:
        await engine.close()


def test_every_engine_has_a_row() -> None:
    assert set(ROWS) == set(ENGINES)


def test_an_option_that_a_preset_sets_cannot_be_given() -> None:
    assert "preset" not in engine_options("gemini:m")
    assert load_engine("gemini:m").model_id == "gemini:m"
    with pytest.raises(InputError, match="as groq:NAME"):
        load_engine("openai:m", preset="groq")


@pytest.mark.parametrize("option", [[""], [3], 3, [" "], [None]])
def test_special_tokens_are_strings(option: object) -> None:
    for kind in ("openai:m", f"scripted:{__name__}:ROWS"):
        with pytest.raises(InputError, match="special_tokens: got .*; expected strings as the tokenizer writes them"):
            load_engine(
                kind, special_tokens=option, **({"base_url": "http://127.0.0.1:9/v1"} if "openai" in kind else {})
            )


def test_one_special_token_needs_no_list() -> None:
    engine = load_engine("openai:m", base_url="http://127.0.0.1:9/v1", special_tokens="<|x|>")
    assert engine.capabilities.special_tokens == ("<|x|>",)
    assert "special_tokens" not in load_engine("openai:m", base_url="http://127.0.0.1:9/v1").configuration
