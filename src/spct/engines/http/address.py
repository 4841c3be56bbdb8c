"""From a base URL and a key, as people give them, to where requests go and what they carry."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from spct.engines.http.errors import Endpoint
from spct.errors import InputError

DEFAULT_BASE_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"


@dataclass(frozen=True, slots=True)
class Address:
    """A server: its base URL without login, the headers of every request, and what may be shown of it."""

    base: URL
    headers: Mapping[str, str] = field(repr=False)
    endpoint: Endpoint

    def url(self, *parts: str) -> URL:
        """The URL of a path below the base; a query in the base URL (an API version) stays."""
        return self.base.joinpath(*parts).with_query(self.base.query)


def find_address(model: str, base_url: str | None, api_key: str | None, key_variable: str = KEY_VARIABLE) -> Address:
    """Fill in OPENAI_BASE_URL and the key of the environment's ``key_variable``.

    A login in the URL is sent as HTTP Basic, in place of a key. Raises InputError, which shows neither of them.
    """
    base, user, password = _parse_base_url(base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
    if user is None:
        key = (api_key if api_key is not None else os.environ.get(key_variable, "")).strip()
        authorization, secrets = (f"Bearer {key}" if key else ""), [key]
    elif api_key is not None:
        raise InputError(
            "the base URL has a login and there is an API key too: a request carries one of them, drop one"
        )
    else:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        authorization, secrets = f"Basic {token}", [password or user, token]  # a key may be all of a login
    if not (authorization.isascii() and authorization.isprintable()):
        raise InputError("the API key has characters that an HTTP header cannot carry: expected printable ASCII")
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "spct",
    }
    if authorization:
        headers["Authorization"] = authorization
    secrets += base.query.values()
    shown = Endpoint(str(base.with_query(None)), model, tuple(filter(None, secrets)), key_variable=key_variable)
    return Address(base, headers, shown)


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
