"""How requests travel and replies are read: framings, compression, redirects, proxies; on real local servers."""

import asyncio
import base64
import gzip
import zlib

import pytest
from yarl import URL

from servers import behaviours as does
from servers.chat import ChatServer
from spct.engines.engine import SampleRequest
from spct.engines.http.proxy import find_proxy
from spct.engines.openai import OpenAIEngine
from spct.errors import EngineError, EngineUnreachableError, ReplyError
from spct.types import Message

REQUEST = SampleRequest((Message("user", "Which?"),), seed=7)
BODY = does.completion([does.choice("read whole")])
KEY = "sk-verysecret-0123456789abcdef"
ELSEWHERE = "http://judge.example:8000/v1"


async def text_from(base_url: str, **options: object) -> str:
    """The text of one sample."""
    engine = OpenAIEngine("m", base_url=base_url, **{"api_key": KEY, "attempts": 1, **options})
    try:
        return (await engine.sample(REQUEST)).samples[0].text
    finally:
        await engine.close()


async def refused(base_url: str, **options: object) -> str:
    """The words of the error, in which no secret may show."""
    with pytest.raises(EngineError) as caught:
        await text_from(base_url, **options)
    assert "verysecret" not in str(caught.value)
    return f"{type(caught.value).__name__}: {caught.value}"


def sends(*pieces: bytes) -> does.Behaviour:
    """These very bytes, then the end of the connection."""

    async def behave(call: does.Call, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()

    return behave


def in_chunks(body: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:])) + b"0\r\n"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
READ = {
    "gzip": does.replies(gzip.compress(BODY), Content_Encoding="gzip"),
    "deflate": does.replies(zlib.compress(BODY), Content_Encoding="deflate"),
    "gzip in chunks": sends(CHUNKED + b"Content-Encoding: gzip\r\n\r\n", in_chunks(gzip.compress(BODY)), b"\r\n"),
    "chunks and trailers": sends(CHUNKED + b"\r\n", in_chunks(BODY), b"Expires: never\r\nX-Cost: 3\r\n\r\n"),
    "until the end": sends(b"HTTP/1.0 200 OK\r\n\r\n" + BODY[:9], BODY[9:]),
    "interim first": sends(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", BODY),
    "created": does.replies(BODY, 201),
}


@pytest.mark.parametrize("reply", READ.values(), ids=READ.keys())
async def test_a_reply_is_read_whole(reply):
    async with ChatServer(reply) as server:
        assert await text_from(server.base_url) == "read whole"


UNREAD = {
    "a bomb": (does.replies(gzip.compress(bytes(2**27)), Content_Encoding="gzip"), "is larger than 64 MiB"),
    "not gzip": (does.replies(BODY, Content_Encoding="gzip"), "broke off in the middle of its reply"),
    "cut in a chunk": (sends(CHUNKED, b"\r\n", in_chunks(BODY)[:9]), "broke off in the middle of its reply"),
    "cut in the head": (sends(CHUNKED), "closed the connection without a reply"),
    "trailers without end": (sends(CHUNKED, b"\r\n", in_chunks(BODY), b"X: y\r\n" * 10**6), "the server "),
}


@pytest.mark.parametrize(("reply", "words"), UNREAD.values(), ids=UNREAD.keys())
async def test_a_reply_that_cannot_be_read_is_given_up(reply, words):
    async with ChatServer(reply) as server:
        error = await refused(server.base_url, attempts=2, backoff_s=0.001)
        assert error.startswith(ReplyError.__name__)
        assert words in error
        assert len(server.chats) == 2


def redirects(status: int, to: str) -> does.Behaviour:
    """To ``to``, in which ``{here}`` is this server; what comes to a path that ends in a slash is answered."""

    async def behave(call: does.Call, writer: asyncio.StreamWriter) -> None:
        if call.path.endswith("/"):
            await does.honest(call, writer)
        else:
            location = to.replace("{here}", call.headers["host"])
            await does.replies(b"", status, Location=location)(call, writer)

    return behave


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("to", ["http://{here}/v1/chat/completions/", "/v1/chat/completions/", "http://u:p@{here}/x/"])
async def test_a_redirect_within_the_server_is_followed_with_body_and_key(status, to):
    async with ChatServer(redirects(status, to)) as server:
        assert await text_from(server.base_url) == "sample 7"
        first, second = server.chats
        assert (second.method, second.body) == ("POST", first.body)
        assert second.headers["authorization"] == f"Bearer {KEY}"


async def test_the_model_list_may_be_redirected_too():
    models = does.replies(b"", 307, Location="/v1/models/")
    async with ChatServer(does.honest, models=models) as server:
        assert await text_from(server.base_url) == "sample 7"
        assert [call.path for call in server.calls][:2] == ["/v1/models", "/v1/models/"]


@pytest.mark.parametrize(
    "to", ["https://{here}/v1/x/", "http://127.0.0.1:1/v1/", "mailto:ann@x", "http://[broken/", ""]
)
async def test_a_redirect_elsewhere_is_not_followed(to):
    async with ChatServer(redirects(307, to)) as server:
        error = await refused(server.base_url)
        assert error.startswith(f"EngineError: {server.base_url} redirects (307) to ")
        assert len(server.chats) == 1


async def test_redirects_in_a_circle_end():
    async with ChatServer(redirects(307, "/v1/chat/completions")) as server:
        assert "redirects (307) to /v1/chat/completions" in await refused(server.base_url)
        assert len(server.chats) == 5


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variable", "form"),
    [
        ("http_proxy", "http://{}"),
        ("HTTP_PROXY", "{}"),
        ("all_proxy", "http://{}"),
        ("http_proxy", "http://ann:p%40ss@{}/"),
    ],
)
async def test_requests_go_through_the_proxy_of_the_environment(variable, form, no_proxies):
    async with ChatServer(does.honest) as proxy:
        no_proxies.setenv(variable, form.format(URL(proxy.base_url).authority))
        assert await text_from(ELSEWHERE) == "sample 7"
        (call,) = proxy.chats
        assert call.path == f"{ELSEWHERE}/chat/completions"
        login = "Basic " + base64.b64encode(b"ann:p@ss").decode() if "ann" in form else None
        assert call.headers.get("proxy-authorization") == login


