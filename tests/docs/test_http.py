"""A real server answers each command of docs/http.md as documented, and the page covers every call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import write_http

from firstday.recommend.recommender import Recommender
from tests.serve.in_process import running_app


@pytest.fixture(scope="module")
def service(tiny: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("documented")
    with running_app(tiny.save(folder / "model"), folder) as app, app.open_client() as http:
        yield http


@pytest.fixture(scope="module")
def document(service: httpx.Client) -> dict[str, Any]:
    values: dict[str, Any] = service.get("/v1/openapi.json").json()
    return values


def test_a_real_server_answers_as_documented(document: dict[str, Any]) -> None:
    page = write_http.PAGE.read_text(encoding="utf-8")
    rendered, requests = write_http.render(page)
    assert page.count("```sh\n") == len(requests)
    assert rendered == page, "run: python docs/write_http.py"
    for path, methods in document["paths"].items():
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        for method in methods:
            asked = [status for verb, place, status in requests if verb == method.upper() and pattern.fullmatch(place)]
            assert any(status < 300 for status in asked), (method, path)
    assert {status for _, _, status in requests} >= {200, 204, 401, 403, 404, 405, 415, 422}


def test_every_body_has_an_example_in_the_document_and_it_works(
    service: httpx.Client, document: dict[str, Any]
) -> None:
    bodies = [
        (method, path, kind, content)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    assert len(bodies) == 9
    for method, path, kind, content in bodies:
        schema = document["components"]["schemas"].get(content["schema"].get("$ref", "").rpartition("/")[2], {})
        examples = [example["value"] for example in content.get("examples", {}).values()] or schema.get("examples", [])
        assert examples, (method, path, kind)
        for example in examples:
            text = example if isinstance(example, str) else json.dumps(example)
            url = path.format(user_id="u-4711", name="sold_out", item_id="n1")
            answer = service.request(method, url, content=text, headers={"Content-Type": kind})
            assert answer.status_code == 200, (method, path, kind, answer.text)
            assert not answer.json().get("refused")
