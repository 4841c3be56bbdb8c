"""The llamacpp engine on the real 135M model. Texts are compared with each other, not with a record: CPUs differ."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engines.adapters import own_cache, write_lora
from spct import weights
from spct.engines import Engine, SampleRequest, load_engine
from spct.errors import ContextLengthError, InputError, RejectedError, RequestError, WeightsError
from spct.types import Message, TokenLogprob
from spct.weights import ModelFile

pytest.importorskip("xllamacpp")

CAPITAL = (Message("user", "Name the capital city of France."),)
COMPARE = (
    Message("system", "You compare answers."),
    Message("user", "Which answer is better, and why?\n" + "A: the moon is rock and dust. B: it is cheese.\n" * 22),
)
ENDLESS = SampleRequest(CAPITAL, n=8, temperature=1.0, max_tokens=3000, grammar="root ::= [a-z ] root")


@pytest.fixture(scope="module")
def engine(smollm2: ModelFile) -> Iterator[Engine]:
    # one thread: two would wait for each other by spinning, which is slow where other tests share the cores
    engine = load_engine("llamacpp:smollm2-135m", threads=1)
    asyncio.run(engine.start())
    yield engine
    asyncio.run(engine.close())


async def texts(engine: Engine, request: SampleRequest) -> list[str]:
    return [sample.text for sample in (await engine.sample(request)).samples]


async def test_greedy_answer_stops_at_the_end_of_the_turn(engine: Engine) -> None:
    batch = await engine.sample(SampleRequest(CAPITAL, temperature=0.0, max_tokens=30))
    (sample,) = batch.samples
    assert (sample.text, sample.finish_reason) == ("The capital city of France is Paris.", "stop")
    assert sample.completion_tokens == 9  # eight words and marks, and the end of the turn
    assert (batch.usage.prompt_tokens, batch.usage.completion_tokens) == (37, 9)


async def test_length_is_reported(engine: Engine) -> None:
    (sample,) = (await engine.sample(SampleRequest(CAPITAL, temperature=0.0, max_tokens=3))).samples
    assert (sample.text, sample.finish_reason, sample.completion_tokens) == ("The capital city", "length", 3)


async def test_what_was_asked_before_changes_no_sample(engine: Engine) -> None:
    """Trap: where a prompt is kept for later requests, the same one asked again gives other log-probabilities by 0.03."""
    request = SampleRequest((Message("user", "Tell a story of a cat."),), 4, 1000, 0.8, max_tokens=6, top_logprobs=1)
    first, again = (await engine.sample(request)).samples, (await engine.sample(request)).samples
    assert [sample.logprobs for sample in first] == [sample.logprobs for sample in again]
    begins_alike = (Message("user", "Tell a story of a cat and of the dog that it feared."),)
    await engine.sample(replace(request, messages=begins_alike))
    assert [sample.logprobs for sample in (await engine.sample(request)).samples] == [s.logprobs for s in first]


async def test_a_sample_is_its_prompt_and_its_seed(engine: Engine) -> None:
    """Trap: in one shared cache, or with flash attention, these groupings give different texts."""
    request = SampleRequest(COMPARE, n=8, seed=100, temperature=0.9, max_tokens=16)
    together = await texts(engine, request)
    assert len(set(together)) == 8
    alone = [(await texts(engine, SampleRequest(COMPARE, 1, 100 + j, 0.9, max_tokens=16)))[0] for j in (0, 3, 7)]
    assert alone == [together[0], together[3], together[7]]
    busy = asyncio.gather(*(texts(engine, SampleRequest(CAPITAL, 2, s, 1.0, max_tokens=40)) for s in (1, 9)))
    halves = await asyncio.gather(
        texts(engine, SampleRequest(COMPARE, 3, 100, 0.9, max_tokens=16)),
        texts(engine, SampleRequest(COMPARE, 5, 103, 0.9, max_tokens=16)),
    )
    assert halves[0] + halves[1] == together
    await busy
    assert await texts(engine, request) == together


async def test_more_samples_than_sequences(engine: Engine) -> None:
    """Trap: llama.cpp refuses n beyond its slots."""
    batch = await engine.sample(SampleRequest(CAPITAL, n=11, seed=40, temperature=1.0, max_tokens=8))
    assert [sample.seed for sample in batch.samples] == list(range(40, 51))
    assert batch.usage.requests == 2
    last = await texts(engine, SampleRequest(CAPITAL, n=1, seed=50, temperature=1.0, max_tokens=8))
    assert batch.samples[10].text == last[0]


async def test_every_sample_is_counted_and_the_prompt_once(smollm2: ModelFile) -> None:
    """Trap: usage counts one choice. A fresh engine, so that nothing of the prompt is cached."""
    engine = load_engine(f"llamacpp:{smollm2.path}", threads=1, parallel=4, context_tokens=1024)
    batch = await engine.sample(SampleRequest(COMPARE, n=4, temperature=0.9, max_tokens=12))
    assert (engine.configuration["encoding"], engine.configuration["threads"]) == ("Q4_1", 1)
    prompt_tokens = await engine.count_tokens(COMPARE)
    await engine.close()
    counts = [sample.completion_tokens for sample in batch.samples]
    assert all(count and count <= 12 for count in counts)
    assert batch.usage.completion_tokens == sum(count or 0 for count in counts) > 12
    assert (batch.usage.prompt_tokens, batch.usage.cached_tokens) == (prompt_tokens, 0)


async def test_log_probabilities_cover_the_text(engine: Engine) -> None:
    grammar = 'root ::= "🦜 日本語 \\\\boxed{" [1-9] "}"'
    request = SampleRequest(CAPITAL, n=3, temperature=0.7, max_tokens=40, grammar=grammar, top_logprobs=4)
    for sample in (await engine.sample(request)).samples:
        assert sample.logprobs is not None
        assert "".join(token.token for token in sample.logprobs) == sample.text
        assert all(isinstance(token, TokenLogprob) and token.logprob <= 0 for token in sample.logprobs)
        assert {len(token.top) for token in sample.logprobs} == {4}
    (plain,) = (await engine.sample(SampleRequest(CAPITAL, temperature=0.0, max_tokens=4))).samples
    assert plain.logprobs is None


async def test_log_probabilities_are_the_models_own(engine: Engine) -> None:
    """They do not depend on the temperature the sample was drawn with."""
    firsts = []
    for temperature in (0.0, 0.3, 1.5):
        request = SampleRequest(CAPITAL, temperature=temperature, max_tokens=1, top_logprobs=3)
        (sample,) = (await engine.sample(request)).samples
        assert sample.logprobs is not None
        firsts.append(sample.logprobs[0].top)
    assert firsts[0] == firsts[1] == firsts[2]


async def test_grammar_is_obeyed_and_a_broken_one_refused(engine: Engine) -> None:
    grammar = 'root ::= "\\\\boxed{" [1-9] ", " [1-9] "}"'
    for text in await texts(engine, SampleRequest(COMPARE, n=8, temperature=1.0, max_tokens=40, grammar=grammar)):
        assert text.startswith("\\boxed{") and len(text) == 12 and text[7].isdigit() and text[10].isdigit()
    with pytest.raises(RejectedError, match="failed to parse grammar"):
        await engine.sample(SampleRequest(CAPITAL, grammar="root ::= ("))


async def test_what_does_not_fit_is_refused_before_sampling(engine: Engine) -> None:
    with pytest.raises(
        ContextLengthError, match=r"the prompt has 37 tokens and the completion may have 4060, .* context of 4096"
    ) as caught:
        await engine.sample(SampleRequest(CAPITAL, max_tokens=4060))
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (37, 4096)
    with pytest.raises(ContextLengthError):
        await engine.sample(SampleRequest((Message("user", "word " * 9000),), max_tokens=1))
    with pytest.raises(RejectedError, match="JSON"):
        await engine.sample(SampleRequest((Message("user", "\ud800"),)))


async def test_control_tokens_in_a_message_are_read_as_such(engine: Engine) -> None:
    """Trap: one token each, so a response could end its own turn. Templates shield what ``special_tokens`` names."""
    special = engine.capabilities.special_tokens
    assert {"<|im_start|>", "<|im_end|>", "<|endoftext|>", "<repo_name>"} <= set(special)
    for token in special:
        spelled = await engine.count_tokens((Message("user", f"a {token} b"),))
        without = await engine.count_tokens((Message("user", "a  b"),))
        broken = await engine.count_tokens((Message("user", f"a {token[0]}\u200b{token[1:]} b"),))
        assert spelled is not None and without is not None and broken is not None
        assert spelled <= without + 2 < broken


async def test_cancelled_request_stops_and_others_go_on(engine: Engine) -> None:
    task = asyncio.create_task(engine.sample(ENDLESS))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # all eight sequences would be taken for 24,000 more tokens if the request had not been stopped
    assert len(await texts(engine, SampleRequest(CAPITAL, n=8, max_tokens=4))) == 8


async def test_close_ends_what_is_running_and_start_begins_anew(smollm2: ModelFile) -> None:
    engine = load_engine("llamacpp:smollm2-135m", threads=1, encoding="Q4_1")
    await asyncio.gather(engine.start(), engine.start())
    tasks = [asyncio.create_task(engine.sample(ENDLESS)) for _ in range(3)]
    await asyncio.sleep(0.3)
    await engine.close()
    await engine.close()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, RequestError | asyncio.CancelledError)
    assert "Paris" in (await texts(engine, SampleRequest(CAPITAL, temperature=0.0, max_tokens=20)))[0]
    await engine.close()


async def greedy_with(lora: str) -> list[str]:
    engine = load_engine("llamacpp:smollm2-135m", threads=1, parallel=1, context_tokens=512, lora=[lora])
    try:
        return await texts(engine, SampleRequest(COMPARE[:1] + CAPITAL, temperature=0.0, max_tokens=24))
    finally:
        await engine.close()


async def test_lora(tmp_path: Path, engine: Engine) -> None:
    plain = await texts(engine, SampleRequest(COMPARE[:1] + CAPITAL, temperature=0.0, max_tokens=24))
    zero, strong = write_lora(tmp_path / "zero.gguf", 0.0), write_lora(tmp_path / "strong.gguf", 1.0)
    assert await greedy_with(str(zero)) == plain
    assert await greedy_with(str(strong)) != plain
    assert await greedy_with(f"{strong}=0") == plain
    assert load_engine("llamacpp:m", lora=[f"{strong}=0.5"]).model_id == "llamacpp:m+strong.gguf=0.5"


async def first_token(name: str, **options: object) -> dict[str, float]:
    """Log-probabilities of the likeliest first tokens."""
    engine = load_engine(f"llamacpp:{name}", threads=1, parallel=1, context_tokens=512, **options)
    try:
        batch = await engine.sample(SampleRequest(CAPITAL, temperature=0.0, max_tokens=1, top_logprobs=20))
    finally:
        await engine.close()
    assert batch.samples[0].logprobs
    return dict(batch.samples[0].logprobs[0].top)


async def test_lora_beside_the_weights_is_lora_merged_into_them(
    tmp_path: Path, smollm2: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPCT_CACHE", str(own_cache(tmp_path)))
    adapter = write_lora(tmp_path / "adapter.gguf", 0.2)
    plain, beside = await first_token("smollm2-135m"), await first_token("smollm2-135m", lora=[str(adapter)])
    merged = await first_token(str(weights.merged("smollm2-135m", [weights.Lora(adapter)], "F16").path))
    assert divergence(beside, merged) < divergence(beside, plain) / 10


def divergence(p: dict[str, float], q: dict[str, float]) -> float:
    """KL(p || q) over the tokens listed in p; one that q does not list is taken for its least likely."""
    return sum(math.exp(value) * (value - q.get(token, min(q.values()))) for token, value in p.items())


async def test_unusable_lora_is_one_clear_error(tmp_path: Path, smollm2: ModelFile) -> None:
    for path, message in [
        (tmp_path / "none.gguf", "none.gguf does not exist"),
        (smollm2.path, "is not a LoRA adapter"),
        (write_lora(tmp_path / "qwen.gguf", 1.0, architecture="qwen2"), "made for qwen2 models, this one is llama"),
        (write_lora(tmp_path / "wide.gguf", 1.0, width=640), "llama.cpp cannot load .* with .*wide.gguf"),
    ]:
        with pytest.raises(WeightsError, match=message):
            await greedy_with(str(path))
    with pytest.raises(InputError, match="expected PATH or PATH=SCALE with a number"):
        load_engine("llamacpp:m", lora=["adapter.gguf=high"])


async def test_unusable_model_or_option(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not a model")
    with pytest.raises(WeightsError, match="is not a GGUF file"):
        await load_engine(f"llamacpp:{broken}").start()
    with pytest.raises(WeightsError, match="is not known"):
        await load_engine("llamacpp:no-such-model").start()
    with pytest.raises(InputError, match="parallel is 0"):
        load_engine("llamacpp:smollm2-135m", threads=1, parallel=0)
