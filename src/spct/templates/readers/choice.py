"""A choice among labels in a literal form: ``[[A]]``, ``Winner: Response B``, ``Output (a)``; ties and steps too.

The last form of the answer is read; it holds exactly one of the labels (``labels``), in the case in which they are
declared. Two different ones on one line ("[[A]] or [[B]]") are none. The form ``{}`` means that the label alone is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from spct.errors import InputError
from spct.templates.readers.labels import Labels
from spct.templates.readers.literal import ENDS_OF_LINE, Literal, loosely, stripped
from spct.templates.readers.pattern import gbnf, quoted
from spct.templates.readers.reader import AnswerKind, BaseReader, Look, Reading, Rules, reading
from spct.templates.readers.scale import Scale, shown
from spct.types import Problem, Slot

LABEL_TOKENS = 16
_AROUND = " \t\r\n*_`$'\"."


class Choice(BaseReader):
    """One of ``labels`` in the literal ``form``."""

    kind: AnswerKind = "choice"

    def __init__(self, scale: Scale, *, form: str, labels: object) -> None:
        self.scale: tuple[float, float] = (0, 1)
        self._labels = Labels(labels)
        self._form = None if form == "{}" else Literal(form)
        self.stem = b"" if self._form is None else self._form.stem
        if self._form is not None and self._form.numbered:
            raise InputError(f"form is {form!r}; a choice is made once: expected no {{i}} or {{letter}} in it")
        self.noun = "a label alone" if self._form is None else self._form.text.replace("{}", "...")

    def refuses(self, n: int) -> str | None:
        return self._labels.refuses(n)

    def form(self, n: int) -> str:
        label = self._labels.placeholder(n)
        return label if self._form is None else self._form.filled(label)

    def read(self, text: str, start: int, n: int) -> Reading:
        labels = self._labels.scores(n)
        wanted = f"expected one of {', '.join(labels)}"
        if self._form is None:
            inside = stripped(text, start, len(text), _AROUND, _AROUND)
            return reading(self._chosen(text[slice(*inside)], n, wanted), inside, False)
        found = self._form.last(text, start)
        if found is None:
            return Reading(None, Problem("no_answer", f"the answer has no {self.noun}; {wanted} in it"), None)
        if self._form.after.strip() and not found.closed:
            return Reading(None, Problem("no_answer", f"the last {self.noun} is never closed; {wanted}"), found.span)
        label = text[slice(*found.inside)]
        line = max(text.rfind("\n", start, found.span[0]) + 1, start)
        others = self._form.holding(labels.keys() - {label}) if len(labels) > 1 else None
        if others is not None and others.search(text, line, found.span[0]):
            held = shown(text[line : found.span[1]])
            return Reading(None, Problem("not_choice", f"one line makes two choices: {held}"), found.span, found.closed)
        return reading(self._chosen(label, n, wanted), found.span, found.closed)

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        inside, closers = span, ENDS_OF_LINE
        if self._form is not None:
            found = self._form.last(text[: span[1]], span[0])
            if found is None:
                return ()
            inside, closers = found.inside, self._form.closers()
        return (Slot(inside, self._labels.scores(n), closers),)

    def rules(self, n: int) -> Rules:
        label = f"({' | '.join(gbnf(name) for name in self._labels.scores(n))})"
        alone = self._form is None
        return Rules(label if self._form is None else quoted(self._form, label), (), LABEL_TOKENS, whole=alone)

    def looks(self, n: int) -> Sequence[Look]:
        if self._form is None:
            return ()  # a copy of a response is not the whole answer
        names = sorted(self._labels.scores(n), key=len, reverse=True)
        return (Look(self._form.pattern(rf"(?:{'|'.join(map(loosely, names))})(?![^\W_])")),)

    def _chosen(self, label: str, n: int, wanted: str) -> tuple[float, ...] | Problem:
        found = self._labels.scores(n).get(label)
        return Problem("not_choice", f"got {shown(label)}; {wanted}") if found is None else found
