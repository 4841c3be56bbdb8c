"""What GSM8K and MATH share: attempts at a problem, each checked against the reference answer by rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spct.data.answers import UncheckableError, final_answer, same_answer
from spct.data.group import Dropped, Group, wins_of
from spct.errors import InputError
from spct.items.conversation import query_of
from spct.items.refusals import text_of


@dataclass(frozen=True, slots=True)
class Attempt:
    """A solution to check; ``claimed`` is what the file says of it, if it says anything."""

    text: str
    claimed: bool | None = None


def attempts_of(row: Mapping[str, Any], where: str) -> list[Attempt]:
    """The attempts of a row: texts under ``solutions``, or every column that is ``{solution, is_correct}``."""
    listed = row.get("solutions")
    if listed is None:
        found = [(key, value) for key, value in row.items() if isinstance(value, Mapping) and "solution" in value]
        return [
            Attempt(text_of(value["solution"], f"{where}: {key}"), _claim(value.get("is_correct"), f"{where}: {key}"))
            for key, value in found
        ]
    if not isinstance(listed, list):
        raise InputError(f"{where}: solutions: got {type(listed).__name__}; expected a list of texts")
    return [Attempt(text_of(text, f"{where}: solutions[{i}]")) for i, text in enumerate(listed)]


def _claim(value: object, where: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise InputError(f"{where}: is_correct: got {value!r}; expected true or false")
    return value


def solved(
    question: object, answer: str | None, attempts: Sequence[Attempt], where: str, **more: Any
) -> Iterator[Group | Dropped]:
    """One group of the attempts that the rule can judge, with 0/1 rewards that hold for each alone."""
    query = query_of([{"role": "user", "content": question}], f"{where}: question")
    if answer is None:
        yield Dropped("no answer in the reference solution")
        return
    if not attempts:
        yield Dropped("no solutions to check")
        return
    kept: list[tuple[str, float]] = []
    for attempt in attempts:
        found = final_answer(attempt.text)
        try:
            right = found is not None and same_answer(answer, found)
        except UncheckableError:
            yield Dropped("answer that cannot be checked")
            continue
        if attempt.claimed is not None and attempt.claimed != right:
            yield Dropped("the file's label contradicts the check")
            continue
        kept.append((attempt.text, float(right)))
    if kept:
        rewards = tuple(reward for _, reward in kept)
        yield Group(query, tuple(text for text, _ in kept), wins_of(rewards)[0], 0, rewards, absolute=True, **more)
