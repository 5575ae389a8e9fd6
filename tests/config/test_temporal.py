"""Reaching Temporal, and registering what workflows upsert."""

import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
    ListSearchAttributesResponse,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from config.search_attributes import ALL
from config.settings import Settings
from config.temporal import connect, ensure_search_attributes
from holdfast.errors import ConfigurationError, Unavailable

NAMES = [key.name for key in ALL]


@pytest.fixture(scope="module")
async def server():
    executable = str(Path(sys.executable).parent / "temporal")
    environment = await WorkflowEnvironment.start_local(dev_server_existing_path=executable)
    yield environment
    await environment.shutdown()


@pytest.fixture
def settings(server):
    port = server.client.service_client.config.target_host.rpartition(":")[2]
    return Settings(temporal_port=int(port))


@pytest.fixture(autouse=True)
def no_temporal_in_the_environment(monkeypatch, tmp_path):
    """A developer's own Temporal is not for tests."""
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "temporal.toml"))
    return monkeypatch


async def test_without_an_environment_it_is_the_embedded_server(settings):
    """In the namespace default, with pydantic models as payloads."""
    client = await connect(settings, identity="a test")
    assert client.namespace == "default"
    assert client.identity == "a test"
    assert client.data_converter is pydantic_data_converter


async def test_temporals_own_environment_wins(settings, monkeypatch):
    """The names are Temporal's standard ones."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{settings.temporal_port}")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "elsewhere")
    client = await connect(Settings(temporal_port=1))
    assert client.namespace == "elsewhere"


async def test_an_absent_server_is_unavailable():
    """The message says where it was looked for."""
    with pytest.raises(Unavailable, match="does not answer at localhost:1"):
        await connect(Settings(temporal_port=1))


async def test_a_lazy_connection_needs_no_server_yet():
    """A process may start before its server."""
    assert await connect(Settings(temporal_port=1), lazy=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TEMPORAL_PROFILE", "nowhere"),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nowhere.pem"),
        ("TEMPORAL_ADDRESS", "no address"),
    ],
)
async def test_a_wrong_setting_is_said_to_be_one(monkeypatch, name, value):
    """It is not the server's fault, and trying again will not help."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"TEMPORAL_|Temporal's settings"):
        await connect(Settings(temporal_port=1))


async def registered(client):
    request = ListSearchAttributesRequest(namespace=client.namespace)
    listed = await client.operator_service.list_search_attributes(request)
    return {name: kind for name, kind in listed.custom_attributes.items() if name in NAMES}


async def test_search_attributes_are_registered_once(settings):
    """Doing it again changes nothing."""
    client = await connect(settings)
    for _ in range(2):
        assert await ensure_search_attributes(client)
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    assert await registered(client) == dict.fromkeys(NAMES, keyword)


class OperatorService:
    """A server that answers as it is told, and remembers what it was asked to add."""

    def __init__(self, *, present=None, listing=None, adding=None):
        self.present = present or {}
        self.listing = listing
        self.adding = adding
        self.added = []

    async def list_search_attributes(self, request):
        if self.listing:
            raise RPCError("no", self.listing, b"")
        return ListSearchAttributesResponse(custom_attributes=self.present)

    async def add_search_attributes(self, request: AddSearchAttributesRequest):
        self.added += sorted(request.search_attributes)
        if self.adding:
            raise RPCError("no", self.adding, b"")


def client_of(service):
    return SimpleNamespace(namespace="shop", operator_service=service)


KEYWORD, TEXT = 2, 1


async def test_only_what_is_missing_is_registered():
    """A namespace may have some of them."""
    service = OperatorService(present=dict.fromkeys(NAMES[1:], KEYWORD))
    assert await ensure_search_attributes(client_of(service))
    assert service.added == NAMES[:1]


async def test_another_process_may_have_been_faster():
    """Workers start together."""
    service = OperatorService(adding=RPCStatusCode.ALREADY_EXISTS)
    assert await ensure_search_attributes(client_of(service))


@pytest.mark.parametrize("where", ["listing", "adding"])
@pytest.mark.parametrize(
    "status",
    [RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.UNAUTHENTICATED],
)
async def test_where_the_server_forbids_it_the_log_says_what_to_do(caplog, where, status):
    """Temporal Cloud has no operator service; the process starts all the same."""
    service = OperatorService(**{where: status})
    with caplog.at_level(logging.WARNING):
        assert not await ensure_search_attributes(client_of(service))
    assert all(name in caplog.text for name in NAMES)
    assert "operator search-attribute create --namespace shop" in caplog.text


async def test_an_attribute_of_another_type_is_refused():
    """Upserting it would fail every task of every workflow."""
    service = OperatorService(present=dict.fromkeys(NAMES, TEXT))
    with pytest.raises(ConfigurationError, match="HoldfastIncident is INDEXED_VALUE_TYPE_TEXT"):
        await ensure_search_attributes(client_of(service))


async def test_a_server_that_is_away_is_not_taken_for_one_that_forbids():
    """Whoever calls tries again."""
    service = OperatorService(listing=RPCStatusCode.UNAVAILABLE)
    with pytest.raises(RPCError):
        await ensure_search_attributes(client_of(service))
