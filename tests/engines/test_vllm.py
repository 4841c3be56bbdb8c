"""What of the vllm engine needs no vLLM. The real one is held to the contract by ``make live``."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spct.engines import load_engine
from spct.engines.engine import SampleRequest
from spct.engines.vllm import as_chosen, read_adapter, sampling_options
from spct.engines.vllm_loop import CLOSED, EngineThread, Job
from spct.errors import EngineError, EngineMissingError, InputError, RejectedError
from spct.types import Message

ASK = (Message("user", "hello"),)
PLAIN = {"n": 1, "seed": 7, "temperature": 0.5, "top_p": 1.0, "max_tokens": 1024, "detokenize": False}


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(EngineMissingError, match=r"the vllm engine needs vLLM: pip install 'spct\[vllm\]'"):
        load_engine("vllm:somewhere/model")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"dtype": "int8"}, "vllm:m: dtype 'int8'; expected one of auto, float32, bfloat16, float16"),
        ({"concurrency": 0}, "concurrency and cache_gb must be positive"),
        ({"cache_gb": 0}, "concurrency and cache_gb must be positive"),
        (
            {"arguments": {"seed": 1, "model": "n"}},
            "arguments sets model, seed: these have options of their own, or are",
        ),
        ({"lora": ("a", "b")}, "2 LoRA adapters; it applies one"),
        ({"lora": "nowhere"}, "nowhere is not the folder of a PEFT adapter: FileNotFoundError"),
        ({"special_tokens": [""]}, "special_tokens: got ''"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_engine("vllm:m", **options)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, [PLAIN]),
        ({"n": 3, "top_p": 0.9, "max_tokens": 5}, [PLAIN | {"n": 3, "top_p": 0.9, "max_tokens": 5}]),
        ({"top_logprobs": 400}, [PLAIN | {"logprobs": 400}]),
        ({"grammar": 'root ::= "x"'}, [PLAIN | {"structured_outputs": {"grammar": 'root ::= "x"'}}]),
        ({"json_schema": '{"type": "object"}'}, [PLAIN | {"structured_outputs": {"json": '{"type": "object"}'}}]),
        ({"temperature": 0.0}, [PLAIN | {"temperature": 0.0}]),
        ({"temperature": 0.0, "n": 2}, [PLAIN | {"temperature": 0.0}, PLAIN | {"temperature": 0.0, "seed": 8}]),
    ],
)
def test_a_request_in_the_words_of_vllm(asked: dict[str, Any], sent: list[dict[str, Any]]) -> None:
    assert sampling_options(SampleRequest(ASK, seed=7, **asked)) == sent


def test_log_probabilities_are_sorted_and_forbidden_tokens_left_out() -> None:
    listed = {token: SimpleNamespace(logprob=value) for token, value in [(5, -2.0), (3, -0.5), (9, -float("inf"))]}
    assert as_chosen(5, listed) == (-2.0, [(3, -0.5), (5, -2.0)])


@pytest.mark.parametrize(("rank", "room"), [(1, 1), (2, 8), (16, 16), (17, 32), (512, 512)])
def test_an_adapter_s_rank_is_rounded_to_what_vllm_makes_room_for(tmp_path: Path, rank: int, room: int) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": rank}))
    assert read_adapter((str(tmp_path),)) == (str(tmp_path), room)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('{"r": 600}', "has rank 600; vLLM takes up to 512"),
        ('{"rank": 8}', "is not the folder of a PEFT adapter: KeyError"),
        ("[]", "is not the folder of a PEFT adapter: TypeError"),
        ("{", "is not the folder of a PEFT adapter: JSONDecodeError"),
    ],
)
def test_an_adapter_that_cannot_be_read_is_refused(tmp_path: Path, config: str, told: str) -> None:
    (tmp_path / "adapter_config.json").write_text(config)
    with pytest.raises(InputError, match=told):
        read_adapter((str(tmp_path),))


@dataclass
class Library:
    """Stands for vLLM's ``LLMEngine``: a request takes as many steps as its parameters say, then gives their outputs.

    A request whose parameters are a string is refused in these words. ``step`` waits until ``may_step``.
    """

    before_step: Callable[[], None] = lambda: None
    may_step: threading.Event = field(default_factory=threading.Event)
    added: threading.Event = field(default_factory=threading.Event)
    left: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, list[str]] = field(default_factory=dict)
    log: list[Any] = field(default_factory=list)

    def add_request(self, name: str, prompt: Any, parameters: Any, lora_request: Any) -> None:
        if isinstance(parameters, str):
            raise ValueError(parameters)
        self.log.append((name, prompt, lora_request))
        self.left[name], self.outputs[name] = parameters
        self.added.set()

    def abort_request(self, names: list[str]) -> None:
        self.log.append(("abort", names))
        for name in names:
            del self.left[name]

    def step(self) -> list[Any]:
        self.may_step.wait(10)
        self.before_step()
        self.left = {name: steps - 1 for name, steps in self.left.items()}
        done = [name for name, steps in self.left.items() if steps == 0]
        for name in done:
            del self.left[name]
        return [SimpleNamespace(request_id=name, finished=True, outputs=self.outputs[name]) for name in done]

    @property
    def engine_core(self) -> Any:
        return SimpleNamespace(shutdown=lambda: self.log.append("shutdown"))


def test_outputs_come_in_the_order_of_their_parameters_however_they_end() -> None:
    library = Library()
    library.may_step.set()
    thread = EngineThread(library, "adapter")
    assert thread.submit(Job([1, 2], [(3, ["a", "b"]), (1, ["c"])])).result(10) == ["a", "b", "c"]
    thread.close()
    assert library.log == [
        ("1", {"prompt_token_ids": [1, 2]}, "adapter"),
        ("2", {"prompt_token_ids": [1, 2]}, "adapter"),
        "shutdown",
    ]


def test_a_request_joins_while_another_runs() -> None:
    library = Library()
    thread = EngineThread(library)
    slow = thread.submit(Job([1], [(10**9, ["slow"])]))
    assert library.added.wait(10)
    library.may_step.set()
    assert thread.submit(Job([2], [(1, ["quick"])])).result(10) == ["quick"]
    assert not slow.done()
    thread.close()


def test_a_refused_request_fails_alone_and_takes_its_parts_along() -> None:
    library = Library()
    thread = EngineThread(library)
    refused = thread.submit(Job([1], [(2, ["first"]), "no such rule"]))
    with pytest.raises(RejectedError, match="vLLM refuses the request: no such rule"):
        refused.result(10)
    library.may_step.set()
    assert thread.submit(Job([1], [(1, ["next"])])).result(10) == ["next"]
    thread.close()
    assert ("abort", ["1"]) in library.log


def test_what_nobody_waits_for_is_taken_out() -> None:
    library = Library()
    thread = EngineThread(library)
    first = thread.submit(Job([1], [(10**9, ["never"])]))
    assert library.added.wait(10)
    assert first.cancel()
    library.may_step.set()
    assert thread.submit(Job([2], [(1, ["other"])])).result(10) == ["other"]
    thread.close()
    assert ("abort", ["1"]) in library.log


def test_a_step_that_raises_ends_the_engine_for_all() -> None:
    def end() -> None:
        raise RuntimeError("EngineCore died")

    library = Library(before_step=end)
    library.may_step.set()
    thread = EngineThread(library)
    for _ in range(2):  # what was in flight, and what comes later
        with pytest.raises(EngineError, match="vLLM's engine ended: RuntimeError: EngineCore died"):
            thread.submit(Job([1], [(1, ["a"])])).result(10)
    thread.close()


def test_closing_fails_what_is_in_flight_and_what_comes_later() -> None:
    library = Library()
    thread = EngineThread(library)
    running = thread.submit(Job([1], [(10**9, ["never"])]))
    assert library.added.wait(10)
    library.may_step.set()
    thread.close()
    for job in (running, thread.submit(Job([1], [(1, ["late"])]))):
        with pytest.raises(EngineError, match=CLOSED):
            job.result(10)
    assert library.log[-1] == "shutdown"
