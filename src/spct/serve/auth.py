"""Bearer keys: many, each with a name, kept as SHA-256 digests in a file, compared in constant time.

The file has one key a line, ``NAME DIGEST``; blank lines and lines that begin with # are skipped. Keys are 32 random
bytes, so that a plain digest is enough: there is nothing to guess. To change a key, add the new one, move the clients
over, take the old one out; the server reads the file when it starts.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from spct.errors import InputError

_LINE = re.compile(r"(\S+)\s+([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Keys:
    """Names and digests. Without any, everyone is let in under the name ""."""

    digests: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Raises InputError for a file that cannot be read, that others may write, without a key or with a line that is none."""
        try:
            lines = path.read_text().splitlines()
        except (OSError, ValueError) as error:
            raise InputError(f"keys: {path} cannot be read: {error}") from error
        if os.name == "posix" and (mode := path.stat().st_mode) & 0o022:
            raise InputError(
                f"keys: {path} has the mode {mode & 0o777:o}, so others than its owner may add keys; chmod go-w {path}"
            )
        found: dict[str, bytes] = {}
        for number, line in enumerate(map(str.strip, lines), 1):
            if not line or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            if match is None or match[1] in found:
                fault = "not NAME DIGEST with 64 hex digits" if match is None else f"a second key named {match[1]!r}"
                raise InputError(f"keys: {path}, line {number} is {fault}; make one with spct serve-key NAME")
            found[match[1]] = bytes.fromhex(match[2])
        if not found:
            raise InputError(f"keys: {path} holds no key; make one with spct serve-key NAME")
        return cls(tuple(found.items()))

    def name_of(self, authorization: bytes) -> str | None:
        """The name of the key in this header, None if there is none or it is not known.

        Every digest is compared, so the time says neither which key matched nor how nearly one did.
        """
        if not self.digests:
            return ""
        scheme, _, key = authorization.partition(b" ")
        given = sha256(key.strip()).digest()
        name = None
        for known, digest in self.digests:
            if hmac.compare_digest(given, digest):
                name = known
        return name if scheme.lower() == b"bearer" else None


def new_key(name: str) -> tuple[str, str]:
    """A new key, and its line for the file. Raises InputError for a name with spaces, or that begins with #."""
    if not re.fullmatch(r"[^\s#]\S*", name):
        raise InputError(f"key name {name!r}: expected text without spaces that does not begin with #")
    key = "spct-" + secrets.token_urlsafe(32)
    return key, f"{name} {sha256(key.encode()).hexdigest()}"


def check_address(
    host: str, keys: Keys, *, insecure: bool, risk: str = "anyone could spend this engine's tokens"
) -> None:
    """Raise InputError for an address that others can reach while everyone is let in, unless told so."""
    if keys.digests or insecure or is_loopback(host):
        return
    raise InputError(
        f"--host {host} can be reached from elsewhere, and there are no keys: {risk}; "
        "give --keys FILE (spct serve-key makes one), or --insecure-no-key if the network keeps others out"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``; a name other than localhost is taken to be reachable."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
