"""The proxy that the environment names for a server: http_proxy, https_proxy or all_proxy, unless no_proxy has the host.

A server on this machine is reached directly.
"""

from __future__ import annotations

import ipaddress
import urllib.request

from yarl import URL

from spct.errors import EngineError


def find_proxy(url: URL) -> URL | None:
    """The proxy for requests to ``url``, None for none; its login, if it has one, is in the URL.

    Raises EngineError for a proxy that cannot be used, as a SOCKS one.
    """
    host = url.host or ""
    if _is_this_machine(host) or urllib.request.proxy_bypass(f"{host}:{url.port}"):
        return None
    named = urllib.request.getproxies()
    text = named.get(url.scheme) or named.get("all")
    if not text:
        return None
    try:
        proxy = URL(text if "://" in text else f"http://{text}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in ("http", "https") or not proxy.host:
        kind = f"a {proxy.scheme} proxy" if proxy.host else "a proxy that is no URL"
        raise EngineError(
            f"the environment names {kind} for {host}; expected one as http://HOST:PORT in {url.scheme}_proxy: set that, "
            "or put the server's host into no_proxy"
        )
    return proxy


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
