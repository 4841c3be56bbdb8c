import asyncio
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from engines.tiny_models import save_model, save_tokenizer
from spct.engines import load_engine
from spct.engines.chat_tokenizer import ChatTokenizer
from spct.engines.engine import SampleRequest
from spct.engines.transformers import TransformersEngine
from spct.errors import (
    ContextLengthError,
    EngineError,
    EngineMissingError,
    InputError,
    RejectedError,
    WeightsError,
)
from spct.types import Message, Usage
from spct.weights import ModelFile

ASK = (Message("user", "hello"),)
OTHER = (Message("system", "be brief"), Message("user", "a longer question, é"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def engine(path: Path):
    engine = TransformersEngine(str(path), device="cpu")
    yield engine
    asyncio.run(engine.close())  # the engine belongs to no event loop


async def test_samples_counts_and_usage(engine: TransformersEngine) -> None:
    batch = await engine.sample(SampleRequest(ASK, n=3, seed=11, temperature=1.0, max_tokens=9))
    assert [s.seed for s in batch.samples] == [11, 12, 13]
    assert await engine.count_tokens(ASK) == len("hello") + 3
    produced = sum(s.completion_tokens or 0 for s in batch.samples)
    assert batch.usage == Usage(prompt_tokens=8, completion_tokens=produced, requests=1)
    assert all((s.completion_tokens == 9) == (s.finish_reason == "length") for s in batch.samples)


async def test_sample_j_is_that_of_its_own_seed(engine: TransformersEngine) -> None:
    many = await engine.sample(SampleRequest(ASK, n=11, seed=5, temperature=0.9, max_tokens=12))
    lone = await asyncio.gather(
        *(engine.sample(SampleRequest(ASK, seed=5 + j, temperature=0.9, max_tokens=12)) for j in range(11))
    )
    assert [s.text for s in many.samples] == [batch.samples[0].text for batch in lone]
    assert len({s.text for s in many.samples}) == 11


async def test_requests_of_all_kinds_share_a_batch(engine: TransformersEngine) -> None:
    requests = [
        SampleRequest(ASK, n=2, seed=1, temperature=0.9, max_tokens=5),
        SampleRequest(OTHER, n=3, seed=1, temperature=0.0, max_tokens=15, top_logprobs=2),
        SampleRequest(OTHER, n=1, seed=1, temperature=1.5, top_p=0.5, max_tokens=10),
    ]
    alone = [await engine.sample(request) for request in requests]
    together = await asyncio.gather(*(engine.sample(request) for request in requests))
    assert [[s.text for s in batch.samples] for batch in together] == [[s.text for s in b.samples] for b in alone]
    assert len({s.text for s in together[1].samples}) == 1


async def test_logprobs_cover_the_text(engine: TransformersEngine) -> None:
    request = SampleRequest(ASK, n=2, seed=3, temperature=1.0, max_tokens=40, top_logprobs=4)
    for sample in (await engine.sample(request)).samples:
        assert sample.logprobs is not None
        assert len(sample.logprobs) == sample.completion_tokens
        assert "".join(token.token for token in sample.logprobs) == sample.text
        assert all(len(token.top) == 4 and token.logprob <= 0 for token in sample.logprobs)
        assert all(
            [value for _, value in t.top] == sorted((v for _, v in t.top), reverse=True) for t in sample.logprobs
        )
    plain = await engine.sample(SampleRequest(ASK, n=2, seed=3, temperature=1.0, max_tokens=40))
    assert all(sample.logprobs is None for sample in plain.samples)


async def test_capabilities(engine: TransformersEngine) -> None:
    await engine.start()
    can = engine.capabilities
    assert (can.seeding, can.logprobs, can.grammar, can.shares_prefill) == ("sample", True, None, True)
    assert can.context_tokens == 256
    assert set(can.special_tokens) == {"<|end|>", "<|user|>", "<|assistant|>"}


@pytest.mark.parametrize(("batch", "in_flight"), [(1, 8), (8, 16), (256, 512)])
def test_enough_requests_in_flight_to_fill_a_batch_of_one_sample_each(batch: int, in_flight: int) -> None:
    assert TransformersEngine("not loaded", batch=batch).capabilities.concurrency == in_flight


async def test_context_is_checked_before_sampling(engine: TransformersEngine, path: Path) -> None:
    with pytest.raises(ContextLengthError, match="lower max_tokens") as caught:
        await engine.sample(SampleRequest(ASK, max_tokens=249))
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (8, 256)
    small = TransformersEngine(str(path), device="cpu", context_tokens=20)
    with pytest.raises(ContextLengthError, match="context of 20"):
        await small.sample(SampleRequest(ASK, max_tokens=13))
    await small.close()


async def test_a_chat_template_that_refuses_a_role(engine: TransformersEngine) -> None:
    with pytest.raises(RejectedError, match="refuses messages of user, tool: no tools"):
        await engine.sample(SampleRequest((*ASK, Message("tool", "42"))))


async def test_a_model_without_chat_template(tmp_path: Path) -> None:
    save_model(tmp_path, template=None)
    with pytest.raises(EngineError, match=r"no chat template.*expected an instruction-tuned model"):
        await TransformersEngine(str(tmp_path)).start()


async def test_models_that_cannot_be_loaded(tmp_path: Path, path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be loaded as a causal language model"):
        await TransformersEngine(str(tmp_path)).start()
    save_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(WeightsError, match="nonsense"):
        await TransformersEngine(str(tmp_path)).start()
    with pytest.raises(WeightsError):
        await TransformersEngine(str(tmp_path / "missing.gguf")).start()


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="dtype 'int4': expected one of auto, float32"):
        TransformersEngine("x", dtype="int4")
    with pytest.raises(InputError, match="batch 0"):
        TransformersEngine("x", batch=0)


async def test_adapters_need_peft(path: Path) -> None:
    try:
        import peft  # noqa: F401
    except ImportError:
        with pytest.raises(EngineMissingError, match="pip install peft"):
            await TransformersEngine(str(path), lora=["adapter"]).start()
    else:
        pytest.skip("PEFT is installed")


async def test_close_ends_waiting_requests_and_start_begins_anew(path: Path) -> None:
    engine = load_engine(f"transformers:{path}", device="cpu", batch=1, threads=1)
    await engine.start()
    waiting = [asyncio.ensure_future(engine.sample(SampleRequest(ASK, n=400, max_tokens=200))) for _ in range(3)]
    await asyncio.sleep(0.05)
    await engine.close()
    await engine.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, EngineError) and "closed" in str(result) for result in results)
    assert len((await engine.sample(SampleRequest(ASK, max_tokens=3))).samples) == 1
    await engine.close()


