r"""Is a solution right? The final answer of a text, and whether it equals the reference's: a rule, no model.

Numbers are compared exactly, as fractions; everything else (LaTeX, sets, intervals, matrices) by math-verify, which is
lenient where MATH is: a percent sign, a degree sign or a variable's name in front does not count.
"""

from __future__ import annotations

import re
import threading
from fractions import Fraction

from spct.data.group import MissingPackageError

MARKED = re.compile(r"(?:^|\n)[ \t]*(?:####|A(?:nswer)?:)[ \t]*([^\n]+)|answer is:?[ \t]*([^\n]+)", re.IGNORECASE)
SENTENCE_END = re.compile(r"\.(?:\s|$)")
SCALES = "hundred|thousand|million|billion|trillion|dozen"
UNIT = re.compile(rf"(?<=\d)\s*(?!(?:{SCALES})s?\b)[a-z]+(?:\s[a-z]+)*", re.IGNORECASE)
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:/\d+)?")
LONGEST = 400
"""Characters of an answer that is worth checking; a longer one is prose."""
TIMEOUT_S = 10


class UncheckableError(ValueError):
    """The rule cannot tell: the expression is too long, or evaluating it does not end."""


def final_answer(text: str) -> str | None:
    r"""The last ``\boxed{...}``; else what the last ``#### ...``, ``A: ...`` or "answer is ..." says; else None."""
    boxed = _last_boxed(text)
    if boxed is not None:
        return boxed.strip() or None
    marks = list(MARKED.finditer(text))
    if not marks:
        return None
    return SENTENCE_END.split((marks[-1][1] or marks[-1][2]).replace("**", ""))[0].strip() or None


def _last_boxed(text: str) -> str | None:
    start = max(text.rfind(r"\boxed{"), text.rfind(r"\fbox{"))
    if start < 0:
        return None
    begin = text.index("{", start) + 1
    depth = 1
    for at in range(begin, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[begin:at]
    return None


def exact_number(answer: str) -> Fraction | None:
    """An integer, decimal or fraction with what people put around it: $, %, commas of thousands, a unit in words."""
    plain = THOUSANDS.sub("", answer.replace("$", "").replace("\\", "").strip().rstrip(".%").strip())
    if (unit := UNIT.search(plain)) and unit.end() == len(plain):
        plain = plain[: unit.start()]
    if NUMBER.fullmatch(plain) is None or re.search(r"/0+$", plain) or ("/" in plain and "." in plain):
        return None
    return Fraction(plain)


def same_answer(reference: str, answer: str) -> bool:
    """Whether the two final answers are equal. Raises UncheckableError, and MissingPackageError without math-verify."""
    known, found = exact_number(reference), exact_number(answer)
    if known is not None and found is not None:
        return known == found
    if "".join(reference.split()) == "".join(answer.split()):
        return True
    if max(len(reference), len(answer)) > LONGEST:
        raise UncheckableError(f"an answer of {max(len(reference), len(answer))} characters")
    return _verified(reference, answer)


def _verified(reference: str, answer: str) -> bool:
    try:
        from math_verify import LatexExtractionConfig, parse, verify
        from math_verify.errors import TimeoutException
    except ImportError:
        raise MissingPackageError("checking answers needs math-verify: pip install 'spct[train]'") from None
    # its timeouts are signals, which only the main thread gets
    limit = TIMEOUT_S if threading.current_thread() is threading.main_thread() else None
    config = [LatexExtractionConfig()]
    try:
        known, found = (
            parse(f"${text.strip('$')}$", extraction_config=config, parsing_timeout=limit, raise_on_error=True)
            for text in (reference, answer)
        )
        return bool(known and found and verify(known, found, timeout_seconds=limit, raise_on_error=True))
    except (
        Exception,
        TimeoutException,
    ) as error:  # the parser behind it raises of every kind on text that is no mathematics
        raise UncheckableError(f"{reference!r} and {answer!r}: {error}") from error
