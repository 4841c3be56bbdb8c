"""Servers' own wordings, as they send them, and what they are taken to mean."""

from ssl import CertificateError
from typing import Any

import orjson
import pytest
from aiohttp import ClientConnectorCertificateError
from aiohttp.client_reqrep import ConnectionKey

from spct.engines.http.errors import (
    Endpoint,
    Refusal,
    Transient,
    of_error_within,
    of_exception,
    of_status,
    without_secrets,
)
from spct.engines.http.told import read_error, refused_parameters, wait_told_s
from spct.errors import (
    ContentFilterError,
    ContextLengthError,
    EngineAuthError,
    EngineError,
    EngineUnreachableError,
    RejectedError,
)

HERE = Endpoint("http://h/v1", "m", ("sk-key",))


def meaning(message: str, status: int = 400, **fields: object) -> Any:
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
        ("Requested tokens (5000) exceed context window of 2048", (5000, 2048)),
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            (40000, 32768),
        ),
        ("This model's maximum prompt length is 131072 but the request contains 200000 tokens.", (None, 131072)),
        ("Input length 5000 exceeds the maximum allowed input length 4096", (None, None)),
        ("`inputs` must have less than 4095 tokens. Given: 5000", (None, 4095)),
        ("`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3000 `inputs` tokens", (None, None)),
        ("the input token count is 40000 but model only supports up to 32768", (40000, 32768)),
        ("Range of input length should be [1, 129024]", (None, 129024)),
        ("Prompt length (10000) exceeds maximum input length (8192)", (10000, 8192)),
        (
            "default_max_tokens (-1808) should be greater than 0, = max_seq_len (8192) - prompt_len (10000)",
            (10000, 8192),
        ),
        ("Your request exceeded model token limit: 8192", (None, 8192)),
        ("invalid params, context window exceeds limit (2013)", (None, None)),
        ("Total tokens of image and text exceed max message tokens", (None, None)),
        ("Please reduce the length of the messages or completion.", (None, None)),
        (
            "too many tokens: size limit exceeded by 5000 tokens. The limit for this model is 128000 tokens.",
            (None, 128000),
        ),
        ("The number of prompt tokens (9000) is larger than 8192", (None, None)),
        ("This model supports a maximum of 8192 input tokens, but 9000 were given.", (None, 8192)),
        ("Sequence length 9000 exceeds 8192", (None, None)),
        ("Input is too lengthy", (None, None)),
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
        "max_tokens (5000) exceeds the maximum of 4096",
        "Invalid request: max_new_tokens exceeds the limit",
        "Invalid request: top_k must be greater than 0",
        "Input validation error: top_n_tokens is too large",
        "too many messages in a row by the user",
        "stop sequence longer than 4",
        "Unsupported content type: image",
    ],
)
def test_what_is_neither_about_the_context_nor_a_missing_feature(message):
    refusal = meaning(message)
    assert isinstance(refusal, Refusal)
    assert (refusal.parameters, refusal.content) == ((), False)


@pytest.mark.parametrize("status", [202, 204, 206])
def test_a_success_without_a_completion_is_worth_another_try(status):
    failure = meaning("pending", status)
    assert isinstance(failure, Transient)
    assert failure.what == f"answers {status}, which carries no completion: pending"


@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_an_overflow_is_one_under_any_status(status):
    assert isinstance(meaning("the request exceeds the available context size", status), ContextLengthError)


def test_a_request_above_a_whole_minutes_allowance_never_fits():
    message = "Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000."
    assert isinstance(meaning(message, 429), ContextLengthError)


