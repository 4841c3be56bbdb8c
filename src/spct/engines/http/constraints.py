"""Which grammar and JSON schema fields are put into effect: what a style promises, as far as each server keeps it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from spct.aio import gather_all
from spct.engines.engine import SampleRequest
from spct.engines.http.dialect import Dialect
from spct.engines.http.fleet import Server
from spct.engines.http.grammar import CHECK, CHECK_JSON, ONLY_ANSWER, STYLES, GrammarStyle, Style, is_followed
from spct.engines.http.wire import Reply
from spct.errors import EngineError, RejectedError, ReplyError

Ask = Callable[[SampleRequest, Server], Awaitable[Reply | None]]

SHOWN_CHARS = 80
UNTRIED = "could not be tried, since the model reasons at length first"


async def find_style(asked: GrammarStyle, dialect: Dialect, servers: Sequence[Server], ask: Ask) -> Style:
    """The fields that every server was seen to follow, each tried with one small request; a note says what came out.

    A grammar style that was asked for by name and is not followed is an EngineError. One that is only what such a server is
    known to take is then not used.
    """
    name = dialect.preset.style if asked == "auto" else asked
    style = STYLES[name]
    if asked == "none":
        return style
    if style == Style():
        dialect.note(
            "no grammar: this server is not known to take one (where it does, --engine-option grammar_style=NAME says how)"
        )
        return style
    dialect.constrain(style)
    fields = [("grammar", style.grammar, CHECK), ("JSON schema", style.json_schema, CHECK_JSON)]
    tried = [(what, field, check) for what, field, check in fields if field is not None]
    faults = await gather_all([_fault(check, field, servers, ask) for _, field, check in tried])
    if asked != "auto" and faults[0] not in (None, UNTRIED):
        others = ", ".join(other for other in STYLES if other not in ("none", asked))
        raise EngineError(
            f"grammar_style={asked}: {servers[0].address.endpoint.shown} {faults[0]}; name the style of this server ({others}), "
            "or none to sample without a grammar"
        )
    said, kept = [], {}
    for (what, field, _), fault in zip(tried, faults, strict=True):
        if fault in (None, UNTRIED):
            kept[what] = field
            said.append(f"{what} in the field {field!r}: " + (fault or "tried, and followed"))
        else:
            said.append(f"no {what}: the server {fault}")
    dialect.note("; ".join(said))
    return Style(kept.get("grammar"), kept.get("JSON schema"))


async def _fault(check: SampleRequest, field: str, servers: Sequence[Server], ask: Ask) -> str | None:
    """What the first server that does not follow this field did with it; None where all of them do."""
    found = await gather_all([_fault_of_one(check, field, server, ask) for server in servers])
    return next((fault for fault in sorted(filter(None, found), key=UNTRIED.__eq__)), None)


async def _fault_of_one(check: SampleRequest, field: str, server: Server, ask: Ask) -> str | None:
    try:
        reply = await ask(check, server)
    except (RejectedError, ReplyError) as error:
        return f"refuses the field {field!r}: {error}"
    assert reply is not None  # one sample is never too many
    followed = is_followed(check, reply.samples[0])
    if followed is None:
        return UNTRIED
    if followed:
        return None
    came = server.address.endpoint.clean(reply.samples[0].text.strip()[:SHOWN_CHARS])
    return f"ignores the field {field!r}: it allows {ONLY_ANSWER!r} alone, and {came!r} came back"
