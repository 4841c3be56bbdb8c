"""The chat-completions format: bodies out, samples in."""

import orjson
import pytest

from servers.behaviours import choice, completion
from spct.engines.engine import Sample, SampleRequest
from spct.engines.http.errors import UnreadableReplyError
from spct.engines.http.wire import Form, encode, payload, read_reply
from spct.types import Message, TokenLogprob, Usage

ONE = SampleRequest((Message("user", "Hi"),), seed=5)
TWO = SampleRequest((Message("user", "Hi"),), n=2, seed=5)


def first(message: dict, **fields: object) -> Sample:
    return read_reply(orjson.dumps({"choices": [{"message": message, **fields}]}), ONE).samples[0]


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": "a"}, "a", None),
        ({"content": "a", "reasoning_content": "hm"}, "a", "hm"),
        ({"content": "a", "reasoning": "hm"}, "a", "hm"),
        ({"content": "a", "reasoning_content": None, "reasoning": ""}, "a", None),
        ({"content": None, "reasoning_content": "only \\boxed{9, 1} here"}, "", "only \\boxed{9, 1} here"),
        ({}, "", None),
        ({"content": {"type": "text", "text": "a"}}, "a", None),
        ({"content": ["a", {"type": "text", "text": None}]}, "a", None),
        ({"content": None, "refusal": "I will not."}, "I will not.", None),
        (
            {"content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "a"}, {"text": "b"}]},
            "ab",
            None,
        ),
    ],
)
def test_text_and_reasoning_stay_apart(message, text, reasoning):
    sample = first(message)
    assert (sample.text, sample.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    ("told", "finish"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("eos", "stop"),
        ("content_filter", "other"),
        (None, "other"),
        ("tool_calls", "other"),
        ("STOP", "stop"),
        ("FINISH_REASON_STOP", "stop"),
        ("FinishReason.STOP", "stop"),
        ("eos_token", "stop"),
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("COMPLETE", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "other"),
        ("abort", "other"),
        (["stop"], "other"),
        ({}, "other"),
    ],
)
def test_finish_reasons(told, finish):
    assert first({"content": "a"}, finish_reason=told).finish_reason == finish


NO_USAGE = [
    None,
    {},
    [1, 2],
    "many",
    7,
    {"prompt_tokens_details": None},
    {"prompt_tokens_details": [1]},
    {"prompt_tokens": None, "completion_tokens": "3"},
    {"prompt_tokens": -1, "completion_tokens": -5},
    {"prompt_tokens": 1.5, "completion_tokens": 3.0},
    {"prompt_tokens": True, "completion_tokens": [3]},
    {"prompt_tokens": 2**63 - 1, "completion_tokens": 2**63},
    {"prompt_tokens": 10**9 + 1, "completion_tokens": 2**64 - 1},
    {"completion_tokens": 1e300, "prompt_tokens_details": {"cached_tokens": 2**62}},
]


@pytest.mark.parametrize("usage", NO_USAGE)
def test_usage_that_is_none_counts_as_nothing(usage):
    for choices, request in (([choice("a")], ONE), ([choice("a"), choice("b")], TWO)):
        reply = read_reply(orjson.dumps({"choices": choices, "usage": usage}), request)
        assert reply.usage == Usage(0, 0, 0, 1)
        assert {sample.completion_tokens for sample in reply.samples} == {None}


def test_llamacpp_counts_one_choice_and_the_rest_is_estimated():
    choices = [choice("x" * 40), choice("x" * 100, 1)]
    raw = completion(choices, usage={"prompt_tokens": 7, "completion_tokens": 10}, timings={"predicted_n": 10})
    reply = read_reply(raw, TWO)
    assert reply.usage == Usage(7, 35, 0, 1)
    assert reply.estimated
    assert [sample.completion_tokens for sample in reply.samples] == [None, None]


def test_logprobs_give_the_count_that_llamacpp_lacks():
    token = {"token": "x", "logprob": -1.0}
    choices = [choice("xx", 0, logprobs={"content": [token] * 2}), choice("xxx", 1, logprobs={"content": [token] * 3})]
    reply = read_reply(completion(choices, usage={"completion_tokens": 2}, timings={"predicted_n": 2}), TWO)
    assert reply.usage.completion_tokens == 5
    assert [sample.completion_tokens for sample in reply.samples] == [2, 3]
    assert not reply.estimated


def tokens(*pieces: str) -> dict:
    return {"content": [{"token": piece, "logprob": -1.0, "bytes": list(piece.encode())} for piece in pieces]}


