"""The description of the server is whole: whoever reads it alone can use all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kapelle.web import reference
from kapelle.web.schemas import AN_ID

ROOT = Path(__file__).parents[2]
METHODS = {"get", "post", "patch", "delete", "put"}


@pytest.fixture(scope="module")
def described(client):
    """What `/api/openapi.json` tells."""
    return client.get("/api/openapi.json").json()


def operations(described):
    return [(path, method, one) for path, held in described["paths"].items() for method, one in held.items() if method in METHODS]


def test_every_route_is_there(client, described):
    from kapelle.web.routes import ROUTERS

    routes = {(route.path, method.lower()) for router in ROUTERS for route in router.routes if route.include_in_schema
              for method in route.methods}  # fmt: skip
    assert {(path, method) for path, method, _ in operations(described)} == {(path, method) for path, method in routes if method != "head"}
    assert len(routes) > 30


def test_every_operation_has_a_name_a_summary_and_says_what_can_go_wrong(described):
    names = [one["operationId"] for _, _, one in operations(described)]
    assert len(set(names)) == len(names)
    for path, method, one in operations(described):
        where = f"{method} {path}"
        assert one["summary"] and one["description"] and len(one["tags"]) == 1, where
        assert re.fullmatch(r"[a-z_]+", one["operationId"]), where
        statuses = {int(status) for status in one["responses"]}
        assert {401, 403, 429} <= statuses and any(status < 300 for status in statuses), where
        if "{id}" in path:
            assert 404 in statuses, where
        if one.get("requestBody"):
            assert {413, 408, 422} & statuses == {413, 408, 422}, where
        for status, answer in one["responses"].items():
            assert answer["description"], (where, status)
            if int(status) >= 400:
                assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/Error"), (where, status)


def examples(described, schema):
    """The examples of a schema, looked for where it leads."""
    while "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found = [*schema.get("examples", []), *([schema["example"]] if "example" in schema else [])]
    for inner in (*schema.get("anyOf", []), schema.get("items")):
        if inner:
            found += examples(described, inner)
    return found


def test_every_body_and_every_answer_has_an_example(described):
    for path, method, one in operations(described):
        for media in one.get("requestBody", {}).get("content", {}).values():
            assert "example" in media or examples(described, media["schema"]), (method, path)
        for status, answer in one["responses"].items():
            for kind, media in answer.get("content", {}).items():
                if kind == "application/json" and int(status) < 300:
                    properties = media["schema"].get("$ref", "") or media["schema"].get("items", {}).get("$ref", "")
                    assert properties, (method, path, status)
                    assert examples(described, media["schema"]) or path == "/health", (method, path, status)


def test_every_parameter_is_explained_or_speaks_for_itself(described):
    plain = {"limit", "offset", "order", "model", "parent", "tag"}
    for path, method, one in operations(described):
        for parameter in one.get("parameters", []):
            assert parameter.get("description") or parameter["name"] in plain, (method, path, parameter["name"])


def test_examples_of_bodies_are_taken(client, described):
    """Every example is sent; it is refused at most because what it names is not there."""
    for path, method, one in operations(described):
        media = one.get("requestBody", {}).get("content", {}).get("application/json")
        if media is None:
            continue
        for body in examples(described, media["schema"]):
            answer = client.request(method, path.replace("{id}", AN_ID), json=body)
            assert answer.status_code in (202, 404), (method, path, answer.text)


def test_no_page_of_the_framework_loads_scripts_from_elsewhere(client):
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 404


def test_the_reference_is_current():
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    assert page == reference.page(), "python -m kapelle.web.reference > docs/reference/api.md"


def test_the_reference_s_examples_are_json():
    for block in re.findall(r"^```json\n(.*?)^```$", reference.page(), re.MULTILINE | re.DOTALL):
        json.loads(block)
