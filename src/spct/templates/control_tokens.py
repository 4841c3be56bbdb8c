"""Control tokens of the chat formats in use, kept here for servers that do not say what their tokenizer has.

Whoever writes one of these into a response could end its own turn or open another if it reached such a tokenizer as it
is. The shield reads them loosely in every untrusted text, whatever the engine; what is known of the engine's own
tokenizer, and what its option ``special_tokens`` names, comes on top. To add a family: a line below with its source.

Tokens of one general shape (``<|...|>``, ``<|...>``, ``<...|>``, ``[|...|]``) need no line: ``SHAPES`` has them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from spct.templates.answer import ANY_TAG, CLOSED, SQUARE_NAME, TAG_WORDS

FAMILIES: dict[str, tuple[str, ...]] = {
    # ChatML, as Qwen, Yi, InternLM, SmolLM, Hermes and many others have it: tokenizer_config.json of Qwen/Qwen3-8B.
    "chatml": ("<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|endoftext|>", "<tool_call>", "</tool_call>"),
    "qwen": ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<tool_response>", "</tool_response>"),
    "internlm": ("<|action_start|>", "<|action_end|>", "<|plugin|>", "[UNUSED_TOKEN_145]", "[UNUSED_TOKEN_146]"),
    # Llama 2: the prompt format of meta-llama/llama (generation.py); 3 and 4: models/llama3, llama4 of meta-llama/llama-models.
    "llama2": ("<s>", "</s>", "<unk>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    "llama3": ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>"),
    "llama4": ("<|header_start|>", "<|header_end|>", "<|eot|>", "<|eom|>"),
    # Mistral: SpecialTokens in tokens/tokenizers/base.py of mistralai/mistral-common, and the templates of v13 and later.
    "mistral": (
        "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CONTENT]",
        "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[MODEL_SETTINGS]", "[/MODEL_SETTINGS]", "[ARGS]", "[CALL_ID]", "[IMG]",
        "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[AUDIO]", "[BEGIN_AUDIO]", "[TRANSCRIBE]", "<pad>",
        "<SPECIAL_20>",
    ),
    # Gemma: gemma/gm/text/_tokenizer.py of google-deepmind/gemma; 4: gemma4_reasoning_parser.py of vllm-project/vllm.
    "gemma": (
        "<bos>", "<eos>", "<mask>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<unused0>",
        "<ctrl94>",
    ),
    "gemma4": (
        "<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|think|>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>",
        "<|tool_response>", "<tool_response|>", "<|image>", "<image|>", "<|audio>", "<audio|>", '<|"|>',
    ),
    "functiongemma": (
        "<start_function_call>", "<end_function_call>", "<start_function_response>", "<end_function_response>",
        "<start_function_declaration>", "<end_function_declaration>",
    ),
    # DeepSeek: tokenizer_config.json of deepseek-ai/DeepSeek-V3; the bars are U+FF5C, the blanks U+2581.
    "deepseek": (
        "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜tool▁calls▁begin｜>",
        "<|EOT|>",
    ),
    # OpenAI harmony (gpt-oss): docs/format.md of openai/harmony.
    "harmony": ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>"),
    # Phi: tokenizer_config.json of microsoft/Phi-4-mini-instruct and Phi-3.
    "phi": ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>", "<|/tool|>", "<|tool_call|>", "<|/tool_call|>"),
    # Cohere: special_tokens_map.json of CohereLabs/command-a; the block marks in sglang's reasoning_parser.py.
    "cohere": (
        "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>",
        "<|START_ACTION|>", "<|END_ACTION|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>",
        "<BOS_TOKEN>", "<EOS_TOKEN>", "<PAD>", "<UNK>", "<CLS>", "<SEP>", "<MASK_TOKEN>",
    ),
    # Granite: tokenizer_config.json of ibm-granite/granite-4.0.
    "granite": ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", "<|tool_call|>"),
    # GLM: tokenizer_config.json of zai-org/GLM-4.6.
    "glm": (
        "[gMASK]", "[sMASK]", "[MASK]", "<sop>", "<eop>", "<|observation|>", "<|begin_of_image|>", "<arg_key>",
        "</arg_key>", "<arg_value>", "</arg_value>",
    ),
    # Kimi K2 and K3: tiktoken.model's special tokens, as in sglang's kimik3_format.py and reasoning_parser.py.
    "kimi": (
        "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>", "<|tool_calls_section_begin|>", "<|open|>",
        "<|close|>", "<|sep|>", "<|end_of_msg|>", "[BOS]", "[EOS]", "[EOT]", "[PAD]", "[UNK]",
    ),
    # EXAONE: chat_template.jinja of LGAI-EXAONE/EXAONE-4.0-32B.
    "exaone": ("[|system|]", "[|user|]", "[|assistant|]", "[|tool|]", "[|endofturn|]"),
    # MiniMax M1 and M2: chat_template.jinja and tokenizer.json of MiniMaxAI/MiniMax-M2.
    "minimax": (
        "]~!b[", "]~b]", "[e~[", "]!p~[", "]!d~[", "]<]speech[>[", "]<]image[>[", "]<]video[>[", "]<]start of image[>[",
        "]<]end of image[>[", "]<]vision pad[>[", "<minimax:tool_call>", "</minimax:tool_call>", "<beginning_of_sentence>",
        "<end_of_sentence>",
    ),
    # Nemotron: chat templates of nvidia/NVIDIA-Nemotron-Nano-9B-v2 and Nemotron-4-340B-Instruct.
    "nemotron": (
        "<SPECIAL_10>", "<SPECIAL_11>", "<SPECIAL_12>", "<extra_id_0>", "<extra_id_1>", "<AVAILABLE_TOOLS>",
        "</AVAILABLE_TOOLS>", "<TOOLCALL>", "</TOOLCALL>", "<TOOL_RESPONSE>", "</TOOL_RESPONSE>",
    ),
    # Seed: chat_template.jinja of ByteDance-Seed/Seed-OSS-36B-Instruct and Seed-Coder-8B.
    "seed": (
        "<seed:bos>", "<seed:eos>", "<seed:pad>", "<seed:tool_call>", "</seed:tool_call>", "<seed:cot_budget_reflect>",
        "<[begin▁of▁sentence]>", "<[end▁of▁sentence]>",
    ),
    # Hunyuan, Ling, Baichuan, Pangu, dots: the templates in src/llama-chat.cpp of ggml-org/llama.cpp.
    "hunyuan": ("<|startoftext|>", "<|extra_0|>", "<|extra_4|>", "<|eos|>", "<｜hy_User｜>", "<｜hy_Assistant｜>"),
    "ling": ("<role>", "</role>", "<|role_end|>"),
    "baichuan": ("<reserved_106>", "<reserved_107>"),
    "pangu": ("[unused9]", "[unused10]", "[unused11]", "[unused12]"),
    "dots": ("<|userprompt|>", "<|endofuserprompt|>", "<|response|>", "<|endofresponse|>"),
    # LongCat: chat template of meituan-longcat/LongCat-Flash-Chat.
    "longcat": ("<longcat_system>", "<longcat_user>", "<longcat_assistant>", "<longcat_s>", "</longcat_s>", "<longcat_tool_call>"),
    # Apertus, Solar, Inkling: apertus_ and solar_open2_reasoning_parser.py of vllm-project/vllm, inkling_tokenizer.py of sglang.
    "apertus": ("<|system_start|>", "<|user_start|>", "<|assistant_end|>", "<|tools_prefix|>", "<|inner_prefix|>"),
    "solar": ("<|begin|>", "<|content|>", "<|think:start|>", "<|tool_call:start|>"),
    "inkling": ("<|message_user|>", "<|message_model|>", "<|content_text|>", "<|end_message|>", "<|content_model_end_sampling|>"),
    # Idefics, SmolVLM: processor of huggingface/transformers. BERT's, of classifiers behind a server.
    "idefics": ("<end_of_utterance>", "<fake_token_around_image>"),
    "bert": ("[CLS]", "[SEP]"),
}  # fmt: skip
CONTROL_TOKENS = tuple(dict.fromkeys(token for tokens in FAMILIES.values() for token in tokens))


def _choice(names: Iterable[str]) -> str:
    """A pattern for any of ``names``, words in any case and with any number in them; quick where none begins so."""
    by_letter: dict[str, list[str]] = {}
    for name in sorted({re.sub(r"\d+", r"\\d{1,4}", name) for name in names}, key=lambda name: (-len(name), name)):
        by_letter.setdefault(name[0].lower(), []).append(name[1:])
    return "|".join(f"[{letter}{letter.upper()}](?i:{'|'.join(rests)})" for letter, rests in by_letter.items())


def _named(opening: str, closing: str) -> str:
    """A pattern for the names that stand between these two characters in ``CONTROL_TOKENS``, a slash before or not."""
    form = re.compile(rf"{re.escape(opening)}/?(\w[\w:]*){re.escape(closing)}")
    return _choice(match[1] for token in CONTROL_TOKENS if (match := form.fullmatch(token)))


_INSIDE = r"[^<>|\n⟦⟧‹›¦·]{1,60}+"
_PLAIN = r"[a-zA-Z0-9_:./▁-]{1,60}+"


class Shape(NamedTuple):
    """What reads like control tokens of a kind: ``opening``, with which it begins, is nearly always missing.

    With ``words`` it needs one of them among the letters of a text (``squeeze``).
    """

    opening: str
    pattern: re.Pattern[str]
    words: tuple[bytes, ...] = ()


SHAPES = (
    Shape("<", re.compile(rf"<(?=[\s/a-zA-Z0-9]){ANY_TAG}"), TAG_WORDS),
    Shape("<", re.compile(r"<<\s*+/?\s*+[sS](?i:YS)\s*+>>"), (b"sys",)),
    Shape(
        "<",
        re.compile(
            rf"<{CLOSED}(?:\s*+\|\s*+(?:{_INSIDE}\|\s*+>|{_PLAIN}\s*+>)"
            rf"|\s*+/?\s*+(?:{_named('<', '>')})\s*+/?\s*+>|\s*+{_PLAIN}\s*+\|\s*+>|\[{_PLAIN}\]>)"
        ),
    ),
    Shape(
        "[",
        re.compile(
            rf"\[(?:\s*+\|\s*+(?!.[\s|]){_PLAIN}\s*+\|\s*+\]|(?!\[)\s*+/?\s*+(?:{SQUARE_NAME}|{_named('[', ']')})\s*+\]|e~\[)"
        ),
    ),
    Shape("]", re.compile(r"\](?:~!?b[\[\]]|![a-z]~\[|<\][\w ]{1,40}+\[>\[)")),
)
"""What reads like a control token or a mark of reasoning; blanks and case do not matter.

