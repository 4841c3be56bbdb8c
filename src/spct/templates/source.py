"""Template files: YAML front matter, Jinja2 body, and errors that name file and line.

A file is front matter between two lines ``---`` (keys: ``Meta``) and a Jinja2 body in a sandbox, undefined variables
being errors. ``{% message ROLE %}...{% endmessage %}`` gives a message of that role, as often and wherever it is written,
in a loop too; without any, the whole body is one user message. Other files of the same folder, and the shipped ones, can
be extended, included and imported; their front matter, if any, is skipped. ``docs/templates.md`` is the manual.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import jinja2
from jinja2 import meta as jinja_meta
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import SandboxedEnvironment

from spct.errors import TemplateError
from spct.templates.front_matter import Meta, read_meta
from spct.types import Message

SHIPPED = Path(__file__).parent
_ADD = "_message"
_ROLE = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """A template file. ``texts`` are it and those that it names, whole, by file name, itself first; ``digest`` covers them.

    ``shipped`` says that the file is ours. ``begins`` says that its prompts end in a turn begun for the assistant.

    ``compiled`` compiles it when first called: of the shipped ones, a run needs one of those that it records.
    """

    name: str
    path: Path
    meta: Meta
    digest: str
    texts: Mapping[str, str]
    compiled: Callable[[], jinja2.Template]
    shipped: bool
    begins: bool = False

    def render(self, variables: Mapping[str, Any]) -> tuple[Message, ...]:
        """The messages, without blank lines around each. Raises TemplateError, with the line, for what fails."""
        return self.messages(self.parts(variables))

    def parts(self, variables: Mapping[str, Any]) -> list[Part]:
        """Role and text of each message, as they come. Raises TemplateError, with the line, for what fails."""
        found = _Messages()
        try:
            compiled = self.compiled()
            context = compiled.new_context({**variables, _ADD: found.add})
            outside = "".join(compiled.root_render_func(context))
        except jinja2.TemplateError as error:
            raise TemplateError(f"{_place(self.path, error)}: {error.message}") from error
        except Exception as error:  # whatever an expression in a user's file may raise
            raise TemplateError(f"{_place(self.path, error)}: {type(error).__name__}: {error}") from error
        if not found.parts:
            return [("user", outside)]
        if outside.strip():
            raise TemplateError(f"{self.path}: text outside the messages: {outside.strip()[:60]!r}; move it into one")
        return found.parts

    def messages(self, parts: Sequence[Part]) -> tuple[Message, ...]:
        """The messages of ``parts``. Raises TemplateError if they ask nothing."""
        messages = tuple([Message(role, text.strip()) for role, text in parts])
        if not any(message.content for message in messages if message.role not in ("system", "assistant")):
            raise TemplateError(f"{self.path}: the template asks nothing; expected text, or a message of the user's")
        if messages[-1].role == "assistant" and not messages[-1].content:
            raise TemplateError(f"{self.path}: the assistant's turn is begun with nothing; leave that message out")
        return messages


Part = tuple[str, str]
"""A message's role and text."""


