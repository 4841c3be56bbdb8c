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
