"""The page at ``/docs``: the OpenAPI document as people read it, made here, from files of the package alone.

It has no script and fetches nothing but its own style sheet; its policy forbids the browser anything else. Trying an endpoint
out takes a key that a page should not hold, so each has a line for curl instead.
"""

from __future__ import annotations

import json
import shlex
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@cache
def style() -> bytes:
    """The style sheet."""
    return (files("spct.serve.docs") / "docs.css").read_bytes()


def page_of(document: dict[str, Any], base_url: str) -> str:
    """The page of an OpenAPI document whose server is at ``base_url``."""
    environment = Environment(
        loader=PackageLoader("spct.serve.docs", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["coded"] = _coded
    schemas = document["components"]["schemas"]
    operations = [
        _operation(path, method, operation, schemas, base_url)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    shown = [
        {
            "name": name,
            "text": schema.get("description", ""),
            "fields": [
                (key, _kind(value), key in schema.get("required", ()), value.get("description", ""))
                for key, value in schema.get("properties", {}).items()
            ],
        }
        for name, schema in sorted(schemas.items())
    ]
    return environment.get_template("docs.html.j2").render(info=document["info"], operations=operations, schemas=shown)


def _coded(text: str) -> Markup:
    """Text with what stands between backquotes as code."""
    parts = [escape(part) for part in text.replace("``", "`").split("`")]
    return Markup("").join(
        part if i % 2 == 0 else Markup("<code>{}</code>").format(part) for i, part in enumerate(parts)
    )


def _operation(
    path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any], base_url: str
) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    answers = []
    for status, answer in operation["responses"].items():
        kinds = {name for content in answer.get("content", {}).values() for name in _names(content.get("schema", {}))}
        answers.append((status, answer["description"], sorted(kinds)))
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "text": operation.get("description") or operation.get("summary", ""),
        "keyed": operation.get("security") != [],
        "parameters": [
            (
                value["name"],
                _kind(value["schema"]),
                value.get("required", False),
                value["schema"].get("description", ""),
            )
            for value in operation.get("parameters", ())
        ],
        "bodies": _names(body),
        "curl": _curl(path, method, [schemas[name] for name in _names(body)], base_url),
        "answers": answers,
    }


def _curl(path: str, method: str, bodies: list[dict[str, Any]], base_url: str) -> str:
    """A line that asks the endpoint, with the first example that one of its requests has."""
    line = f"curl {shlex.quote(base_url + path)}"
    if method != "post":
        return line
    example: object = next((schema["examples"][0] for schema in bodies if schema.get("examples")), {})
    return f"{line} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(example))}"


def _names(schema: dict[str, Any]) -> list[str]:
    """The named schemas that a schema refers to, one level deep."""
    if "$ref" in schema:
        return [schema["$ref"].rpartition("/")[2]]
    return [name for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())) for name in _names(part)]


def _kind(schema: dict[str, Any]) -> str:
    """What values a schema allows, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema or "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_kind(part) for part in schema[several]))
    kind = schema.get("type", "any")
    if kind == "array":
        items = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of {_kind(items)}"
    bounds = [f"{sign} {schema[name]}" for name, sign in _BOUNDS if name in schema]
    return " ".join([str(kind), *bounds])


_BOUNDS = (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<"))