class _Messages:
    """What the messages of one rendering gave, in order."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._inside = False

    def add(self, role: object, caller: Callable[[], str]) -> str:
        if not isinstance(role, str) or not _ROLE.fullmatch(role):
            raise jinja2.TemplateRuntimeError(f'message role is {role!r}; expected one word, such as "user"')
        if self._inside:
            raise jinja2.TemplateRuntimeError("a message inside a message; end the first with {% endmessage %}")
        self._inside = True
        self.parts.append((role, caller()))
        self._inside = False
        return ""


class _MessageTag(Extension):
    """``{% message ROLE %}...{% endmessage %}``, where ROLE is an expression."""

    tags = {"message"}  # noqa: RUF012 - as Jinja wants it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        role = parser.parse_expression()
        body = parser.parse_statements(("name:endmessage",), drop_needle=True)
        call = nodes.Call(nodes.Name(_ADD, "load"), [role], [], None, None)
        return nodes.CallBlock(call, [], [], body).set_lineno(line)


Find = Callable[[str], tuple[Path, str]]
"""A file that a template names -> where it is, for messages, and its whole text. Raises jinja2.TemplateNotFound."""


def load_source(path: Path, name: str) -> TemplateSource:
    """Read and check a template file; one that is not ours is tried on a small item. Raises TemplateError with the line."""

    def find(other: str) -> tuple[Path, str]:
        found = _beside(path, other)
        return found, _read(found)

    return _checked(path, name, _read(path), find)


def source_of_texts(name: str, texts: Mapping[str, str]) -> TemplateSource:
    """A template from ``TemplateSource.texts`` that were kept, whatever has become of its files. Raises TemplateError."""
    first, *_ = texts

    def find(other: str) -> tuple[Path, str]:
        if other not in texts:
            raise jinja2.TemplateNotFound(other)
        return Path(other), texts[other]

    return _checked(Path(first), name, texts[first], find)


def _checked(path: Path, name: str, text: str, find: Find) -> TemplateSource:
    front, line = _split(text, path)
    meta = read_meta(front, path)
    environment = SandboxedEnvironment(
        loader=jinja2.FunctionLoader(lambda other: _body_of(*find(other))),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=[_MessageTag],
    )
    try:
        body = _with_lines(text, line)
        names = _named_files(environment, body)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"{error.filename or path}, line {error.lineno}: {error.message}") from error
    except jinja2.TemplateNotFound as error:
        raise TemplateError(f"{path}: names the template file {error.name!r}, which is not in its folder") from error
    texts = {path.name: text} | {other: find(other)[1] for other in names}
    digest = sha256("\0".join(texts.values()).encode()).hexdigest()[:16]
    shipped = path.parent == SHIPPED
    # from_string keeps no file name; errors name the file by ``_place`` all the same.
    source = TemplateSource(name, path, meta, digest, texts, cache(lambda: environment.from_string(body)), shipped)
    if shipped:
        return source
    return replace(source, begins=source.render(_trial(meta))[-1].role == "assistant")


def _trial(meta: Meta) -> dict[str, Any]:
    """One small prompt, so that a misspelt variable shows when the file is loaded and not in the middle of a run."""
    n = 0 if not meta.responses else 1 if "single" in meta.needs else 2
    return {
        "n": n,
        "low": meta.scale[0],
        "high": meta.scale[1],
        "tag": "tag",
        "form": meta.make_reader().form(n),
        "turns": [("user", "query")],
        "query": "query",
        "responses": [(number, "response") for number in range(1, n + 1)],
        "reference": "reference",
        "principles": "principles",
        "first": "first",
        "trajectories": False,
    }


def _named_files(environment: jinja2.Environment, body: str) -> list[str]:
    """Files that the body extends, includes or imports by a literal name, and so on from there."""
    names: list[str] = []
    waiting = [body]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in names:
                names.append(name)
                assert environment.loader is not None
                waiting.append(environment.loader.get_source(environment, name)[0])
    return sorted(names)


@lru_cache(maxsize=64)
def _references(body: str) -> tuple[str, ...]:
    """The literal names in one body; kept, since the shipped files share theirs and parsing one takes milliseconds."""
    parsed = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, extensions=[_MessageTag]).parse(body)
    return tuple([name for name in jinja_meta.find_referenced_templates(parsed) if name is not None])


def _beside(path: Path, other: str) -> Path:
    """A file beside ``path``, else a shipped one; plain names only, so that a template reads nothing else."""
    for folder in (path.parent, SHIPPED):
        if Path(other).name == other and (folder / other).is_file():
            return folder / other
    raise jinja2.TemplateNotFound(other)


def _body_of(found: Path, text: str) -> tuple[str, str, None]:
    return _with_lines(text, _split(text, found)[1]), str(found), None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path}: cannot be read as UTF-8 text: {error}") from error


def _split(text: str, path: Path) -> tuple[str, int]:
    """The front matter, and the number of lines before the body (0 without front matter)."""
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        return "", 0
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() == "---":
            return "\n".join(lines[1:number]), number + 1
    raise TemplateError(f"{path}, line 1: front matter opened by --- and never closed; expected a second line ---")


def _with_lines(text: str, line: int) -> str:
    """The body with a comment in place of the front matter, so that Jinja counts the file's own lines."""
    if line == 0:
        return text
    body = text.split("\n", line)[line] if text.count("\n") >= line else ""
    return "{#" + "\n" * (line - 1) + "#}\n" + body


def _place(path: Path, error: Exception) -> str:
    """File and line, in the template's own terms, of the innermost template code that raised."""
    trace: TracebackType | None = error.__traceback__
    place = str(path)
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            file = path if template.filename in (None, "<template>") else template.filename
            place = f"{file}, line {template.get_corresponding_lineno(trace.tb_lineno)}"
        trace = trace.tb_next
    return place
