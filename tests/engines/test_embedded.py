"""The self-check: its arithmetic, what it catches, and the choice it leads to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engines.adapters import own_cache
from spct.engines import Sample, SampleRequest, load_engine
from spct.engines.embedded import Choice, choice_file, choose, describe, installed_packages, read_choice
from spct.engines.embedded_check import QUESTIONS, Measured, agreement, measure, reference_answers
from spct.engines.engine import Capabilities
from spct.engines.processor import Processor, this_processor
from spct.engines.scripted import ScriptedEngine
from spct.errors import EngineError, EngineMissingError, WeightsError
from spct.types import TokenLogprob
from spct.weights import ModelFile

KNOWN = tuple("a calm and steady answer" for _ in QUESTIONS)
WRONG = tuple("zzz" for _ in QUESTIONS)
VERSIONS = {"openvino": "1", "llamacpp": "2"}


def test_agreement_is_the_share_of_the_common_beginning() -> None:
    assert agreement(["abcd", "abxx", "", "zz"], ["abcd", "abcd", "", "abcd"]) == (1 + 0.5 + 1 + 0) / 4


def test_faster_right_engine_is_chosen() -> None:
    measured = {"openvino": Measured(KNOWN, 200.0, True), "llamacpp": Measured(KNOWN, 90.0, False)}
    choice = choose(measured, {}, VERSIONS, KNOWN)
    assert (choice.engine, choice.seed_alone) == ("openvino", {"openvino": True, "llamacpp": False})
    assert "llamacpp 90 tokens/s, agreement 100%, samples depend on what else is in the batch" in describe(choice)
    assert "openvino 200 tokens/s, agreement 100%, samples depend on their seed alone;" in describe(choice)


def test_fast_and_wrong_is_never_chosen() -> None:
    measured = {"openvino": Measured(WRONG, 900.0, True), "llamacpp": Measured(KNOWN, 90.0, False)}
    for known in (KNOWN, None):
        choice = choose(measured, {}, VERSIONS, known)
        assert choice.engine == "llamacpp"
        assert "agree to 0%" in choice.failed["openvino"]
        assert "openvino failed" in describe(choice)


def test_no_right_engine_is_an_error() -> None:
    with pytest.raises(EngineError, match="no embedded engine passes"):
        choose({"openvino": Measured(WRONG, 900.0, True)}, {"llamacpp": "cannot load"}, VERSIONS, KNOWN)


Script = Callable[[SampleRequest, int], Awaitable[Sample]]


def said(seed: int, depends_on: object = 0, logprob: float = -1.0) -> Sample:
    text = f"{seed} {depends_on}"
    return Sample(text, "stop", seed, logprobs=(TokenLogprob(text, logprob, ()),))


class Crowd:
    """Scripts that know how many requests are in flight, as a batch's arithmetic does."""

    def __init__(self) -> None:
        self.now = 0
        self.ever = 0

    async def seen(self) -> int:
        """Requests in flight together with the one that asks."""
        self.ever += 1
        self.now += 1
        await asyncio.sleep(0)
        seen = self.now
        await asyncio.sleep(0)
        self.now -= 1
        return seen

    async def seed_alone(self, request: SampleRequest, j: int) -> Sample:
        await self.seen()
        return said(request.seed + j)

    async def beside_others(self, request: SampleRequest, j: int) -> Sample:
        return said(request.seed + j, await self.seen() > 1)

    async def beside_others_in_the_last_bit(self, request: SampleRequest, j: int) -> Sample:
        return said(request.seed + j, logprob=-1.0 if await self.seen() == 1 else -1.0000000000000002)

    async def when_it_is_alone(self, request: SampleRequest, j: int) -> Sample:
        return said(request.seed + j, request.n == 1)

    async def by_place_in_its_request(self, request: SampleRequest, j: int) -> Sample:
        return said(request.seed + j, j)

    async def with_many_rows_of_an_unfinished_block(self, request: SampleRequest, j: int) -> Sample:
        """As OpenVINO does under AVX2: samples of one prompt are computed together from its last whole block on."""
        return said(request.seed + j, request.n * (len(request.messages[0].content) % 160) > 640)

    async def with_rows_that_fill_no_vector(self, request: SampleRequest, j: int) -> Sample:
        return said(request.seed + j, request.n not in (1, 8))

    async def on_what_was_asked_before(self, request: SampleRequest, j: int) -> Sample:
        await self.seen()
        return said(request.seed + j, self.ever)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (Crowd().seed_alone, True),
        (Crowd().beside_others, False),
        (Crowd().beside_others_in_the_last_bit, False),
        (Crowd().when_it_is_alone, False),
        (Crowd().by_place_in_its_request, False),
        (Crowd().with_many_rows_of_an_unfinished_block, False),
        (Crowd().with_rows_that_fill_no_vector, False),
        (Crowd().on_what_was_asked_before, False),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_an_engine_whose_samples_depend_on_the_batch_is_caught(script: Script, found: bool) -> None:
    for logprobs in (False, True) if "last_bit" not in script.__name__ else (True,):
        engine = ScriptedEngine(script, capabilities=Capabilities(seeding="sample", logprobs=logprobs))
        assert (await measure(engine)).seed_alone is found


