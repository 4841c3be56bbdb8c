"""The loss mask token by token, against the chat template's own rendering."""

import pytest
from transformers import AutoTokenizer

from engines.tiny_models import CONTROL, save_tokenizer
from spct.errors import RejectedError, TrainingError
from spct.train.common.chat import IGNORED, ChatEncoder
from spct.types import Message

CHATML = (
    "{% for m in messages %}<|user|>{{ m.role }}\n{{ m.content | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|user|>assistant\n{% endif %}"
)
NO_EOS = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tokenizer(path, template):
    save_tokenizer(path, template)
    return AutoTokenizer.from_pretrained(path)


@pytest.mark.parametrize("template", [CHATML, NO_EOS])
def test_the_loss_is_over_the_completion_and_the_end_of_its_turn(tmp_path, template):
    tok = tokenizer(tmp_path, template)
    turns = [
        Message("system", "be brief"),
        Message("user", "häh? 你好"),
        Message("assistant", "a"),
        Message("user", "b"),
    ]
    completion = "Analyse: \\boxed{3, 9}"
    example = ChatEncoder(tok, "m").example(turns, completion)

    plain = [{"role": turn.role, "content": turn.content} for turn in turns]
    prompt = tok.apply_chat_template(plain, tokenize=False, add_generation_prompt=True)
    end = "" if template == CHATML else "\n"
    tokens = [*prompt_tokens(tok, prompt), *completion_tokens(tok, completion + end), tok.eos_token_id]
    labels = [IGNORED] * len(prompt_tokens(tok, prompt)) + [*completion_tokens(tok, completion + end), tok.eos_token_id]
    assert example.input_ids == tokens
    assert example.labels == labels
    assert tok.decode([label for label in example.labels if label != IGNORED]) == completion + end + CONTROL[0]


def prompt_tokens(tok, text):
    return tok(text, add_special_tokens=False)["input_ids"]


def completion_tokens(tok, text):
    """One token per byte, as the tokenizer is made."""
    assert len(tok(text, add_special_tokens=False)["input_ids"]) == len(text.encode())
    return [tok(bytes([byte]).decode(), add_special_tokens=False)["input_ids"][0] for byte in text.encode()]


def test_the_prompt_is_what_the_engine_asks_with(tmp_path):
    tok = tokenizer(tmp_path, CHATML)
    messages = [Message("user", "which?")]
    text = tok.apply_chat_template([{"role": "user", "content": "which?"}], tokenize=False, add_generation_prompt=True)
    assert ChatEncoder(tok, "m").prompt(messages) == prompt_tokens(tok, text)


def test_a_model_that_cannot_be_trained_to_chat_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="has no chat template"):
        ChatEncoder(tokenizer(tmp_path / "a", None), "m")
    with pytest.raises(TrainingError, match="does not write every turn"):
        ChatEncoder(tokenizer(tmp_path / "b", "{{ messages[0].content }}"), "m")
    bare = tokenizer(tmp_path / "c", CHATML)
    bare.eos_token = None
    with pytest.raises(TrainingError, match="no end-of-text token"):
        ChatEncoder(bare, "m")


def test_roles_that_the_template_refuses_and_control_tokens_in_text(tmp_path):
    tok = tokenizer(
        tmp_path, "{% if messages[0].role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}" + CHATML
    )
    encoder = ChatEncoder(tok, "m")
    with pytest.raises(RejectedError, match="no tools"):
        encoder.example([Message("tool", "x")], "y")
    assert encoder.smuggled("a <|user|> b") == "<|user|>"
    assert encoder.smuggled("a <user> b") is None
