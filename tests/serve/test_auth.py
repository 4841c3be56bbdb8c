import hashlib
import os

import pytest

from spct.errors import InputError
from spct.serve.auth import Keys, check_address, is_loopback, new_key

DIGEST = hashlib.sha256(b"k").hexdigest()


def test_a_key_is_known_by_its_digest():
    key, line = new_key("alice")
    name, digest = line.split()
    assert (name, digest) == ("alice", hashlib.sha256(key.encode()).hexdigest())
    assert key.startswith("spct-") and len(key) == 48
    assert new_key("alice")[0] != key


def test_the_file_of_keys(tmp_path):
    (tmp_path / "keys").write_text(f"# ours\n\n  alice {DIGEST}  \nbob\t{DIGEST[::-1]}\n")
    keys = Keys.read(tmp_path / "keys")
    assert [name for name, _ in keys.digests] == ["alice", "bob"]
    assert keys.name_of(b"Bearer k") == keys.name_of(b"bearer  k ") == "alice"
    for header in (b"", b"Bearer", b"Bearer ", b"Bearer kk", b"Basic k", b"k", b"Bearer " + DIGEST.encode()):
        assert keys.name_of(header) is None


def test_without_keys_everyone_is_let_in():
    assert Keys().name_of(b"") == Keys().name_of(b"Bearer x") == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no key"),
        ("# alice\n", "holds no key"),
        ("alice\n", "line 1 is not NAME DIGEST"),
        (f"alice {DIGEST}\nbob {DIGEST[1:]}\n", "line 2 is not NAME DIGEST"),
        (f"alice {DIGEST}\nalice {DIGEST}\n", "line 2 is a second key named 'alice'"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, told):
    (tmp_path / "keys").write_text(text)
    with pytest.raises(InputError, match=told) as refused:
        Keys.read(tmp_path / "keys")
    assert DIGEST not in str(refused.value)


@pytest.mark.parametrize("name", ["", "two words", "#hash", " "])
def test_names_that_would_not_be_read_back(name):
    with pytest.raises(InputError, match="without spaces"):
        new_key(name)


def test_only_an_address_that_others_reach_needs_keys():
    assert [is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost")] == [True] * 4
    others = ("0.0.0.0", "::", "192.168.0.7", "example.org", "localhost.example.org")
    assert [is_loopback(host) for host in others] == [False] * 5
    for host in others:
        with pytest.raises(InputError, match="no keys"):
            check_address(host, Keys(), insecure=False)
        check_address(host, Keys(), insecure=True)
        check_address(host, Keys((("alice", bytes(32)),)), insecure=False)
    check_address("127.0.0.1", Keys(), insecure=False)


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
@pytest.mark.parametrize("mode", [0o664, 0o646, 0o622])
def test_a_file_that_others_may_write_is_refused(tmp_path, mode):
    (tmp_path / "keys").write_text(f"alice {DIGEST}\n")
    (tmp_path / "keys").chmod(mode)
    with pytest.raises(InputError, match=f"keys has the mode {mode:o}, so others .* chmod go-w"):
        Keys.read(tmp_path / "keys")
    (tmp_path / "keys").chmod(0o644)
    assert Keys.read(tmp_path / "keys").name_of(b"Bearer k") == "alice"
