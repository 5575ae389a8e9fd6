"""Every error is a problem document that says what was wrong, where, and what to do."""

from collections.abc import AsyncIterator

import pytest

from api.body_limit import BATCH_LIMIT, LIMIT
from api.problems import MEDIA_TYPE, Problem


def problem_of(answer):
    """The document of a problem, checked for its form."""
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    problem = Problem.model_validate_json(answer.content)
    assert problem.status == answer.status_code
    assert problem.instance == answer.url.path
    return problem


async def test_an_unknown_path_is_a_problem(client):
    answer = await client.get("/nothing")
    assert (answer.status_code, problem_of(answer).title) == (404, "Not found")
    assert "/api/system/nothing" in problem_of(answer).detail


async def test_a_wrong_method_names_those_that_are_taken(client):
    answer = await client.put("/config")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert "PUT" in problem_of(answer).detail


async def test_wrong_fields_are_named_one_by_one(client):
    answer = await client.post("/keys", json={"name": "", "roles": ["king"], "extra": 1})
    problem = problem_of(answer)
    assert answer.status_code == 422
    assert {each.field for each in problem.errors} == {"name", "roles.0", "extra"}
    assert problem.detail.startswith("3 fields are wrong: ")


async def test_nothing_of_what_was_sent_is_repeated(client):
    """A secret in the wrong field must not end in somebody's log."""
    answer = await client.post("/keys", json={"name": "a b hf_secret", "roles": ["hf_secret"]})
    assert answer.status_code == 422
    assert "hf_secret" not in answer.text


async def test_what_is_not_json_says_where(client):
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/keys", content=b'{"name": }', headers=headers)
    problem = problem_of(answer)
    assert answer.status_code == 422
    assert problem.errors[0].message.startswith("this is not JSON: ")
    assert "character 9" in problem.errors[0].message


async def test_a_missing_body_is_named(client):
    answer = await client.post("/keys")
    assert (answer.status_code, problem_of(answer).errors[0].field) == (422, "")


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 8192):
        yield b" " * 8192


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/keys", LIMIT),
        ("GET", "/config", LIMIT),
        ("POST", "/nothing", LIMIT),
        ("POST", "/errors", BATCH_LIMIT),
    ],
)
async def test_too_much_is_refused_before_it_is_read(client, method, path, limit):
    """Whatever the route does with a body, and whether it would have been let in or not."""
    answer = await client.request(method, path, content=b" " * (limit + 1))
    assert (answer.status_code, problem_of(answer).title) == (413, "Payload too large")
    assert f"{limit // 1024} KiB" in problem_of(answer).detail


@pytest.mark.parametrize(("path", "limit"), [("/keys", LIMIT), ("/errors", BATCH_LIMIT)])
async def test_a_stream_without_a_declared_length_is_counted(client, path, limit):
    headers = {"Content-Type": "application/json"}
    answer = await client.post(path, content=in_pieces(limit + 8192), headers=headers)
    assert (answer.status_code, problem_of(answer).title) == (413, "Payload too large")


async def test_what_just_fits_is_taken(client):
    body = b'{"name": "ada", "roles": ["viewer"]}'.ljust(LIMIT)
    headers = {"Content-Type": "application/json"}
    assert (await client.post("/keys", content=body, headers=headers)).status_code == 201


async def test_an_error_of_our_own_shows_nothing_of_itself(app, client):
    """The last resort: the log holds the reason, under the reference that the answer gives."""

    @app.get("/api/system/broken")
    async def broken():
        raise RuntimeError("the password is 1234")

    answer = await client.get("/broken")
    assert answer.status_code == 500
    assert "1234" not in answer.text
    assert "reference" in problem_of(answer).detail
