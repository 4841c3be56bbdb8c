"""How an answer is read, by name: a template's ``reader:`` names one of ``READERS``, with its options if it has any.

To add one: see ``spct.templates.readers.reader``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from spct.errors import InputError
from spct.loading import Family
from spct.templates.readers.reader import AnswerKind, Look, Reader, Reading
from spct.templates.readers.scale import Scale

__all__ = ["READERS", "AnswerKind", "Look", "Reader", "Reading", "Scale", "make_reader"]

READERS = {
    "box": "spct.templates.readers.box:Box",
    "box-each": "spct.templates.readers.box:BoxEach",
    "scales": "spct.templates.readers.scales:Scales",
    "weighted": "spct.templates.readers.weighted:Weighted",
    "index": "spct.templates.readers.box:Index",
    "list": "spct.templates.readers.listed:List",
    "json": "spct.templates.readers.json_form:Json",
    "choice": "spct.templates.readers.choice:Choice",
    "pattern": "spct.templates.readers.pattern:Pattern",
    "card": "spct.templates.readers.listed:Card",
    "text": "spct.templates.readers.text:Text",
}
_FAMILY = Family("reader", Reader, READERS, named=False)


def make_reader(declared: object, scale: Scale) -> Reader:
    """The reader that a template's ``reader:`` declares: a name, or a name with its options. Raises InputError.

    Of ``READERS`` only: a template may come from a run that somebody else made, and must not name code to be run.
    """
    name: object = declared
    options: object = {}
    if isinstance(declared, Mapping) and len(declared) == 1:
        ((name, options),) = declared.items()
    if (
        not isinstance(name, str)
        or name not in READERS
        or not isinstance(options, Mapping)
        or not all(map(_is_name, options))
    ):
        raise InputError(
            f"reader is {declared!r}; expected one of {', '.join(READERS)}, or one of them with its options, such as "
            '{pattern: {form: "[RESULT] {}"}}'
        )
    found = _FAMILY.find(name)
    if lacking := [
        p.name for p in found.parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in options
    ]:
        raise InputError(f"reader {name!r} lacks {', '.join(lacking)}; it takes {', '.join(sorted(found.options))}")
    return cast(Reader, found.make(scale, **cast(Mapping[str, Any], options)))


def _is_name(option: object) -> bool:
    return isinstance(option, str)
