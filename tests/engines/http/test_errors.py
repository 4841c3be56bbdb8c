"""Servers' own wordings, as they send them, and what they are taken to mean."""

import orjson
import pytest

from spct.engines.http.errors import Endpoint, Refusal, of_status, read_error, refused_parameter
from spct.errors import ContextLengthError

HERE = Endpoint("http://h/v1", "m", ("sk-key",))


def meaning(message: str, status: int = 400, **fields: object) -> object:
    return of_status(HERE, status, {}, orjson.dumps({"error": {"message": message, **fields}}), 0.0)


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in "
            "the messages, 1000 in the completion). Please reduce the length of the messages or completion.",
            (8000, 8192),
        ),
        (
            "Input tokens exceed the configured limit of 272,000 tokens. Your messages resulted in 300,010 tokens.",
            (300010, 272000),
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 3000. This model's maximum context length is 4096 "
            "tokens and your request has 2000 input tokens (3000 > 4096 - 2000).",
            (2000, 4096),
        ),
        (
            "You passed 5000 input tokens and requested 1000 output tokens. However, the model's context length is "
            "only 4096 tokens, resulting in a maximum input length of 3096 tokens.",
            (5000, 4096),
        ),
        ("The prompt (total length 5000) is too long to fit into the model (context length 4096).", (5000, 4096)),
        ("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", (5000, 4096)),
        ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", (5000, 4096)),
        (
            "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of "
            "5000 tokens: 4000 tokens from the input messages and 1000 tokens for the completion.",
            (4000, 4096),
        ),
        ("request (6031 tokens) exceeds the available context size (4096 tokens), try increasing it", (6031, 4096)),
        ("prompt is too long: 210000 tokens > 200000 maximum", (210000, 200000)),
        ("The prompt is too long.", (None, None)),
    ],
)
def test_context_length(message, numbers):
    error = meaning(message)
    assert isinstance(error, ContextLengthError)
    assert (error.prompt_tokens, error.context_tokens) == numbers


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 50000. This model supports at most 16384 completion tokens.",
        "Failed to initialize samplers: failed to parse grammar",
        "Field 'temperature': type must be number, but is string",
        "Invalid 'top_p': must be at most 1",
        "the response was too long ago",
    ],
)
def test_what_is_neither_about_the_context_nor_a_missing_feature(message):
    refusal = meaning(message)
    assert isinstance(refusal, Refusal)
    assert refusal.parameter is None


@pytest.mark.parametrize(
    ("message", "fields", "parameter"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model.", {}, "max_tokens"),
        ("Unsupported value: 'temperature' does not support 0.5 with this model.", {}, "temperature"),
        ("invalid temperature: only 1 is allowed for this model", {}, "temperature"),
        ("`temperature` may only be set to 1 when thinking is enabled.", {}, "temperature"),
        ("`temperature` and `top_p` cannot both be specified for this model.", {}, "temperature"),
        ("You are not allowed to request logprobs from this model.", {}, "logprobs"),
        ("logprobs are not supported", {}, "logprobs"),
        ("no", {"param": "seed", "code": "unsupported_parameter"}, "seed"),
        ("n must be 1", {}, "n"),
        ("got an unexpected keyword", {}, None),
    ],
)
def test_refused_parameter(message, fields, parameter):
    assert refused_parameter(read_error(orjson.dumps({"error": {"message": message, **fields}}))) == parameter


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"error": {"message": "a"}}', "a"),
        (b'{"error": "b"}', "b"),
        (b'{"detail": "c"}', "c"),
        (b'{"object": "error", "message": "d", "code": 400}', "d"),
        (b'[{"error": {"message": "e"}}]', "e"),
        (b'{"detail": [{"loc": ["body", "n"], "msg": "f"}]}', "n: f"),
        (b'{"detail": ["g"]}', "g"),
        (b"plain h", "plain h"),
        (b"null", "None"),
        (b"[]", "[]"),
        (b'{"error": {"type": "i"}}', '{"type":"i"}'),
        (b"\xff\xfe", "��"),
    ],
)
def test_error_bodies(raw, message):
    assert read_error(raw).message == message


@pytest.mark.parametrize(
    ("message", "largest"),
    [
        ("Field 'n': Value must be between 1 <= value <= 4, but got 8", 4),
        ("Invalid 'n': integer above maximum value. Expected a value <= 128, but got 256 instead.", 128),
        ("'n' : number must be at most 1", 1),
        ("n must be 1 when using greedy sampling", 1),
        ("`n` is too large", None),
    ],
)
def test_the_largest_n(message, largest):
    refusal = meaning(message)
    assert isinstance(refusal, Refusal)
    assert (refusal.parameter, refusal.largest) == ("n", largest)


def test_cleaning_takes_secrets_out_before_it_cuts():
    text = "x" * 297 + "sk-key"
    assert HERE.clean(text) == "x" * 297 + "***"
    assert "sk-key" not in repr(HERE)