@pytest.mark.parametrize("found", [True, False])
async def test_what_was_found_is_the_engine_s_capability(
    found: bool, smollm2: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A choice that is on file is not measured again."""
    monkeypatch.setenv("SPCT_CACHE", str(own_cache(tmp_path)))
    try:
        packages = installed_packages()
    except EngineMissingError as error:
        pytest.skip(str(error))
    kind = next(iter(packages))
    choice = replace(choose({kind: Measured(KNOWN, 50.0, found)}, {}, packages, KNOWN), date="2026-11-29")
    file = choice_file(smollm2.name, packages, this_processor(), 1)
    file.parent.mkdir()
    file.write_text(json.dumps(asdict(choice)), "utf-8")
    engine = load_engine(f"embedded:{smollm2.name}", threads=1)
    assert engine.capabilities.seed_alone is None
    await engine.start()
    try:
        assert engine.capabilities.seed_alone is found
        assert engine.notes[0] == describe(choice)
    finally:
        await engine.close()


def test_another_processor_or_number_of_threads_is_checked_anew(smollm2: ModelFile) -> None:
    zen = Processor("AMD EPYC", ("avx2", "avx512_bf16"))
    others = [replace(zen, name="Xeon"), replace(zen, instructions=("avx2",)), replace(zen, limits=("X=AVX2",))]
    files = [choice_file(smollm2.name, VERSIONS, processor, 2) for processor in (zen, *others)]
    files.append(choice_file(smollm2.name, VERSIONS, zen, 1))
    assert len(set(files)) == 5
    assert choice_file(smollm2.name, dict(VERSIONS), replace(zen), 2) == files[0]


def test_catalogue_model_has_an_answer_to_every_question() -> None:
    known = reference_answers("smollm2-135m")
    assert known is not None and len(known) == len(QUESTIONS) == 24
    assert reference_answers("unknown") is None


def test_damaged_choice_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "choice.json"
    assert read_choice(file) is None
    file.write_text("{", "utf-8")
    assert read_choice(file) is None
    file.write_text('{"engine": "openvino"}', "utf-8")
    assert read_choice(file) is None
    assert isinstance(choose({"llamacpp": Measured(KNOWN, 1.0, True)}, {}, {"llamacpp": "2"}, None), Choice)


async def test_an_adapter_goes_to_llama_cpp_whose_error_it_is(tmp_path: Path) -> None:
    engine = load_engine("embedded:smollm2-135m", lora=[str(tmp_path / "none.gguf")], context_tokens=512)
    with pytest.raises(WeightsError, match=r"none\.gguf"):
        await engine.start()
    assert engine.model_id == "embedded:smollm2-135m"
