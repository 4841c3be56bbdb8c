import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from classifiers.tiny_classifiers import CHAT, CHAT_TOKENS, save_decoder, save_encoder, save_tokenizer
from spct.classifiers import load_scorer
from spct.engines.chat_tokenizer import ChatTokenizer
from spct.errors import ContextLengthError, EngineError, InputError, WeightsError
from spct.types import Message, Tool, ToolCall

TALKS = [
    (Message("user", "2+2?"), Message("assistant", "4")),
    (Message("user", "2+2?"), Message("assistant", "It is five, since I counted twice.")),
    (Message("user", "2+2?"), Message("assistant", "4"), Message("user", "Sure?"), Message("assistant", "Quite.")),
]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return save_decoder(tmp_path_factory.mktemp("decoder"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"))


async def scored(path, talks=TALKS, **options):
    scorer = load_scorer(f"classifier:{path}", device="cpu", **options)
    try:
        return await scorer.score(talks)
    finally:
        await scorer.close()


def reference(path, **inputs):
    """The logit as transformers' documentation has it: one text, nothing of ours."""
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    with torch.inference_mode():
        return float(model(**inputs).logits[0, 0])


async def test_a_bradley_terry_head_gives_transformers_own_logits_in_any_batch(decoder):
    tokenizer = AutoTokenizer.from_pretrained(decoder)
    found = {batch: [s.value for s in await scored(decoder, batch=batch)] for batch in (1, 3)}
    for place, talk in enumerate(TALKS):
        turns = [{"role": turn.role, "content": turn.content} for turn in talk]
        ids = tokenizer.apply_chat_template(turns, return_dict=False, return_tensors="pt")
        assert found[1][place] == pytest.approx(reference(decoder, input_ids=ids), abs=1e-5)
    assert found[3] == pytest.approx(found[1], abs=1e-5)
    assert len(set(found[1])) == 3


async def test_what_is_in_effect_is_told(decoder):
    scorer = load_scorer(f"classifier:{decoder}", device="cpu", dtype="bfloat16")
    await scorer.start()
    told = scorer.configuration
    await scorer.close()
    assert (told["torch"], told["device"], told["dtype"]) == (torch.__version__, "cpu", "bfloat16")


async def test_tokens_are_counted(decoder):
    assert [score.prompt_tokens for score in await scored(decoder, TALKS[:1])] == [len("2+2?") + 1 + 4]


async def test_an_encoder_without_a_chat_template_reads_a_text_pair(encoder):
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    inputs = tokenizer("2+2?", "4", return_tensors="pt", return_token_type_ids=True)
    assert inputs["token_type_ids"].sum() == 2
    found = await scored(encoder)
    assert found[0].value == pytest.approx(reference(encoder, **inputs), abs=1e-5)
    turns = tokenizer(
        "User: 2+2?\n\nAssistant: 4\n\nUser: Sure?", "Quite.", return_tensors="pt", return_token_type_ids=True
    )
    assert found[2].value == pytest.approx(reference(encoder, **turns), abs=1e-5)


async def test_a_form_of_ones_own(encoder):
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    inputs = tokenizer("Q: 2+2? A: {query}", return_tensors="pt")
    talk = (Message("user", "2+2?"), Message("assistant", "{query}"))
    found = await scored(encoder, [talk], form="Q: {query} A: {response}")
    assert found[0].value == pytest.approx(reference(encoder, **inputs), abs=1e-5)


async def test_a_text_beyond_the_context_is_an_error_and_never_cut(tmp_path):
    path = save_decoder(tmp_path, context=16)
    with pytest.raises(ContextLengthError, match="has 42 tokens and .* reads at most 16; nothing is cut off") as caught:
        await scored(path)
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (42, 16)
    assert len(await scored(path, TALKS[:1])) == 1


async def test_several_outputs_need_a_label(tmp_path):
    path = save_decoder(tmp_path, labels=3)
    with pytest.raises(EngineError, match="gives 3 numbers a text; expected 1, or the option label"):
        await scored(path)
    with pytest.raises(EngineError, match="label 3 is none of them"):
        await scored(path, label=3)
    found = [(await scored(path, TALKS[:1], label=label))[0].value for label in range(3)]
    assert len(set(found)) == 3


async def test_a_number_that_is_not_finite_is_no_score(tmp_path):
    path = save_decoder(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(path)
    with torch.no_grad():
        model.score.weight.fill_(float("nan"))
    model.save_pretrained(path)
    (score,) = await scored(path, TALKS[:1])
    assert (score.value, score.problem) == (None, "the classifier gave nan, which is no finite number")


async def test_a_causal_model_is_no_classifier(tmp_path):
    from transformers import AutoModelForCausalLM

    path = save_decoder(tmp_path)
    config = AutoModelForSequenceClassification.from_pretrained(path).config
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    with pytest.raises(WeightsError, match=r"holds no weights for score.weight, so it is no trained classifier"):
        await scored(path)


async def test_a_missing_checkpoint_is_a_weights_error(tmp_path):
    with pytest.raises(WeightsError, match="cannot be loaded"):
        await scored(tmp_path / "nothing")


async def test_code_of_a_checkpoint_runs_only_if_trusted(tmp_path):
    save_tokenizer(tmp_path, ["<|end|>"], "{{ messages[-1].content }}")
    (tmp_path / "own_head.py").write_text(
        "import torch\n"
        "from transformers import PretrainedConfig, PreTrainedModel\n"
        "from transformers.utils import ModelOutput\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Out(ModelOutput):\n    score: torch.FloatTensor = None\n"
        "class OwnConfig(PretrainedConfig):\n    model_type = 'own-head'\n    vocab_size = 300\n"
        "class OwnHead(PreTrainedModel):\n    config_class = OwnConfig\n"
        "    def __init__(self, config):\n        super().__init__(config)\n"
        "        self.scale = torch.nn.Parameter(torch.tensor([2.0]))\n        self.post_init()\n"
        "    def _init_weights(self, module):\n        pass\n"
        "    def forward(self, input_ids, attention_mask, **_):\n"
        "        return Out(score=self.scale * attention_mask.sum(-1, keepdim=True))\n"
    )
    (tmp_path / "config.json").write_text(
        '{"model_type": "own-head", "architectures": ["OwnHead"], "auto_map": {"AutoConfig": "own_head.OwnConfig",'
        ' "AutoModelForSequenceClassification": "own_head.OwnHead"}}'
    )
    from safetensors.torch import save_file

    save_file({"scale": torch.tensor([2.0])}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="trust_remote_code"):
        await scored(tmp_path)
    found = await scored(tmp_path, trust_remote_code=True)
    assert [score.value for score in found] == [2.0, 68.0, 12.0]


def test_options_are_checked_before_anything_is_loaded():
    with pytest.raises(InputError, match=r"form 'x': expected auto, chat, pair, or a text with \{response\}"):
        load_scorer("classifier:x", form="x")
    with pytest.raises(InputError, match="dtype 'int8'"):
        load_scorer("classifier:x", dtype="int8")
    with pytest.raises(InputError, match=r"takes no base_url; it takes batch, context_tokens"):
        load_scorer("classifier:x", base_url="http://127.0.0.1")
    with pytest.raises(InputError, match="expected KIND:NAME with KIND one of classifier, remote, attributes"):
        load_scorer("openai:x")


TOOLS = "{% if tools %}<|user|>{% for tool in tools %}{{ tool | tojson }}{% endfor %}<|end|>{% endif %}"
TURNS = "{% for m in messages %}"
SAID = "<|{{ 'user' if m.role == 'tool' else 'assistant' }}|>{{ m.content }}"
CALLS = "{% for c in m.tool_calls or [] %}{{ c.function.name }}({{ c.function.arguments.items() | list }}){% endfor %}"
ENDS = "<|end|>{% endfor %}"
ONE_CALL = "{% if (m.tool_calls or []) | length > 1 %}{{ raise_exception('one') }}{% endif %}"
WHOLE = TOOLS + TURNS + SAID + CALLS + ENDS
TEMPLATES = {
    "plain": (CHAT, False),
    "whole": (WHOLE, True),
    "drops what is said with a call": (
        WHOLE.replace("{{ m.content }}", "{{ '' if m.tool_calls else m.content }}"),
        False,
    ),
    "drops calls": (TOOLS + TURNS + SAID + ENDS, False),
    "names tools alone": (WHOLE.replace("tool | tojson", "tool.function.name"), False),
    "drops tools": (TURNS + SAID + CALLS + ENDS, False),
    "one call a turn": (TOOLS + TURNS + ONE_CALL + SAID + CALLS + ENDS, False),
    "another order": (WHOLE.replace("in messages", "in messages | reverse"), False),
}


@pytest.mark.parametrize(("template", "takes"), TEMPLATES.values(), ids=list(TEMPLATES))
async def test_whether_a_chat_template_writes_tools_is_tried(template, takes, tmp_path):
    save_decoder(tmp_path)
    save_tokenizer(tmp_path, CHAT_TOKENS, template)
    for form, expected in ((None, takes), ("chat", takes), ("pair", False), ("{query} {response}", False)):
        scorer = load_scorer(f"classifier:{tmp_path}", device="cpu", **({"form": form} if form else {}))
        assert not scorer.capabilities.tool_turns
        await scorer.start()
        assert scorer.capabilities.tool_turns is expected
        await scorer.close()


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("qwen3", True),
        ("glm4moe", True),
        ("llama3", False),
        ("llama3_1", False),
        ("deepseekv3", False),
        ("gptoss", False),
    ],
)
def test_real_chat_templates_that_write_tools_and_some_that_lose_a_part(name, takes, tmp_path):
    """Llama 3.1 refuses two calls in a turn, gpt-oss writes the first alone, DeepSeek V3 takes arguments as text."""
    templates = Path(find_spec("trl").origin).parent / "chat_templates"
    save_tokenizer(tmp_path, ["<s>", "</s>"], (templates / f"{name}.jinja").read_text("utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, bos_token="<s>", eos_token="</s>")
    assert ChatTokenizer(tokenizer, name).takes_tools() is takes


async def test_tool_turns_are_put_as_transformers_puts_them(tmp_path):
    save_decoder(tmp_path, context=2048)
    save_tokenizer(tmp_path, CHAT_TOKENS, WHOLE)
    call, schema = ToolCall(1, "look", '{"at": "x"}'), {"type": "object", "properties": {}}
    talk = (
        Message("user", "q", tools=(Tool("look", "Look.", json.dumps(schema)), Tool("stop"))),
        Message("assistant", "so", (call, ToolCall(2, "look", '{"at": 2}'))),
        Message("tool", "bark", answers=1, name="look"),
        Message("assistant", "a"),
    )
    calls = [
        {"id": f"call0000{n}", "type": "function", "function": {"name": "look", "arguments": {"at": at}}}
        for n, at in ((1, "x"), (2, 2))
    ]
    rows = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "so", "tool_calls": calls},
        {"role": "tool", "content": "bark", "tool_call_id": "call00001", "name": "look"},
        {"role": "assistant", "content": "a"},
    ]
    tools = [
        {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": schema}},
        {"type": "function", "function": {"name": "stop", "parameters": {}}},
    ]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer.apply_chat_template(rows, tools=tools, return_dict=False, return_tensors="pt")
    (found,) = await scored(tmp_path, [talk])
    assert found.value == pytest.approx(reference(tmp_path, input_ids=ids), abs=1e-5)
    assert found.prompt_tokens == ids.shape[1]
