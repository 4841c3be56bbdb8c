"""What SFT learns from, as token rows on disk: trajectories, mixed with general instruction data in the stated share.

Failure rule: a row that is none, a share that cannot be met, and an example longer than the context (unless it is to be
dropped) are InputErrors that name the row; no trajectory at all is a TrainingError. A prompt in which the chat format's
control tokens occur as text is dropped and counted: it would speak outside its turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pyarrow as pa

from spct.errors import InputError, RejectedError, TrainingError
from spct.items import read_rows
from spct.train.common.chat import ChatEncoder, Example
from spct.train.common.token_rows import Rows
from spct.train.common.trajectories import messages_in, read_trajectories
from spct.train.sft.balance import Shown, balanced
from spct.train.sft.recipe import SftRecipe
from spct.types import Message

SCHEMA = pa.schema([("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))])


@dataclass(slots=True)
class DataCounts:
    """What went into the token file, and what did not. ``loss_tokens`` are those that the loss is over, ``unbalanced`` the
    trajectories dropped by ``balance_places``.
    """

    trajectories: int = 0
    hinted: int = 0
    general: int = 0
    tokens: int = 0
    loss_tokens: int = 0
    longest: int = 0
    too_long: int = 0
    control_tokens: int = 0
    unbalanced: int = 0
    sources: Counter[str] = field(default_factory=Counter)

    def as_row(self) -> dict[str, Any]:
        examples = self.trajectories + self.general
        share = self.general / examples if examples else 0.0
        names = ("trajectories", "hinted", "general")
        row = {name: getattr(self, name) for name in names} | {"general_share": round(share, 4)}
        counts = ("tokens", "loss_tokens", "longest", "too_long", "control_tokens", "unbalanced")
        return row | {name: getattr(self, name) for name in counts} | {"sources": dict(self.sources)}


def sft_rows(recipe: SftRecipe, encoder: ChatEncoder, context: int) -> tuple[Rows, Callable[[], dict[str, Any]]]:
    """The token rows of a recipe's examples, and their counts once they have been read. Raises InputError, TrainingError."""
    counts = DataCounts()
    examples = _examples(recipe, encoder, context, counts)
    return ({"input_ids": one.input_ids, "labels": one.labels} for one in examples), counts.as_row


def _examples(recipe: SftRecipe, encoder: ChatEncoder, context: int, counts: DataCounts) -> Iterator[Example]:
    for where, row in _balanced(recipe, counts):
        messages = messages_in(row, where)
        example = _fitting(_encode(encoder, messages, str(row["completion"]), where), where, recipe, context, counts)
        if example is not None and not _smuggled(encoder, messages, counts):
            counts.trajectories += 1
            counts.hinted += bool(row.get("hinted"))
            counts.sources[str(row.get("source", "items"))] += 1
            yield _counted(example, counts)
    if not counts.trajectories:
        names = ", ".join(map(str, recipe.trajectories))
        raise TrainingError(
            f"{names}: no trajectory to learn from ({counts.too_long} too long, {counts.control_tokens} with control tokens, "
            f"{counts.unbalanced} dropped to balance places); sample more with spct train rft-data, or raise max_tokens"
        )
    for where, messages, completion in _general(recipe, counts.trajectories):
        example = _fitting(_encode(encoder, messages, completion, where), where, recipe, context, counts)
        if example is not None and not _smuggled(encoder, messages, counts):
            counts.general += 1
            yield _counted(example, counts)


def _balanced(recipe: SftRecipe, counts: DataCounts) -> Iterator[tuple[str, dict[str, Any]]]:
    """The trajectories to learn; with ``balance_places`` those that ``balanced`` draws of them."""
    if not recipe.balance_places:
        yield from _trajectories(recipe)
        return
    kept = balanced([_shown(row, where) for where, row in _trajectories(recipe)], recipe.seed)
    for place, found in enumerate(_trajectories(recipe)):
        if place in kept:
            yield found
        else:
            counts.unbalanced += 1


def _shown(row: Mapping[str, Any], where: str) -> Shown | None:
    """How many responses a trajectory shows and where the best stands; None of one response. Raises InputError."""
    order, best = row.get("order"), row.get("best")
    if not isinstance(order, list) or (len(order) > 1 and best not in order):
        raise InputError(
            f"{where}: balance_places needs order and best, the best response being one of those shown; got "
            f"order {order!r}, best {best!r}. Make the file anew with spct train rft-data, or leave balance_places out"
        )
    return (len(order), order.index(best)) if len(order) > 1 else None


def _trajectories(recipe: SftRecipe) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in recipe.trajectories:
        if not path.exists():
            raise InputError(f"trajectories: there is no such file: {path}")
        if not path.stat().st_size:
            continue
        for where, row in read_trajectories(path):
            if recipe.hinted if row.get("hinted") else recipe.sampled:
                yield where, row


def _general(recipe: SftRecipe, trajectories: int) -> Iterator[tuple[str, tuple[Message, ...], str]]:
    """As many general rows as make the stated share, drawn without repetition, in the order of their files."""
    if recipe.general is None:
        return
    share = recipe.general.share
    wanted = round(trajectories * share / (1 - share))
    there = sum(1 for path in recipe.general.path for _ in read_rows(path))
    if wanted > there:
        raise InputError(
            f"general: a share of {share:g} beside {trajectories:,} trajectories takes {wanted:,} rows, and there are "
            f"{there:,}; lower the share to {there / (there + trajectories):.3f} or give more"
        )
    chosen = set(Random(recipe.seed).sample(range(there), wanted))
    rows = (row for path in recipe.general.path for row in read_rows(path))
    for place, (where, row) in enumerate(rows):
        if place in chosen:
            yield (where, *_conversation(row, where))


def _conversation(row: Mapping[str, Any], where: str) -> tuple[tuple[Message, ...], str]:
    """Prompt and completion of ``{messages}`` that end with the assistant, or of ``{prompt, completion}``."""
    if "messages" in row:
        *before, last = messages_in(row, where)
        if last.role != "assistant" or not before:
            raise InputError(f"{where}: messages end with {last.role}; expected the assistant's answer after a prompt")
        return tuple(before), last.content
    prompt, completion = row.get("prompt"), row.get("completion")
    if not (isinstance(prompt, str) and isinstance(completion, str)):
        raise InputError(
            f"{where}: got the keys {', '.join(row)}; expected messages, or prompt and completion as texts"
        )
    return (Message("user", prompt),), completion


def _encode(encoder: ChatEncoder, messages: Sequence[Message], completion: str, where: str) -> Example:
    try:
        return encoder.example(messages, completion)
    except RejectedError as error:
        raise InputError(f"{where}: {error}") from error


def _fitting(example: Example, where: str, recipe: SftRecipe, context: int, counts: DataCounts) -> Example | None:
    if len(example.input_ids) <= context:
        return example
    if recipe.on_long == "stop":
        raise InputError(
            f"{where}: {len(example.input_ids):,} tokens, {example.prompt_tokens:,} of them the prompt, and the context is "
            f"{context:,}; raise max_tokens if the model can, or leave such rows out with on_long: drop"
        )
    counts.too_long += 1
    return None


def _smuggled(encoder: ChatEncoder, messages: Sequence[Message], counts: DataCounts) -> bool:
    found = any(encoder.smuggled(message.content) for message in messages)
    counts.control_tokens += found
    return found


def _counted(example: Example, counts: DataCounts) -> Example:
    counts.tokens += len(example.input_ids)
    counts.loss_tokens += len(example.input_ids) - example.prompt_tokens
    counts.longest = max(counts.longest, len(example.input_ids))
    return example
