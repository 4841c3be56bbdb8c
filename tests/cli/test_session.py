"""What the commands that sample share."""

import pytest

from spct.cli.session import make_engine


@pytest.mark.parametrize(
    ("grammar", "field"), [(True, "structured_outputs"), (None, "structured_outputs"), (False, None)]
)
def test_without_a_grammar_its_style_has_no_effect(grammar, field):
    engine = make_engine("openai:m", {"grammar": grammar, "engine_option": ("grammar-style=vllm",)})
    assert engine.capabilities.grammar == engine.configuration["grammar"] == field