@pytest.mark.parametrize(
    ("message", "fields", "parameters"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model.", {}, ("max_tokens",)),
        ("Unsupported value: 'temperature' does not support 0.5 with this model.", {}, ("temperature",)),
        ("invalid temperature: only 1 is allowed for this model", {}, ("temperature",)),
        ("`temperature` may only be set to 1 when thinking is enabled.", {}, ("temperature",)),
        ("`temperature` and `top_p` cannot both be specified for this model.", {}, ("top_p", "temperature")),
        ("Please set either top_p or temperature; they are mutually exclusive", {}, ("top_p", "temperature")),
        ("temperature and topP cannot be used at the same time", {}, ("top_p", "temperature")),
        ("seed cannot be used together with temperature", {}, ("seed", "temperature")),
        ("You are not allowed to request logprobs from this model.", {}, ("logprobs",)),
        ("Logprobs is not enabled for models/x", {}, ("logprobs",)),
        ("Log probabilities are not available for this model", {}, ("logprobs",)),
        ("logprobs are not supported", {}, ("logprobs",)),
        ("no", {"param": "seed", "code": "unsupported_parameter"}, ("seed",)),
        ("n must be 1", {}, ("n",)),
        ("Only one completion choice is allowed", {}, ("n",)),
        ("Multiple candidates is not enabled for this model", {}, ("n",)),
        ("candidateCount must be 1", {}, ("n",)),
        ("The number of choices must be 1.", {}, ("n",)),
        ("this endpoint only supports n=1", {}, ("n",)),
        ("more than one completion per request is not supported", {}, ("n",)),
        ("got an unexpected keyword", {}, ()),
        ("multiple output tokens", {}, ()),
    ],
)
def test_refused_parameters(message, fields, parameters):
    assert refused_parameters(read_error(orjson.dumps({"error": {"message": message, **fields}}))) == parameters


@pytest.mark.parametrize(
    ("message", "positive"),
    [
        ("Input validation error: `temperature` must be strictly positive", True),
        ("temperature must be greater than 0", True),
        ("temperature cannot be zero", True),
        ("Invalid temperature: expected a value <= 2", False),
        ("max_tokens must be greater than 0", False),
    ],
)
def test_a_server_without_temperature_zero(message, positive):
    assert meaning(message).positive is positive


CONTENT = {
    "azure": (400, {"message": "The response was filtered", "code": "content_filter"}),
    "azure policy": (400, {"message": "triggering Azure OpenAI's content management policy"}),
    "openrouter": (403, {"message": 'Your input was flagged for "violence".', "metadata": {"flagged_input": "x"}}),
    "openai": (
        400,
        {"message": "Your prompt was flagged as potentially violating our usage policy", "code": "invalid_prompt"},
    ),
    "dashscope": (400, {"message": "Input data may contain inappropriate content.", "code": "data_inspection_failed"}),
    "deepseek": (400, {"message": "Content Exists Risk", "type": "invalid_request_error"}),
    "zhipu": (400, {"message": "may contain unsafe or sensitive content", "code": "1301"}),
    "anthropic": (400, {"message": "Output blocked by content filtering policy"}),
    "gemini": (400, {"message": "The prompt was blocked: PROHIBITED_CONTENT"}),
    "bedrock": (422, {"message": "Guardrail intervened"}),
}


@pytest.mark.parametrize(("status", "error"), CONTENT.values(), ids=CONTENT)
def test_a_content_filter_is_one(status, error):
    refusal = of_status(HERE, status, {}, orjson.dumps({"error": error}), 0.0)
    assert type(refusal.error()) is ContentFilterError
    assert isinstance(refusal.error(), RejectedError)


def test_a_prompt_that_a_server_repeats_does_not_make_a_content_filter():
    assert meaning("bad request: " + "x" * 400 + " harmful content").content is False


def test_a_403_that_says_no_more_may_be_the_key():
    refusal = meaning("forbidden", 403)
    assert type(refusal.error()) is EngineAuthError
    assert "refuses the key (403)" in str(refusal.error())


def told(**error: object) -> object:
    return read_error(orjson.dumps([{"error": error}]))


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        ({"message": "quota", "details": [{"@type": "x.RetryInfo", "retryDelay": "1s"}]}, 1.0),
        ({"message": "quota", "details": [{"a": 1}, {"retryDelay": "1.5s"}]}, 1.5),
        ({"message": "Please try again in 7m12s."}, 432.0),
        ({"message": "Please retry in 1.25s."}, 1.25),
        ({"message": "Rate limit reached. Please try again in 20ms. Visit x"}, 0.02),
        ({"message": "wait 2 minutes before you ask again"}, 120.0),
        ({"message": "x", "retry_after": 3}, 3.0),
        ({"message": "x", "retry_after_ms": 250}, 0.25),
        ({"message": "x", "metadata": {"headers": {"Retry-After": "9"}}}, 9.0),
        ({"message": "retry 3 times"}, None),
        ({"message": "x", "retry_after": "soon"}, None),
        ({"message": "x", "details": "none"}, None),
        ({"message": "try again later"}, None),
    ],
)
def test_how_long_a_body_asks_to_wait(error, seconds):
    assert wait_told_s(told(**error)) == seconds


