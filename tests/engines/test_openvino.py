"""The OpenVINO engine on the catalogue model: lanes, seeds, grammar, failures. Skips where package or weights lack."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from engines.adapters import own_cache, write_lora
from spct import weights
from spct.engines.chat_text import ChatText
from spct.engines.engine import SampleBatch, SampleRequest
from spct.engines.openvino import OpenVINOEngine
from spct.engines.openvino_model import read_facts
from spct.engines.processor import ISA_LIMITS, this_processor
from spct.errors import ContextLengthError, EngineError, InputError, RequestError, WeightsError
from spct.types import Message

MODEL = "smollm2-135m"
pytestmark = pytest.mark.asyncio(loop_scope="module")
BOX = 'root ::= "- " line "\\n" box\nline ::= [^\\n\\\\]{1,30} "."\n'
BOX += 'box ::= "\\\\boxed{" s ", " s "}"\ns ::= "10" | [1-9]\n'


def ask(
    text: str, n: int = 1, seed: int = 0, temperature: float = 0.7, max_tokens: int = 16, **more: str
) -> SampleRequest:
    return SampleRequest((Message("user", text),), n, seed, temperature, max_tokens=max_tokens, **more)


def texts(batch: SampleBatch) -> list[str]:
    return [sample.text for sample in batch.samples]


def skip_where_samples_do_not_come_again(engine: OpenVINOEngine) -> None:
    if engine.capabilities.seed_alone is False:
        pytest.skip("the processor is kept to AVX2, where samples depend on what is computed together")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[OpenVINOEngine]:
    pytest.importorskip("openvino_genai")
    try:
        weights.resolve(MODEL, fetch=False)
    except WeightsError as error:
        pytest.skip(str(error))
    engine = OpenVINOEngine(MODEL, cache_gb=0.1)
    await engine.start()
    yield engine
    await engine.close()


async def test_shipped_q4_1_is_never_read(engine: OpenVINOEngine) -> None:
    assert weights.resolve(MODEL).encoding == "Q4_1"
    assert engine._facts is not None
    assert weights.file_encoding(engine._facts.path) == "Q8_0"
    assert "re-encoded to Q8_0" in engine.notes[0]


async def test_sample_depends_on_its_seed_alone(engine: OpenVINOEngine) -> None:
    skip_where_samples_do_not_come_again(engine)
    story = "Write two sentences about rivers and the towns beside them, for a reader who has never seen one."
    whole = texts(await engine.sample(ask(story, n=4, seed=40)))
    lone = [texts(await engine.sample(ask(story, seed=40 + j)))[0] for j in range(4)]
    mixed = await asyncio.gather(engine.sample(ask("Why is it dark?", 3, 9)), engine.sample(ask(story, n=4, seed=40)))
    assert lone == whole
    assert texts(mixed[1]) == whole
    assert len(set(whole)) > 1


async def test_prompt_that_ends_with_its_block_can_be_used_again(engine: OpenVINOEngine) -> None:
    """Its last block is in the cache after the first use; lanes that shared it would read garbage."""
    skip_where_samples_do_not_come_again(engine)
    padded = [ask("Name two rivers." + " Thanks." * extra, n=3, seed=8) for extra in range(32)]
    lengths = [await engine.count_tokens(request.messages) or 0 for request in padded]
    request = padded[next(i for i, length in enumerate(lengths) if length % 32 == 0)]
    first = texts(await engine.sample(request))
    assert texts(await engine.sample(request)) == first
    assert "" not in first


async def test_grammar_holds_for_every_sample(engine: OpenVINOEngine) -> None:
    batch = await engine.sample(ask("Score two answers.", n=4, max_tokens=60, grammar=BOX))
    assert all(re.fullmatch(r"- [^\n\\]{1,30}\.\n\\boxed\{(10|[1-9]), (10|[1-9])\}", text) for text in texts(batch))
    assert [sample.finish_reason for sample in batch.samples] == ["stop"] * 4


async def test_bad_grammar_fails_alone(engine: OpenVINOEngine) -> None:
    skip_where_samples_do_not_come_again(engine)
    good = ask("Name a river.", n=2, seed=3)
    before = texts(await engine.sample(good))
    bad, after = await asyncio.gather(
        engine.sample(ask("Hi", grammar='root ::= missing "x"')), engine.sample(good), return_exceptions=True
    )
    assert isinstance(bad, RequestError) and "missing" in str(bad)
    assert isinstance(after, SampleBatch) and texts(after) == before


async def test_counts_and_length(engine: OpenVINOEngine) -> None:
    request = ask("Count from one to fifty in words.", n=2, max_tokens=7, temperature=0.0)
    batch = await engine.sample(request)
    assert [(s.completion_tokens, s.finish_reason, s.seed) for s in batch.samples] == [
        (7, "length", 0),
        (7, "length", 1),
    ]
    assert batch.usage.completion_tokens == 14
    assert batch.usage.prompt_tokens == await engine.count_tokens(request.messages)


async def test_empty_answer_is_a_sample(engine: OpenVINOEngine) -> None:
    batch = await engine.sample(ask("Hi", grammar='root ::= ""'))
    assert [(s.text, s.finish_reason, s.completion_tokens) for s in batch.samples] == [("", "stop", 1)]


async def test_unicode_survives(engine: OpenVINOEngine) -> None:
    batch = await engine.sample(ask("Hi", grammar='root ::= "你好 🙂 é"', max_tokens=30))
    assert texts(batch) == ["你好 🙂 é"]


async def test_too_long_is_told_before_sampling(engine: OpenVINOEngine) -> None:
    with pytest.raises(ContextLengthError) as caught:
        await engine.sample(ask("a", max_tokens=8192))
    assert caught.value.context_tokens == 8192
    with pytest.raises(RequestError, match="raise cache_gb"):
        await engine.sample(ask("a", max_tokens=8000))


async def test_capabilities(engine: OpenVINOEngine) -> None:
    can = engine.capabilities
    assert (can.seeding, can.grammar, can.logprobs) == ("sample", "gbnf", False)
    assert {"<|im_start|>", "<|im_end|>"} <= set(can.special_tokens)


async def test_default_system_prompt_is_the_templates(engine: OpenVINOEngine) -> None:
    assert engine._chat is not None
    assert engine._chat.render((Message("user", "你好 🙂"),)) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\n你好 🙂<|im_end|>\n<|im_start|>assistant\n"
    )


async def test_closing_leaves_nothing_in_the_pipeline(
    engine: OpenVINOEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    """A pipeline that is destroyed with requests in it writes errors about leaked blocks to the user's terminal."""
    other = OpenVINOEngine(MODEL, cache_gb=0.1, threads=1)
    await other.start()
    await other.sample(ask("Name a river."))
    endless = asyncio.create_task(other.sample(ask("Count.", n=3, max_tokens=400)))
    assert other._lanes is not None
    while not any(job.running for job in other._lanes._active):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await other.close()
    with pytest.raises(EngineError, match="closed while this request was in flight"):
        await endless
    assert "leaked" not in capfd.readouterr().err


