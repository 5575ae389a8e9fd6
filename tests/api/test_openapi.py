"""The OpenAPI document is complete, and what it shows is true."""

import pytest
from jsonschema import Draft202012Validator

from api.problems import MEDIA_TYPE


@pytest.fixture
def document(app):
    return app.openapi()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def examples(content):
    if "example" in content:
        yield content["example"]
    yield from (each["value"] for each in content.get("examples", {}).values())


def violations(document, schema, value):
    whole = {"components": document["components"], **schema}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


async def test_every_operation_is_explained(document):
    """Summary, description, a tag of those that are explained, and what each parameter means."""
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in operations(document):
        assert operation["summary"], name
        assert len(operation["description"].split()) > 6, name
        assert set(operation["tags"]) <= tags, name
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (name, parameter["name"])
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))


async def test_every_answer_is_shown_by_an_example_that_fits_its_schema(document):
    for name, operation in operations(document):
        assert any(status.startswith("2") for status in operation["responses"]), name
        for status, response in operation["responses"].items():
            assert response["description"], (name, status)
            # An answer without a body has nothing to show.
            for media, content in response.get("content", {}).items():
                shown = list(examples(content))
                assert shown, (name, status, media)
                for value in shown:
                    assert not violations(document, content["schema"], value), (name, status)


async def test_every_request_is_shown_by_examples_that_fit_their_schema(document):
    for name, operation in operations(document):
        if "requestBody" not in operation:
            continue
        content = operation["requestBody"]["content"]["application/json"]
        schema = content["schema"]
        reference = schema.get("$ref") or schema.get("anyOf", [{}])[0].get("$ref", "")
        model = document["components"]["schemas"].get(reference.rpartition("/")[2], {})
        shown = [*examples(content), *model.get("examples", [])]
        assert shown, name
        for value in shown:
            assert not violations(document, schema, value), (name, value)


async def test_problems_are_problem_documents(document):
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if status.startswith(("4", "5")) and name != "GET /api/system/health":
                assert list(response["content"]) == [MEDIA_TYPE], (name, status)


async def test_every_field_of_an_example_of_ours_is_shown(document):
    """An example that left a field out would hide it."""
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json", {})
            reference = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            fields = document["components"]["schemas"].get(reference, {}).get("properties", {})
            hidden = set(fields) - set(content.get("example", {}))
            assert not hidden - {"warnings", "problem"}, (name, status)


async def test_authorize_knows_the_keys(document):
    [(scheme, said)] = document["components"]["securitySchemes"].items()
    assert (said["type"], said["scheme"]) == ("http", "bearer")
    for name, operation in operations(document):
        expected = None if name == "GET /api/system/health" else [{scheme: []}]
        assert operation.get("security") == expected, name


async def test_the_documents_page_is_served(client):
    page = await client.get("http://holdfast.test/docs")
    assert page.status_code == 200
    assert "/api/system/openapi.json" in page.text
    assert (await client.get("/openapi.json")).json()["info"]["title"] == "Holdfast"