async def test_a_cancelled_request_leaves_the_others_alone(engine: TransformersEngine) -> None:
    cancelled = asyncio.ensure_future(engine.sample(SampleRequest(ASK, n=400, max_tokens=200)))
    await asyncio.sleep(0.02)
    cancelled.cancel()
    other = await engine.sample(SampleRequest(ASK, temperature=0, max_tokens=4))
    assert cancelled.cancelled()
    assert other.samples[0].completion_tokens == 4


def tokens_of(text: str, path: Path) -> tuple[ChatTokenizer, list[int]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    return ChatTokenizer(tokenizer, "tiny"), tokenizer.encode(text, add_special_tokens=False)


def test_pieces_give_a_character_to_its_last_token(path: Path) -> None:
    chat, ids = tokens_of("é 8🙂", path)
    assert len(ids) == 8  # one per byte
    pieces = [piece for piece, _ in chat.pieces(ids, [[] for _ in ids])]
    assert pieces == ["", "é", " ", "8", "", "", "", "🙂"]
    cut = [piece for piece, _ in chat.pieces(ids[:-1], [[] for _ in ids[:-1]])]
    assert "".join(cut) == chat.decode(ids[:-1])


def test_alternatives_are_decoded_in_place(path: Path) -> None:
    chat, ids = tokens_of("a 8", path)
    _, nine = tokens_of("9", path)
    assert chat.pieces(ids, [[], [], nine])[2] == ("8", ["9"])


async def test_a_gguf_file(smollm2: ModelFile) -> None:
    engine = TransformersEngine(smollm2.name, device="cpu")
    ask = (Message("user", "What is the capital of France? Answer in one word."),)
    batch = await engine.sample(SampleRequest(ask, n=2, temperature=0, max_tokens=12, top_logprobs=3))
    assert "Paris" in batch.samples[0].text
    assert batch.samples[0].text == batch.samples[1].text
    assert "".join(token.token for token in batch.samples[0].logprobs or ()) == batch.samples[0].text
    assert "<|im_start|>" in engine.capabilities.special_tokens
    assert engine.capabilities.context_tokens == 8192
    await engine.close()