async def greedy(engine: OpenVINOEngine, close: bool = True) -> str:
    try:
        return texts(await engine.sample(ask("Name the capital city of France.", temperature=0.0)))[0]
    finally:
        if close:
            await engine.close()


async def test_lora_is_merged_into_the_model(
    tmp_path: Path, engine: OpenVINOEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPCT_CACHE", str(own_cache(tmp_path)))
    adapter = write_lora(tmp_path / "adapter.gguf", 1.0)
    plain = await greedy(engine, close=False)
    merged = OpenVINOEngine(MODEL, cache_gb=0.1, threads=1, lora=[str(adapter)])
    assert merged.model_id == "openvino:smollm2-135m+adapter.gguf=1"
    assert await greedy(merged) != plain
    assert merged.notes == ("adapter.gguf=1 merged into smollm2-135m, which OpenVINO reads as one model",)
    assert await greedy(OpenVINOEngine(MODEL, cache_gb=0.1, threads=1, lora=[f"{adapter}=0"])) == plain


def save_ir(path: Path) -> Path:
    """The catalogue model as a folder of OpenVINO's own files, saved by its libraries."""
    import openvino
    import openvino_genai
    from openvino_tokenizers import convert_tokenizer
    from transformers import AutoTokenizer

    file = weights.resolve(MODEL, encoding="Q8_0").path
    (path / "model.gguf").symlink_to(file)
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = 16
    saving = {"enable_save_ov_model": True, "INFERENCE_NUM_THREADS": 1}
    openvino_genai.ContinuousBatchingPipeline(path / "model.gguf", scheduler, "CPU", saving)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.save_pretrained(path)
    for name, model in zip(
        ("tokenizer", "detokenizer"), convert_tokenizer(tokenizer, with_detokenizer=True), strict=True
    ):
        openvino.save_model(model, path / f"openvino_{name}.xml")
    header = weights.read_header(file).metadata
    config = {
        "num_attention_heads": header["llama.attention.head_count"],
        "num_key_value_heads": header["llama.attention.head_count_kv"],
        "hidden_size": header["llama.embedding_length"],
        "num_hidden_layers": header["llama.block_count"],
        "max_position_embeddings": header["llama.context_length"],
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": [2]}))
    return path


async def test_a_folder_with_a_saved_ir(tmp_path: Path, engine: OpenVINOEngine) -> None:
    pytest.importorskip("openvino_tokenizers")
    pytest.importorskip("transformers")
    saved = OpenVINOEngine(str(save_ir(tmp_path)), cache_gb=0.1, threads=1)
    try:
        assert await greedy(saved, close=False) == await greedy(engine, close=False)
        assert set(saved.capabilities.special_tokens) == set(engine.capabilities.special_tokens)
        assert saved.capabilities.context_tokens == engine.capabilities.context_tokens
    finally:
        await saved.close()
    adapter = write_lora(tmp_path / "adapter.gguf", 0.3)
    with pytest.raises(WeightsError, match="merge adapter.gguf into the model before it is converted"):
        await OpenVINOEngine(str(tmp_path), lora=[str(adapter)]).start()
    for file, message in (("tokenizer.json", "names no control tokens"), ("chat_template.jinja", "no chat template")):
        (tmp_path / file).unlink()
        with pytest.raises(WeightsError, match=message):
            read_facts(str(tmp_path))
    (tmp_path / "openvino_model.xml").unlink()
    with pytest.raises(WeightsError, match="no openvino_model.xml"):
        read_facts(str(tmp_path))


async def test_bad_options() -> None:
    with pytest.raises(InputError):
        OpenVINOEngine(MODEL, parallel=0)
    with pytest.raises(InputError, match="precision 'int4' on CPU; expected one of f32, bf16, f16"):
        OpenVINOEngine(MODEL, precision="int4")
    with pytest.raises(InputError, match="on some CPUs it ends the process"):
        OpenVINOEngine(MODEL, precision="f16")


async def test_samples_are_said_to_be_their_seed_s_own_where_that_was_measured() -> None:
    """In float32 on a CPU."""
    assert OpenVINOEngine(MODEL).capabilities.seeding == "sample"
    assert OpenVINOEngine(MODEL, precision="bf16").capabilities.seeding == "request"
    assert OpenVINOEngine(MODEL, device="GPU", precision="f32").capabilities.seeding == "request"


@pytest.mark.parametrize(("limit", "found"), [("AVX2", False), ("avx2", False), ("AVX512_CORE", None), ("", None)])
@pytest.mark.parametrize("name", ISA_LIMITS)
async def test_samples_are_not_their_seed_s_alone_on_a_processor_kept_to_avx2(
    name: str, limit: str, found: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ISA_LIMITS:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, limit)
    assert OpenVINOEngine(MODEL).capabilities.seed_alone is found


async def test_the_precision_reaches_the_library(engine: OpenVINOEngine) -> None:
    """Greedy answers in float32 and bfloat16 part somewhere, where the processor has the latter."""
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") or this_processor().limits:
        pytest.skip("this processor has no bfloat16, or may not use it")
    request = ask("Tell the story of a river from its source to the sea.", temperature=0.0, max_tokens=160)
    coarse = OpenVINOEngine(MODEL, cache_gb=0.1, precision="bf16")
    try:
        assert texts(await coarse.sample(request)) != texts(await engine.sample(request))
    finally:
        await coarse.close()


async def test_template_refusal_is_a_request_error() -> None:
    with pytest.raises(RequestError, match="only users"):
        ChatText("{{ raise_exception('only users') }}", {}).render((Message("system", "x"),))
