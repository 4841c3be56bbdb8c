"""A sequence classifier in this process: loading, batching by length, one worker thread. Imports torch.

Token ids in, the head's numbers out. What text the ids are, and what the numbers mean, is the business of ``local``,
``pairs`` and the local meta RM. Failure rule: nothing is truncated; a text beyond the context is a ContextLengthError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import jinja2

from spct.engines.engine import Capabilities
from spct.errors import (
    ContextLengthError,
    EngineError,
    EngineMissingError,
    InputError,
    RejectedError,
    SpctError,
    WeightsError,
)
from spct.types import Message

try:
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    from spct.engines.chat_tokenizer import ChatTokenizer, chat_rows, tools_in
    from spct.engines.torch_sampling import torch_configuration
except ImportError as error:
    raise EngineMissingError(
        f"a local classifier needs its packages ({error}): pip install 'spct[transformers]'"
    ) from error

T = TypeVar("T")
Encoding = Mapping[str, list[int]]
"""``input_ids``, and ``token_type_ids`` where the tokenizer gives them; one text, no padding."""

DTYPES = ("auto", "float32", "bfloat16", "float16")
OUTPUTS = ("logits", "score", "rewards")
"""Where a head puts its numbers: transformers' own name first, then those of common custom heads."""

_UNSET_LENGTH = 10**9  # tokenizers that know no limit carry a larger number


@dataclass(frozen=True, slots=True)
class TorchOptions:
    """``device`` defaults to CUDA where there is one, ``dtype`` "auto" is the checkpoint's, ``batch`` is texts at once.

    ``context_tokens`` overrides the limit that model and tokenizer name. ``trust_remote_code`` runs code that comes
    with the checkpoint.
    """

    device: str | None = None
    dtype: str = "auto"
    batch: int = 8
    context_tokens: int | None = None
    threads: int | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InputError(f"dtype {self.dtype!r}: expected one of {', '.join(DTYPES)}")
        if self.batch < 1:
            raise InputError(f"batch {self.batch}: expected at least 1")


@dataclass(frozen=True, slots=True)
class LoadedClassifier:
    """A model ready to run, with its tokenizer."""

    model: Any
    tokenizer: Any
    pad: int | None
    context_tokens: int | None
    special_tokens: tuple[str, ...]
    takes_tools: bool


