"""The self-check's arithmetic and the choice it leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from spct.engines import load_engine
from spct.engines.embedded import Choice, choose, describe, read_choice
from spct.engines.embedded_check import QUESTIONS, Measured, agreement, reference_answers
from spct.errors import EngineError, WeightsError

KNOWN = tuple("a calm and steady answer" for _ in QUESTIONS)
WRONG = tuple("zzz" for _ in QUESTIONS)
VERSIONS = {"openvino": "1", "llamacpp": "2"}


def test_agreement_is_the_share_of_the_common_beginning() -> None:
    assert agreement(["abcd", "abxx", "", "zz"], ["abcd", "abcd", "", "abcd"]) == (1 + 0.5 + 1 + 0) / 4


def test_faster_right_engine_is_chosen() -> None:
    measured = {"openvino": Measured(KNOWN, 200.0), "llamacpp": Measured(KNOWN, 90.0)}
    assert choose(measured, {}, VERSIONS, KNOWN).engine == "openvino"


def test_fast_and_wrong_is_never_chosen() -> None:
    measured = {"openvino": Measured(WRONG, 900.0), "llamacpp": Measured(KNOWN, 90.0)}
    for known in (KNOWN, None):
        choice = choose(measured, {}, VERSIONS, known)
        assert choice.engine == "llamacpp"
        assert "agree to 0%" in choice.failed["openvino"]
        assert "openvino failed" in describe(choice)


def test_no_right_engine_is_an_error() -> None:
    with pytest.raises(EngineError, match="no embedded engine passes"):
        choose({"openvino": Measured(WRONG, 900.0)}, {"llamacpp": "cannot load"}, VERSIONS, KNOWN)


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
    assert isinstance(choose({"llamacpp": Measured(KNOWN, 1.0)}, {}, {"llamacpp": "2"}, None), Choice)


async def test_an_adapter_goes_to_llama_cpp_whose_error_it_is(tmp_path: Path) -> None:
    engine = load_engine("embedded:smollm2-135m", lora=[str(tmp_path / "none.gguf")], context_tokens=512)
    with pytest.raises(WeightsError, match=r"none\.gguf"):
        await engine.start()
    assert engine.model_id == "embedded:smollm2-135m"
