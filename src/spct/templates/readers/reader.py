"""The contract of a reader: the form in which a template's answer is written, and how scores are read from it.

One definition for everybody: the parser reads by it, the grammar and the JSON schema lead to it, the shield breaks what
looks like it in untrusted text, and expected scores ask it which words could have stood where a score was written.

Failure rule: ``read`` never raises for what a model wrote and never guesses; what is not exactly the form is a
``Problem``. Options that make no sense are an InputError when the reader is made. To add one: a file with a class that
follows ``Reader``, a line in ``spct.templates.readers.READERS``, a row in ``tests/templates/readers/test_contract.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from spct.types import Problem, ProblemCode, Slot

AnswerKind = Literal["scores", "choice", "text"]


class Reading(NamedTuple):
    """What stands in the answer form: exactly one of ``scores`` (n of them, in shown order) and ``problem`` is set.

    ``span`` is the half-open span of the whole form in the completion, None if it is not there. ``closed`` says that it
    was finished, as far as that can be seen; one that is not counts only where the completion ended by itself.
    """

    scores: tuple[float, ...] | None
    problem: Problem | None
    span: tuple[int, int] | None = None
    closed: bool = False


def reading(found: tuple[float, ...] | Problem, span: tuple[int, int], closed: bool = True) -> Reading:
    """What was read at ``span``: the scores, or why there are none."""
    return Reading(None, found, span, closed) if isinstance(found, Problem) else Reading(found, None, span, closed)


class Look(NamedTuple):
    """A pattern of folded text (``folding``) that the shield breaks.

    With ``whole`` every bracket of a match is altered, or its first character; else its ``lead`` or its first word.
    """

    pattern: re.Pattern[str]
    whole: bool = True


class Rules(NamedTuple):
    """The form's part of a grammar: what stands in the root rule, the rules it needs, how many tokens it may take.

    ``texts`` is how often the rule ``text`` occurs in it, free text within a JSON string. ``whole`` says that the form is
    the whole completion: no headings and sections stand before it.
    """

    root: str
    rules: Sequence[str]
    tokens: int
    texts: int = 0
    whole: bool = False


class Reader(Protocol):
    """Reads one answer form.

    ``kind``: "scores", a score for each response; "choice", the judgment names the better one, and its scores are shares
    of one point (1 and 0; a tie is a half each); "text", none. ``scale`` is the least and the greatest score.
    ``noun`` names the form in a message, ``missing`` is the code of a completion that lacks it. ``lenient`` says, for
    every report, in what the reading is less than strict; None where it is strict.
    ``stem`` are letters (``folding.squeeze``) without which a text holds nothing to break; ``flood`` is the character to
    alter everywhere in a text that holds the stem so often that reading each place would cost too much, or "".
    """

    kind: AnswerKind
    scale: tuple[float, float]
    noun: str
    missing: ProblemCode
    lenient: str | None
    stem: bytes
    flood: str

    def refuses(self, n: int) -> str | None:
        """Why this form cannot hold an answer over n responses, None if it can."""
        ...

    def form(self, n: int) -> str:
        """The form as a prompt shows it. Copied as it is, it is no answer."""
        ...

    def read(self, text: str, start: int, n: int) -> Reading:
        """Read the form from the answer, which begins at ``start``, in time linear in the text."""
        ...

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        """The places where the scores stand, for a form that was read at ``span``; () if they have no expected scores.

        The scores of all slots, one after the other, are the n scores in shown order.
        """
        ...

    def rules(self, n: int) -> Rules:
        """The grammar of the form."""
        ...

    def schema(self, n: int) -> Mapping[str, Any] | None:
        """The JSON schema of the whole completion, None where the form is not JSON."""
        ...

    def looks(self, n: int) -> Sequence[Look]:
        """What a text may hold that would be taken for this form if it was copied, as it is or tidied up."""
        ...

    def sections(self, text: str, span: tuple[int, int] | None) -> tuple[str, str] | None:
        """Principles and critique, where the form holds them; None where headings set them apart."""
        ...


class BaseReader:
    """What most readers share: any number of responses, no lenience, no JSON, no texts in the form."""

    kind: AnswerKind = "scores"
    missing: ProblemCode = "no_answer"
    lenient: str | None = None
    stem = b""
    flood = ""

    def refuses(self, n: int) -> str | None:
        return None

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        return ()

    def schema(self, n: int) -> Mapping[str, Any] | None:
        return None

    def sections(self, text: str, span: tuple[int, int] | None) -> tuple[str, str] | None:
        return None