QUOTA = "You exceeded your current quota, please check your plan and billing details."


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        ({"message": QUOTA}, True),
        ({"message": QUOTA, "code": "insufficient_quota", "retry_after": 1}, True),
        ({"message": QUOTA, "details": [{"violations": [{"quotaId": "RequestsPerDay"}]}, {"retryDelay": "3s"}]}, True),
        ({"message": QUOTA, "details": [{"retryDelay": "3s"}]}, False),
        ({"message": QUOTA + " Limit: 10 requests per minute"}, False),
        ({"message": QUOTA + " Please retry in 12s."}, False),
        ({"message": "Rate limit reached"}, False),
        ({"message": "Your credit balance is too low"}, True),
    ],
)
def test_a_quota_that_is_used_up_and_one_of_a_minute(error, lasting):
    failure = of_status(HERE, 429, {}, orjson.dumps({"error": error}), 0.0)
    assert isinstance(failure, EngineError) is lasting
    assert isinstance(failure, Transient) is not lasting


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"code": 429, "message": "x"}}, Transient),
        ({"error": {"code": "429", "message": "x"}}, Transient),
        ({"error": {"code": "rate_limit_exceeded", "message": "x"}}, Transient),
        ({"error": {"type": "overloaded_error", "message": "x"}}, Transient),
        ({"error": {"code": 402, "message": "Insufficient credits"}}, EngineError),
        ({"error": {"type": "authentication_error", "message": "x"}}, EngineAuthError),
        ({"error": {"status": "INVALID_ARGUMENT", "message": "x"}}, Refusal),
        ({"error": {"code": 400, "message": "x"}}, Refusal),
        ({"object": "error", "code": 400, "message": "x"}, Refusal),
        ({"choices": [{"error": {"code": 502, "message": "idle"}, "message": {"content": ""}}]}, Transient),
        ({"error": {"message": "prompt is too long", "code": 400}}, ContextLengthError),
        ({"error": "upstream died"}, type(None)),
        ({"id": "x", "code": 0, "choices": []}, type(None)),
    ],
)
def test_an_error_in_a_reply_of_200_is_what_its_code_says(body, kind):
    assert type(of_error_within(HERE, {}, orjson.dumps(body), 0.0)) is kind


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
        (b'{"detail": [{"loc": 5, "msg": "g"}]}', "g"),
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
        ("Only one completion choice is allowed", 1),
        ("this endpoint only supports n=2", 2),
        ("`n` is too large", None),
    ],
)
def test_the_largest_n(message, largest):
    refusal = meaning(message)
    assert isinstance(refusal, Refusal)
    assert (refusal.parameters, refusal.largest) == (("n",), largest)


def test_cleaning_takes_secrets_out_before_it_cuts():
    text = "x" * 297 + "sk-key"
    assert HERE.clean(text) == "x" * 297 + "***"
    assert "sk-key" not in repr(HERE)


def test_a_certificate_of_ones_own_is_told_how_to_be_trusted():
    key = ConnectionKey("h", 443, True, True, None, None, None)
    failed = ClientConnectorCertificateError(
        key, CertificateError("certificate verify failed: self-signed certificate")
    )
    error = of_exception(HERE, failed, 1.0)
    assert isinstance(error, EngineUnreachableError)
    assert "self-signed certificate" in str(error)
    assert "set SSL_CERT_FILE to its PEM file" in str(error)


def test_a_number_of_thousands_of_digits_is_no_number():
    long = "9" * 5000
    found = meaning(f"maximum context length is {long} tokens")
    assert isinstance(found, ContextLengthError) and (found.prompt_tokens, found.context_tokens) == (None, None)
    assert of_error_within(HERE, {}, orjson.dumps({"error": {"message": "a", "code": long}}), 0.0) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/v1", "https://h/v1"),
        ("https://ann:secret@h/v1", "https://h/v1"),
        ("https://ann:sec@ret@h/v1", "https://h/v1"),
        ("https://secret@h", "https://h"),
        ("//ann:sec?ret@h/v1?api-key=secret", "//h/v1"),
        ("https://h/v1?token=secret#secret", "https://h/v1"),
        ("https://h/a@b", "https://h/a@b"),
        ("elsewhere", "elsewhere"),
    ],
)
def test_an_address_is_shown_without_login_and_query(url, shown):
    assert without_secrets(url) == shown
