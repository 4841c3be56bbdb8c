"""What the commands that sample share."""

import pytest

from spct.cli.session import make_engine
from spct.errors import InputError


@pytest.mark.parametrize(
    ("grammar", "field"), [(True, "structured_outputs"), (None, "structured_outputs"), (False, None)]
)
def test_without_a_grammar_its_style_has_no_effect(grammar, field):
    engine = make_engine("openai:m", {"grammar": grammar, "engine_option": ("grammar-style=vllm",)})
    assert engine.capabilities.grammar == engine.configuration["grammar"] == field


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("20", "20"),
        ("0.5", "0.5"),
        ("off", '"off"'),
        ("no", '"no"'),
        ("1:30", '"1:30"'),
        ("2026-11-29", '"2026-11-29"'),
        ("True", "true"),
        ("", '""'),
        ('"none"', '"none"'),
        ("none", "null"),
        ("NaN", '"NaN"'),
        ('{"a": [false]}', '{"a":[false]}'),
    ],
)
def test_a_param_is_json_or_the_word_that_was_written(given, sent):
    engine = make_engine("openai:m", {"params": (f"x={given}",)})
    assert engine.configuration["params"] == f'{{"x":{sent}}}'


@pytest.mark.parametrize("given", ["{a: 1}", "[1", '"a', "[NaN]"])
def test_a_param_that_begins_as_json_must_be_json(given):
    with pytest.raises(InputError, match="--param x: .* cannot be read: expected a number, a word or JSON"):
        make_engine("openai:m", {"params": (f"x={given}",)})


def test_a_rate_is_shared_by_the_actors_of_a_batch(tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "from spct.engines.scripted import ScriptedEngine\n"
        "def make(name, *, requests_per_minute=None, tokens_per_minute=None):\n"
        "    return ScriptedEngine([], name=f'{requests_per_minute} {tokens_per_minute}')\n"
    )
    given = {"requests_per_minute": 60.0, "engine_option": ("tokens-per-minute=900",)}
    found = [make_engine(f"{own}:make:x", given | more).model_id for more in ({}, {"sharing": 4})]
    assert found == ["scripted:60.0 900", "scripted:15.0 225.0"]
