"""Owns how to reach Temporal, and the search attributes that Holdfast needs there."""

import logging
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode

from config.search_attributes import ALL
from config.settings import Settings
from holdfast.errors import ConfigurationError, Unavailable

logger = logging.getLogger(__name__)

_KEYWORD: Final = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
# How servers say that search attributes are not for this client to make: Temporal Cloud has no
# operator service, and a self-hosted server may keep it for its operators.
_NOT_OURS: Final = {
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.UNIMPLEMENTED,
}


async def connect(settings: Settings, *, lazy: bool = False, identity: str | None = None) -> Client:
    """Connect as Temporal's standard environment (``TEMPORAL_ADDRESS``, ...) and its file say.

    Without them, to the embedded server, without TLS.

    Args:
        settings: Where the embedded server listens.
        lazy: Connect with the first call, so that a process can start before the server does.
        identity: How histories name this client; its process id and host otherwise.

    Raises:
        ConfigurationError: The environment or the file is wrong.
        Unavailable: Nothing answers there.
    """
    config = _config(settings)
    address = config["target_host"]
    try:
        return await Client.connect(
            **config, data_converter=pydantic_data_converter, lazy=lazy, identity=identity
        )
    except ValueError as error:
        raise ConfigurationError(f"TEMPORAL_ADDRESS, {address!r}: {error}") from error
    except RuntimeError as error:  # all that the SDK's core raises when it can't connect
        raise Unavailable(f"Temporal does not answer at {address}: {error}") from error


def _config(settings: Settings) -> ClientConnectConfig:
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, OSError, ValueError) as error:
        raise ConfigurationError(f"Temporal's settings (TEMPORAL_...): {error}") from error
    config.setdefault("target_host", f"localhost:{settings.temporal_port}")
    config.setdefault("namespace", "default")
    return config


async def ensure_search_attributes(client: Client) -> bool:
    """Register what workflows upsert: without it, the server refuses their every task.

    Doing it again changes nothing, also when several processes do it at once.

    Returns:
        Whether all of them are there now. If not, what to do has been logged.

    Raises:
        ConfigurationError: One of them has another type.
        RPCError: The server can't be reached.
    """
    try:
        present = await _present(client)
        if missing := [key.name for key in ALL if key.name not in present]:
            await _add(client, missing)
    except RPCError as error:
        if error.status not in _NOT_OURS:
            raise
        logger.warning(_hint(client.namespace), error.status.name)
        return False
    return True


async def _present(client: Client) -> set[str]:
    """The names of ours that are there, of the right type."""
    request = ListSearchAttributesRequest(namespace=client.namespace)
    listed = (await client.operator_service.list_search_attributes(request)).custom_attributes
    for key in ALL:
        if listed.get(key.name, _KEYWORD) != _KEYWORD:
            kind = IndexedValueType.Name(listed[key.name])
            raise ConfigurationError(
                f"Temporal's search attribute {key.name} is {kind} in the namespace "
                f"{client.namespace}; remove it there, and it will be made anew as Keyword"
            )
    return {key.name for key in ALL if key.name in listed}


async def _add(client: Client, names: list[str]) -> None:
    request = AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes=dict.fromkeys(names, _KEYWORD)
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise


def _hint(namespace: str) -> str:
    names = " ".join(key.name for key in ALL)
    return (
        "Temporal does not let this client see or make search attributes (%s). Workflows need "
        f"{names} as Keyword in the namespace {namespace}. On Temporal Cloud add them under "
        "Namespaces, Edit, Custom Search Attributes; elsewhere run, for each: temporal operator "
        f"search-attribute create --namespace {namespace} --type Keyword --name NAME"
    )