async def test_a_proxy_that_is_not_there_is_named(no_proxies):
    no_proxies.setenv("http_proxy", "http://u:verysecret@127.0.0.1:1")
    assert await refused(ELSEWHERE) == (
        f"{EngineUnreachableError.__name__}: no server answers at {ELSEWHERE} (through the proxy 127.0.0.1:1: connection "
        "refused) after 1 attempt; start it or pass --base-url"
    )


async def test_a_proxy_without_an_address_is_named(no_proxies):
    no_proxies.setenv("http_proxy", "no-such-proxy.invalid")
    assert "(unknown host name no-such-proxy.invalid)" in await refused(ELSEWHERE)


@pytest.mark.parametrize("base_url", [ELSEWHERE, ELSEWHERE.replace("http:", "https:")])
async def test_a_proxy_that_wants_a_login_says_so(base_url, no_proxies):
    async with ChatServer(does.fails(407, "who are you"), models=does.fails(404, "none")) as proxy:
        for variable in ("http_proxy", "https_proxy"):
            no_proxies.setenv(variable, proxy.base_url.removesuffix("/v1").replace("//", "//u:verysecret@"))
        error = await refused(base_url)
        assert error.startswith(f"EngineError: the proxy does not pass requests on to {base_url} (407): ")
        assert "no_proxy" in error
        methods = [call.method for call in proxy.calls]
        assert methods == (["GET", "POST"] if base_url == ELSEWHERE else ["CONNECT"])


async def test_the_key_is_not_told_to_a_proxy_that_only_makes_a_tunnel(no_proxies):
    async with ChatServer(does.fails(407, "who are you")) as proxy:
        no_proxies.setenv("https_proxy", proxy.base_url.removesuffix("/v1"))
        await refused(ELSEWHERE.replace("http:", "https:"))
        (call,) = proxy.calls
        assert KEY not in str(call.headers)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://127.9.9.9/v1",
        "http://localhost/v1",
        "http://gpu.localhost/v1",
        "http://[::1]:8000/v1",
        "http://0.0.0.0:8000/v1",
        "http://judge.inside.example/v1",
        "http://gpu.example:8000/v1",
    ],
)
def test_what_is_reached_directly(url, no_proxies):
    no_proxies.setenv("all_proxy", "http://127.0.0.1:1")
    no_proxies.setenv("no_proxy", "inside.example,gpu.example:8000")
    assert find_proxy(URL(url)) is None


def test_each_scheme_has_its_proxy(no_proxies):
    no_proxies.setenv("http_proxy", "http://a")
    no_proxies.setenv("https_proxy", "http://b")
    no_proxies.setenv("all_proxy", "http://c")
    assert find_proxy(URL(ELSEWHERE)) == URL("http://a")
    assert find_proxy(URL("https://judge.example/v1")) == URL("http://b")


@pytest.mark.parametrize(
    ("proxy", "kind"),
    [
        ("socks5://u:verysecret@h:1", "a socks5 proxy"),
        ("socks4a://h:1", "a socks4a proxy"),
        ("http://", "a proxy that is no URL"),
        ("http://[", "a proxy that is no URL"),
        ("http://u:verysecret@h:port", "a proxy that is no URL"),
    ],
)
def test_a_proxy_that_cannot_be_used(proxy, kind, no_proxies):
    no_proxies.setenv("all_proxy", proxy)
    with pytest.raises(EngineError) as caught:
        find_proxy(URL(ELSEWHERE))
    assert str(caught.value) == (
        f"the environment names {kind} for judge.example; expected one as http://HOST:PORT in http_proxy: set that, or put "
        "the server's host into no_proxy"
    )
