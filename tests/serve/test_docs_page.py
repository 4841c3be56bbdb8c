"""The page at /docs: all of the document, nothing from elsewhere, no script."""

import re
from html.parser import HTMLParser

from serve.live import keys_of, live
from spct.serve.docs import page_of


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids, self.words = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.links += [given[name] for name in ("href", "src") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        assert "style" not in given and not any(name.startswith("on") for name in given)

    def handle_data(self, data):
        self.words += data


async def test_the_page_shows_every_endpoint_and_schema():
    async with live() as server:
        reply, document = await server.get("/docs"), (await server.get("/openapi.json")).json
    page = Page(reply.body.decode())
    for path, methods in document["paths"].items():
        assert all(f"{method.upper()} {path}" in page.words for method in methods)
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    assert f"curl {server.address}/v1/rerank -H 'Content-Type: application/json' -d '{{\"documents\"" in page.words
    assert re.search(r"judge\s*string or null\s*Which of the service's judges", page.words)


async def test_nothing_is_fetched_from_elsewhere_and_nothing_runs():
    async with live() as server:
        reply, css = await server.get("/docs"), await server.get("/docs.css")
    page = Page(reply.body.decode())
    assert {link for link in page.links if not link.startswith("#")} == {"docs.css", "openapi.json"}
    assert not {"script", "style", "img", "iframe", "form"} & set(page.tags)
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert (css.headers["Content-Type"].partition(";")[0], b"url(" in css.body, b"@import" in css.body) == (
        "text/css",
        False,
        False,
    )


async def test_the_page_needs_no_key_and_the_document_does():
    keys, _ = keys_of("alice")
    async with live(keys=keys) as server:
        found = [(await server.get(path)).status for path in ("/docs", "/docs.css", "/openapi.json", "/v1/models")]
    assert found == [200, 200, 401, 401]


def test_texts_of_the_document_are_no_markup():
    document = {
        "info": {"title": "<b>", "version": "1", "description": "see `a<b` & <script>"},
        "paths": {"/x": {"get": {"operationId": "x", "summary": "<i>", "responses": {}}}},
        "components": {"schemas": {}},
    }
    page = page_of(document, "http://<host>")
    assert "see <code>a&lt;b</code> &amp; &lt;script&gt;" in page
    assert "&lt;i&gt;" in page and "<i>" not in page
    assert "curl &#39;http://&lt;host&gt;/x&#39;" in page
