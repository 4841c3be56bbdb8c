import asyncio
from pathlib import Path

import pytest

from spct.engines import load_engine
from spct.engines.engine import Capabilities, Sample, SampleRequest
from spct.engines.scripted import ScriptedEngine, judgment_text, load_scripted
from spct.errors import ContextLengthError, EngineError, InputError, RejectedError, ReplyError
from spct.types import Message, Usage

ASK = (Message("system", "be strict"), Message("user", "which one is it"))


def seed_of(request: SampleRequest, j: int) -> str:
    return f"seed {request.seed + j}"


async def test_function_answers_per_sample_and_counts_words() -> None:
    engine = ScriptedEngine(seed_of)
    batch = await engine.sample(SampleRequest(ASK, n=3, seed=7))
    assert [s.text for s in batch.samples] == ["seed 7", "seed 8", "seed 9"]
    assert [s.seed for s in batch.samples] == [7, 8, 9]
    assert batch.usage == Usage(prompt_tokens=6, completion_tokens=6, requests=1)
    assert engine.requests == [SampleRequest(ASK, n=3, seed=7)]
    assert await engine.count_tokens(ASK) == 6


async def test_async_function() -> None:
    async def later(request: SampleRequest, j: int) -> str:
        await asyncio.sleep(0)
        return f"{j}"

    batch = await ScriptedEngine(later).sample(SampleRequest(ASK, n=2))
    assert [s.text for s in batch.samples] == ["0", "1"]


async def test_a_whole_sample_is_kept_and_gets_the_request_seed() -> None:
    given = Sample("cut", "length", seed=0, reasoning="hm", completion_tokens=9)
    batch = await ScriptedEngine([given]).sample(SampleRequest(ASK, seed=5))
    assert batch.samples == (Sample("cut", "length", seed=5, reasoning="hm", completion_tokens=9),)
    assert batch.usage.completion_tokens == 9


async def test_queue_is_taken_in_order_of_arrival_and_runs_dry() -> None:
    engine = ScriptedEngine(["a", "b", "c"], delay_s=0.001)
    first, second = await asyncio.gather(engine.sample(SampleRequest(ASK, n=2)), engine.sample(SampleRequest(ASK)))
    assert [s.text for s in first.samples + second.samples] == ["a", "b", "c"]
    with pytest.raises(EngineError, match="queue held 3 and one more was asked for"):
        await engine.sample(SampleRequest(ASK))


async def test_exceptions_are_raised() -> None:
    engine = ScriptedEngine([ReplyError("no choices"), "fine"])
    with pytest.raises(ReplyError, match="no choices"):
        await engine.sample(SampleRequest(ASK))
    assert (await engine.sample(SampleRequest(ASK))).samples[0].text == "fine"
    with pytest.raises(EngineError, match="timeout"):
        await ScriptedEngine(lambda request, j: EngineError("timeout")).sample(SampleRequest(ASK))


async def test_it_keeps_to_its_capabilities() -> None:
    engine = ScriptedEngine(seed_of, capabilities=Capabilities(max_n=2, context_tokens=10))
    with pytest.raises(RejectedError, match="at most 2"):
        await engine.sample(SampleRequest(ASK, n=3, max_tokens=4))
    with pytest.raises(ContextLengthError) as caught:
        await engine.sample(SampleRequest(ASK, max_tokens=5))
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (6, 10)
    assert len((await engine.sample(SampleRequest(ASK, n=2, max_tokens=4))).samples) == 2


def test_default_capabilities_follow_the_script() -> None:
    assert ScriptedEngine(seed_of).capabilities.seeding == "sample"
    assert ScriptedEngine([]).capabilities.seeding == "none"


async def test_a_wrong_answer_type_is_named() -> None:
    with pytest.raises(EngineError, match="answered with a int"):
        await ScriptedEngine([3]).sample(SampleRequest(ASK))


def test_judgment_text() -> None:
    text = judgment_text([8, 7], ["short", "long"], {"Safety": 100})
    assert text == (
        "Specific Criteria:\n1. Safety (Weight: 100%)\n\nAnalysis:\n- Response 1: short\n- Response 2: long\n\n"
        "Scores: \\boxed{8, 7}"
    )
    assert judgment_text([3]).endswith("\\boxed{3}")
    assert judgment_text([3], "One text.").splitlines()[5] == "One text."


async def test_load_from_a_file(tmp_path: Path) -> None:
    script = tmp_path / "my script.py"
    script.write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Reply:\n    text: str\n"
        "def reply(request, j):\n    return Reply('hello').text\nqueue = ['one']\n"
    )
    engine = load_engine(f"scripted:{script}:reply", delay_s=0.0)
    assert (await engine.sample(SampleRequest(ASK))).samples[0].text == "hello"
    assert engine.model_id == f"scripted:{script}:reply"
    assert (await load_scripted(f"{script}:queue").sample(SampleRequest(ASK))).samples[0].text == "one"


@pytest.mark.parametrize(
    ("body", "attribute", "expected"),
    [
        ("x = 1", "reply", "cannot import .*script.py:reply: AttributeError: .* has no attribute 'reply'"),
        ("x = 1", "x", "x is a int; expected a function"),
        ("x = 'text'", "x", "x is a str; expected a function"),
        ("def f(): return ''", "f", "expected a function of \\(request, j\\)"),
        ("1 / 0", "f", "cannot import .*script.py:f: ZeroDivisionError: division by zero"),
    ],
)
def test_load_says_what_is_wrong(tmp_path: Path, body: str, attribute: str, expected: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(body)
    with pytest.raises(InputError, match=expected):
        load_scripted(f"{script}:{attribute}")


def test_load_names_what_cannot_be_found() -> None:
    with pytest.raises(InputError, match=r"cannot import nowhere\.py:f: FileNotFoundError"):
        load_scripted("nowhere.py:f")
    with pytest.raises(InputError, match=r"cannot import no\.such\.module"):
        load_scripted("no.such.module:f")
    with pytest.raises(InputError, match=r"expected path/to/file\.py:function"):
        load_scripted("just_a_name")
    with pytest.raises(InputError, match="takes no base_url; it takes delay_s"):
        load_engine("scripted:a.py:f", base_url="x")