class TorchClassifier:
    """Loads the checkpoint ``name`` (a directory or hub id) and runs it.

    ``own`` names, for architectures that transformers does not know, the class that loads them and how many tokens they
    read. All others are AutoModelForSequenceClassification's. ``check`` refuses a model, once loaded, by raising.
    """

    def __init__(
        self,
        name: str,
        options: TorchOptions,
        own: Mapping[str, tuple[Any, int]] | None = None,
        check: Callable[[LoadedClassifier], None] | None = None,
    ) -> None:
        self.name = name
        self.options = options
        self._own = own or {}
        self._check = check
        self._device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._loaded: LoadedClassifier | None = None
        self._worker: ThreadPoolExecutor | None = None

    @property
    def configuration(self) -> Mapping[str, Any]:
        return torch_configuration(self._loaded and self._loaded.model, self._device)

    def capabilities(self, *, tool_turns: bool = False) -> Capabilities:
        """``tool_turns``: whether text is put by the chat template, which may then write tools."""
        loaded = self._loaded
        return Capabilities(
            tool_turns=tool_turns and loaded is not None and loaded.takes_tools,
            context_tokens=loaded.context_tokens if loaded else self.options.context_tokens,
            special_tokens=loaded.special_tokens if loaded else (),
        )

    async def start(self) -> None:
        await self.run(lambda loaded: None)

    async def run(self, work: Callable[[LoadedClassifier], T]) -> T:
        """``work`` on the worker thread, after loading: tokenizers and models are used by one thread only."""
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="spct-classifier")
        return await asyncio.get_running_loop().run_in_executor(self._worker, lambda: work(self._ready()))

    async def close(self) -> None:
        worker, self._worker, self._loaded = self._worker, None, None
        if worker is not None:
            await asyncio.to_thread(worker.shutdown, cancel_futures=True)
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()

    def outputs(self, loaded: LoadedClassifier, texts: Sequence[Encoding]) -> list[list[float]]:
        """The head's numbers for each text. Raises ContextLengthError, before anything is run, if one is too long."""
        for text in texts:
            _check_fit(len(text["input_ids"]), loaded.context_tokens, self.name)
        found: list[list[float]] = [[]] * len(texts)
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]["input_ids"]))
        for start in range(0, len(texts), self.options.batch):
            places = by_length[start : start + self.options.batch]
            for place, row in zip(places, self._forward(loaded, [texts[i] for i in places]), strict=True):
                found[place] = row
        return found

    def _forward(self, loaded: LoadedClassifier, texts: Sequence[Encoding]) -> list[list[float]]:
        longest = max(len(text["input_ids"]) for text in texts)
        fill = {"input_ids": _padding(loaded, texts)}
        inputs = {
            name: self._tensor([[*text[name], *[fill.get(name, 0)] * (longest - len(text[name]))] for text in texts])
            for name in texts[0]
        }
        lengths = [len(text["input_ids"]) for text in texts]
        inputs["attention_mask"] = self._tensor([[1] * size + [0] * (longest - size) for size in lengths])
        try:
            with torch.inference_mode():
                output = loaded.model(**inputs)
        except (torch.cuda.OutOfMemoryError, MemoryError) as error:
            raise EngineError(f"out of memory while scoring with {self.name}: {error}; lower batch") from error
        values = next((value for name in OUTPUTS if (value := getattr(output, name, None)) is not None), None)
        if values is None:
            raise EngineError(f"{self.name} returns none of {', '.join(OUTPUTS)}: it is no sequence classifier")
        return [[float(value) for value in row] for row in values.float().cpu().reshape(len(texts), -1)]

    def _tensor(self, rows: list[list[int]]) -> Any:
        return torch.tensor(rows, device=self._device)

    def _ready(self) -> LoadedClassifier:
        if self._loaded is None:
            loaded = self._load()
            if self._check is not None:
                self._check(loaded)
            self._loaded = loaded
        return self._loaded

    def _load(self) -> LoadedClassifier:
        options = self.options
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        remote: dict[str, Any] = {"trust_remote_code": options.trust_remote_code}
        dtype = "auto" if options.dtype == "auto" else getattr(torch, options.dtype)
        log: Any = transformers_logging
        shown = log.is_progress_bar_enabled()
        log.disable_progress_bar()  # the screen is not its own
        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(self.name, **remote)
            config = AutoConfig.from_pretrained(self.name, **remote)
            architecture = (config.architectures or [""])[0]
            model_class, context_tokens = self._own.get(architecture, (AutoModelForSequenceClassification, None))
            model, report = model_class.from_pretrained(self.name, dtype=dtype, output_loading_info=True, **remote)
        except SpctError:
            raise
        except ImportError as error:
            raise EngineMissingError(f"the model {self.name} needs a package that is missing: {error}") from error
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise WeightsError(f"the model {self.name} cannot be loaded as a sequence classifier: {error}") from error
        finally:
            if shown:
                log.enable_progress_bar()
        if missing := sorted(report["missing_keys"]):
            raise WeightsError(
                f"{self.name} holds no weights for {', '.join(missing[:3])}, so it is no trained classifier and its "
                "scores would be noise; expected a checkpoint saved as a sequence classifier"
            )
        model = model.to(self._device).eval()
        limit = options.context_tokens or context_tokens or _context(model, tokenizer)
        config = model.config.get_text_config(decoder=True)
        config.use_cache = False  # nothing is decoded after the text, so keys and values would only fill memory
        return LoadedClassifier(
            model,
            tokenizer,
            getattr(config, "pad_token_id", None),
            limit,
            _control_tokens(tokenizer, self.name),
            bool(tokenizer.chat_template) and ChatTokenizer(tokenizer, self.name).takes_tools(),
        )


def chat_ids(tokenizer: Any, turns: Sequence[Message], name: str) -> list[int]:
    """The ids of a finished conversation under the tokenizer's own chat template. Raises RejectedError."""
    options = {"tools": tools_in(turns), "add_generation_prompt": False, "return_dict": False}
    try:
        ids = tokenizer.apply_chat_template(chat_rows(turns), **options)
    except (jinja2.TemplateError, TypeError) as error:
        roles = ", ".join(turn.role for turn in turns)
        raise RejectedError(f"the chat template of {name} refuses turns of {roles}: {error}") from error
    return [int(token) for token in ids]


def _control_tokens(tokenizer: Any, name: str) -> tuple[str, ...]:
    """Strings that the tokenizer turns into one token that text has no business to write."""
    if tokenizer.chat_template:
        return ChatTokenizer(tokenizer, name).control_tokens()
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return tuple(dict.fromkeys([*tokenizer.all_special_tokens, *added]))


def _check_fit(tokens: int, context_tokens: int | None, name: str) -> None:
    if context_tokens is not None and tokens > context_tokens:
        raise ContextLengthError(
            f"a text has {tokens} tokens and {name} reads at most {context_tokens}; nothing is cut off: shorten the "
            "item, or raise context_tokens if the model reads more",
            tokens,
            context_tokens,
        )


def _padding(loaded: LoadedClassifier, texts: Sequence[Encoding]) -> int:
    """The checkpoint's padding id, else one that is in no text: decoders look for the last token that is not it."""
    if loaded.pad is not None:
        return loaded.pad
    config = loaded.model.config.get_text_config(decoder=True)
    used = {token for text in texts for token in text["input_ids"]}
    free = next(token for token in range(int(config.vocab_size)) if token not in used)
    loaded.model.config.pad_token_id = config.pad_token_id = free
    return free


def _context(model: Any, tokenizer: Any) -> int | None:
    limits = [getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)]
    limits.append(tokenizer.model_max_length if tokenizer.model_max_length < _UNSET_LENGTH else None)
    known = [int(limit) for limit in limits if limit]
    return min(known) if known else None
