"""From a base URL and a key, as people give them, to where requests go and what they carry."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from yarl import URL

from spct.engines.http.errors import Endpoint, without_secrets
from spct.engines.http.presets import DEFAULT_BASE_URL, KEY_HEADER, KEY_VARIABLE
from spct.errors import InputError

OUR_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "spct",
}
SECRET_CHARS = 4
"""A header's value of fewer characters is no secret: it would be starred out of every sentence."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class Address:
    """A server: its base URL without login, the headers of every request, and what may be shown of it."""

    base: URL
    headers: Mapping[str, str] = field(repr=False)
    endpoint: Endpoint

    def url(self, *parts: str) -> URL:
        """The URL of a path below the base; a query in the base URL (an API version) stays."""
        return self.base.joinpath(*parts).with_query(self.base.query)


def find_address(
    model: str,
    base_url: str | None,
    api_key: str | None,
    key_variable: str = KEY_VARIABLE,
    *,
    key_header: str = KEY_HEADER,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Address:
    """Fill in OPENAI_BASE_URL, where no ``base_url`` is given, and the key of the environment's ``key_variable``.

    The key goes into ``key_header``; a login in the URL is sent as HTTP Basic, in place of a key; ``headers`` are sent as well,
    and instead of ours of the same name. Raises InputError, which shows no secret.
    """
    base, user, password = _parse_base_url(base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
    sent = dict(OUR_HEADERS)
    if user is None:
        key = (api_key if api_key is not None else os.environ.get(key_variable, "")).strip()
        secrets = [key]
        if key:
            sent[key_header] = f"Bearer {key}" if key_header == KEY_HEADER else key
    elif api_key is not None:
        raise InputError(
            "the base URL has a login and there is an API key too: a request carries one of them, drop one"
        )
    else:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        sent[KEY_HEADER], secrets = f"Basic {token}", [password or user, token]  # a key may be all of a login
    if not all(_is_header_text(value) for value in sent.values()):
        raise InputError("the API key has characters that an HTTP header cannot carry: expected printable ASCII")
    for name, value in headers.items():
        for ours in [ours for ours in sent if ours.lower() == name.lower()]:
            del sent[ours]
        sent[name] = value
        secrets += [word for word in (value, *value.split()) if len(word) >= SECRET_CHARS]
    secrets += base.query.values()
    shown = Endpoint(str(base.with_query(None)), model, tuple(filter(None, secrets)), key_variable=key_variable)
    return Address(base, sent, shown)


def split_urls(base_url: str | Sequence[str] | None) -> list[str]:
    """The base URLs of one, several, or a list with commas; none of None. Raises InputError for something else."""
    given = [base_url] if isinstance(base_url, str) else () if base_url is None else base_url
    if not (isinstance(given, Sequence) and all(isinstance(url, str) for url in given)):
        raise InputError(f"base_url: got {base_url!r}; expected an address as http://127.0.0.1:8000/v1, or several")
    urls = [url.strip() for text in given for url in text.split(",") if url.strip()]
    if base_url is not None and not urls:  # a variable that was not set must not send all to the usual server
        raise InputError("base_url is empty: give an address as http://127.0.0.1:8000/v1, or leave it out")
    if twice := [url for url in dict.fromkeys(urls) if urls.count(url) > 1]:
        raise InputError(f"base_url names an address twice: {Endpoint('', '').clean(without_secrets(twice[0]))}")
    return urls


def check_headers(given: Mapping[str, Any] | Sequence[str] | None) -> dict[str, str]:
    """Headers by name, from a mapping or from NAME=VALUE texts. Raises InputError, which never shows a value."""
    if isinstance(given, str):
        given = [given]
    pairs = given.items() if isinstance(given, Mapping) else [_pair(text) for text in given or ()]
    headers: dict[str, str] = {}
    for name, value in pairs:
        if not (isinstance(name, str) and _HEADER_NAME.fullmatch(name)):
            # A value that was written into the name ("Authorization: Bearer KEY==") is not shown.
            named = re.split(r"[:\s]", str(name), maxsplit=1)[0]
            raise InputError(f"header {named!r}: expected a name of letters, digits and hyphens, then = and its value")
        if name.lower() in ("content-length", "transfer-encoding", "content-type"):
            raise InputError(f"header {name}: it is set by what is sent")
        if not _is_header_text(str(value)):
            raise InputError(
                f"header {name}: its value has characters that no header carries: expected printable ASCII"
            )
        if name.lower() in {other.lower() for other in headers}:
            raise InputError(f"header {name} is given twice: give it one value")
        headers[name] = str(value).strip()
    return headers


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"header {name.partition(':')[0]!r}: expected NAME=VALUE")
    return name.strip(), value


def _is_header_text(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _parse_base_url(text: str) -> tuple[URL, str | None, str]:
    """The URL without login, trailing slash and ``/chat/completions``; its user and password."""
    try:
        url = URL(text.strip())
    except ValueError:
        raise InputError("the base URL is no URL: expected one like http://127.0.0.1:8000/v1") from None
    if url.scheme not in ("http", "https") or not url.host:
        shown = "" if "@" in text else f" {text!r}"
        raise InputError(
            f"base URL{shown}: expected one that starts with http:// or https://, as http://127.0.0.1:8000/v1"
        )
    path = url.path.rstrip("/").removesuffix("/chat/completions")
    user = url.user if url.user is not None or url.password is None else ""
    return url.with_user(None).with_fragment(None).with_path(path or "/", keep_query=True), user, url.password or ""