Each begins with a fixed character, since that is what makes a search quick, and asks for the end of a token, or for a word that
it must have, before it tries one name after the other.
"""


@lru_cache(maxsize=64)
def special_pattern(tokens: tuple[str, ...]) -> re.Pattern[str] | None:
    """One pattern for all of ``tokens`` as they are, longest first; None if there is nothing to look for.

    Tokens of one character or of white space only are ordinary text.
    """
    wanted = sorted({token for token in tokens if len(token) > 1 and not token.isspace() and token.strip("·")})
    return re.compile(_tree(wanted)) if wanted else None


def _tree(words: Sequence[str], at: int = 0) -> str:
    """A pattern for sorted ``words`` from their character ``at`` on that reads no character of a text twice.

    A tokenizer may have thousands, and trying each at every ``<`` of a hostile text would take seconds.
    """
    first, last = words[0], words[-1]
    common = at
    while common < min(len(first), len(last)) and first[common] == last[common]:
        common += 1
    branches: dict[str, list[str]] = {}
    for word in words:
        if len(word) > common:
            branches.setdefault(word[common], []).append(word)
    head = re.escape(first[at:common])
    if not branches:
        return head
    body = "|".join(_tree(part, common) for part in branches.values())
    return f"{head}(?:{body}){'?' if len(first) == common else ''}"
