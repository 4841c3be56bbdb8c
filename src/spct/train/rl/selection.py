"""Which items are trained on: labelled ones, without those too easy for a weak model and those too long for this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from spct.aio import LoopThread
from spct.data.output import write_json
from spct.engines import load_engine
from spct.errors import ContextLengthError, InputError
from spct.items import read_items
from spct.run.opening import file_facts
from spct.train.common.chat import ChatEncoder
from spct.train.common.labels import check_label
from spct.train.rl.easy import Sifted, leave_out_easy
from spct.train.rl.judging import Asking
from spct.train.rl.prompts import Templates
from spct.train.rl.recipe import EasyRecipe, RLRecipe
from spct.train.stage import Say
from spct.types import Item
from spct.wording import count

EASY = "too_easy"
SLACK = 8
"""Tokens by which a prompt may be longer in another order of its responses."""


@dataclass(frozen=True, slots=True)
class TrainingItems:
    """The items to train on, and how many were left out."""

    kept: tuple[Item, ...]
    templates: Templates
    read: int
    easy: int = 0
    long: int = 0

    def counts(self) -> dict[str, int]:
        """The counts of a report."""
        return {"read": self.read, "too easy": self.easy, "too long": self.long, "kept": len(self.kept)}

    def fitting(self, encoder: ChatEncoder, room: int, recipe: RLRecipe, say: Say) -> TrainingItems:
        """Those whose prompt has at most ``room`` tokens.

        Raises ContextLengthError at the first that has more, unless the recipe drops them; InputError if none is left.
        """
        kept = []
        for item in self.kept:
            tokens = _prompt_tokens(item, self.templates, encoder, room)
            if tokens is None:
                kept.append(item)
            elif recipe.on_long == "stop":
                raise ContextLengthError(
                    f"item {item.id!r}: its prompt has {tokens} tokens, and {max(room, 0)} are left of the context beside "
                    f"max_new_tokens {recipe.max_new_tokens}; leave such items out with on_long: drop, or lower "
                    "max_new_tokens",
                    tokens,
                    room + recipe.max_new_tokens,
                )
        if not kept:
            raise InputError(f"all {len(self.kept):,} items are too long for the context; lower max_new_tokens")
        if long := len(self.kept) - len(kept):
            say(f"{count(long, 'item')} left out, by prompts of more than {room:,} tokens")
        return replace(self, kept=tuple(kept), long=long)


def read_labelled(path: Path, templates: Templates, most: int | None = None) -> tuple[Item, ...]:
    """The first ``most`` items of a file. Raises InputError for none, or for a label that no judgment could meet."""
    items: list[Item] = []
    for item in read_items(path):
        if most is not None and len(items) == most:
            break
        check_label(item, templates.of(item))
        items.append(item)
    if not items:
        raise InputError(f"{path} has no items; expected at least one with best, rewards or label")
    return tuple(items)


def training_items(recipe: RLRecipe, templates: Templates, out: Path, say: Say) -> TrainingItems:
    """The recipe's items without those too easy; the weak model is asked at most once, and where it was stopped."""
    items = read_labelled(recipe.data, templates)
    if recipe.too_easy is None:
        return TrainingItems(items, templates, len(items))
    sifted = _sifted(recipe, recipe.too_easy, items, out / EASY, say)
    kept = tuple(items[place] for place in sifted.kept)
    if not kept:
        raise InputError(
            f"{recipe.too_easy.model} judges all {len(items):,} items of {recipe.data} right {recipe.too_easy.k} of "
            f"{recipe.too_easy.k} times: nothing is left to learn; use harder items, or leave too_easy out"
        )
    return TrainingItems(kept, templates, len(items), easy=sifted.easy)


def _sifted(recipe: RLRecipe, easy: EasyRecipe, items: tuple[Item, ...], out: Path, say: Say) -> Sifted:
    """From ``kept.json``, which is there once all items are judged; else from the weak model."""
    done = out / "kept.json"
    if done.is_file():
        found = orjson.loads(done.read_bytes())
        return Sifted(tuple(found["kept"]), found["easy"], found["unjudged"])
    engine = load_engine(easy.model, **easy.options)
    asking = Asking(recipe.template, recipe.single_template, easy.k, easy.temperature, easy.max_tokens, recipe.seed)
    say(
        f"judging {count(len(items), 'item')} {count(easy.k, 'time')} with {easy.model}, to leave out the too easy ones"
    )
    session = {**file_facts(recipe.data), "items": len(items)}
    on_item = _counter(len(items), say)
    thread = LoopThread()
    try:
        sifted = thread.run(leave_out_easy(engine, items, asking, out=out, session=session, on_item=on_item))
    finally:
        thread.stop()
    write_json(done, asdict(sifted))
    say(f"{sifted.easy:,} of {len(items):,} items are too easy; {sifted.unjudged:,} got fewer than {easy.k} judgments")
    return sifted


def _counter(total: int, say: Say) -> Callable[[], None]:
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if done % max(1, total // 20) == 0:
            say(f"  {done:,} of {total:,} items")

    return count


def _prompt_tokens(item: Item, templates: Templates, encoder: ChatEncoder, room: int) -> int | None:
    """The tokens of the item's prompt if they may be more than ``room``, else None; most need not be counted."""
    order = range(len(item.responses))
    messages = templates.of(item).render(item, order, special_tokens=encoder.control_tokens)
    if sum(len(message.content.encode()) for message in messages) + 64 <= room:
        return None  # a token is at least one byte
    tokens = len(encoder.prompt(messages)) + (SLACK if len(order) > 1 else 0)
    return tokens if tokens > room else None