@pytest.mark.parametrize(
    ("text", "pieces", "kept"),
    [
        ("a b", ["a", " b"], ["a", " b"]),
        ("a b", ["a", " b", "<|im_end|>"], ["a", " b"]),
        ("a b", ["\n\na", " b\n"], ["a", " b"]),
        ("a b", ["think a b", "</think>", "a", " b"], ["a", " b"]),
        ("", ["<|im_end|>"], []),
    ],
)
def test_logprobs_are_lined_up_with_the_text(text, pieces, kept):
    logprobs = first({"content": text}, logprobs=tokens(*pieces)).logprobs
    assert [token.token for token in logprobs] == kept


def test_logprobs_that_do_not_contain_the_text_are_left_out():
    assert first({"content": "something else"}, logprobs=tokens("a", "b")).logprobs is None


LONE = {"token": "a", "logprob": -0.5}


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        [LONE],
        {"content": None},
        {"content": {}},
        {"content": []},
        {"content": ["a"]},
        {"content": [None]},
        {"content": [{"logprob": -0.5}]},
        {"content": [{"token": 7, "logprob": -0.5}]},
        {"content": [{"token": "a", "logprob": None}]},
        {"content": [{"token": "a", "logprob": "-0.5"}]},
        {"content": [{"token": "a", "logprob": True}]},
        {"content": [{"token": "a", "logprob": 0.5}]},
        {"content": [{"token": "b", "logprob": -0.5, "bytes": ["x"]}]},
        {"tokens": ["a"], "token_logprobs": [-0.5]},
    ],
)
def test_what_is_no_log_probability_is_none(logprobs):
    assert first({"content": "a"}, logprobs=logprobs).logprobs is None


@pytest.mark.parametrize(
    ("top", "kept"),
    [
        (None, ()),
        ([], ()),
        ("a", ()),
        ({"a": -0.5, "b": None}, (("a", -0.5),)),
        ([{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": None}, {"token": "c"}, None], (("a", -0.5),)),
        ([{"token": "b", "logprob": -9999.0}], (("b", -9999.0),)),
    ],
)
def test_alternatives_without_a_probability_are_left_out(top, kept):
    (token,) = first({"content": "a"}, logprobs={"content": [{**LONE, "top_logprobs": top}]}).logprobs
    assert token == TokenLogprob("a", -0.5, kept)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'\xef\xbb\xbf{"choices": [{"message": {"content": "marked"}}]}', "marked"),
        (b'{"choices": [{"message": {"content": "caf\xe9"}}]}', "caf\ufffd"),
        (b'{"choices": [{"message": {"content": "half \\ud83d"}}]}', "half \ufffd"),
        (b'{"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{"logprob": -Infinity}]}}]}', "x"),
        (b' \n {"choices": [{"message": {"content": "late"}}]}\n\n', "late"),
        (b'{"choices": [{"index": null, "message": {"content": ["in ", {"text": "parts"}]}}]}', "in parts"),
    ],
)
def test_json_that_is_almost_right_is_read(raw, text):
    assert read_reply(raw, ONE).samples[0].text == text


@pytest.mark.parametrize("indices", [[None, None], [1, None], ["0", "1"]])
def test_choices_that_do_not_say_their_place_are_all_read(indices):
    raw = orjson.dumps({"choices": [choice(f"{n}", index) for n, index in enumerate(indices)]})
    assert sorted(sample.text for sample in read_reply(raw, TWO).samples) == ["0", "1"]


def test_a_character_split_over_tokens_belongs_to_the_last_of_them():
    parts = [
        {"token": "\ufffd", "logprob": -1.0, "bytes": [0xE2, 0x9C]},
        {"token": "\ufffd", "logprob": -2.0, "bytes": [0x93]},
    ]
    logprobs = first({"content": "✓"}, logprobs={"content": parts}).logprobs
    assert logprobs == (TokenLogprob("✓", -2.0),)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nul",
        b"null",
        b"3",
        b'{"choices": {}}',
        b'{"choices": [3]}',
        b'{"choices":[{"message":3}]}',
        b'{"choices":[{"message":{"content":{"a":1}}}]}',
    ],
)
def test_what_is_no_completion(raw):
    with pytest.raises(UnreadableReplyError):
        read_reply(raw, ONE)


def test_lone_surrogates_become_replacement_characters():
    body = payload("m", SampleRequest((Message("user", "a\ud800b 🏅"),)), Form())
    assert orjson.loads(encode(body))["messages"][0]["content"] == "a\ufffdb 🏅"
