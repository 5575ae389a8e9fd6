"""API keys: issued, found by their hash, revoked."""

import asyncio

import pytest

from holdfast.domain.role import Role, allows
from holdfast.errors import Conflict, NotFound
from storage.keys import Keys, hash_secret


@pytest.fixture
def keys(engine):
    return Keys(engine)


async def test_a_key_is_found_by_its_secrets_hash(keys):
    key = await keys.create("ada", [Role.RESPONDER, Role.REPORTER], "a secret")
    assert dict(await keys.active()) == {hash_secret("a secret"): key}
    assert key.roles == {Role.RESPONDER, Role.REPORTER}


async def test_a_revoked_key_is_listed_but_not_active(keys):
    key = await keys.create("ada", [Role.VIEWER], "a secret")
    revoked = await keys.revoke(key.id)
    assert revoked.revoked_at is not None
    assert await keys.active() == []
    assert await keys.list() == [revoked]
    assert await keys.revoke(key.id) == revoked


async def test_a_name_is_free_again_once_its_key_is_revoked(keys):
    key = await keys.create("ada", [Role.VIEWER], "one")
    with pytest.raises(Conflict, match="ada"):
        await keys.create("ada", [Role.VIEWER], "two")
    await keys.revoke(key.id)
    assert (await keys.create("ada", [Role.VIEWER], "two")).name == "ada"


async def test_an_unknown_key_cannot_be_revoked(keys):
    with pytest.raises(NotFound):
        await keys.revoke("nobody")


async def test_the_settings_admin_is_ensured_once_by_many_at_once(keys):
    found = await asyncio.gather(*(keys.ensure_admin("the secret") for _ in range(8)))
    assert len({key.id for key in found}) == 1
    assert found[0].roles == {Role.ADMIN}


async def test_a_changed_admin_secret_replaces_the_former(keys):
    await keys.ensure_admin("former")
    await keys.ensure_admin("present")
    assert [digest for digest, _ in await keys.active()] == [hash_secret("present")]


async def test_the_settings_bring_a_revoked_admin_back(keys):
    key = await keys.ensure_admin("the secret")
    await keys.revoke(key.id)
    assert await keys.ensure_admin("the secret") == key


def test_peoples_roles_build_on_each_other_and_a_reporters_stands_alone():
    ladder = [Role.VIEWER, Role.RESPONDER, Role.OPERATOR, Role.ADMIN]
    for place, role in enumerate(ladder):
        assert [allows([role], each) for each in ladder] == [n <= place for n in range(4)]
    assert [role for role in Role if allows([role], Role.REPORTER)] == [Role.REPORTER, Role.ADMIN]
    assert [role for role in Role if allows([Role.REPORTER], role)] == [Role.REPORTER]
    assert not allows([], Role.VIEWER)
