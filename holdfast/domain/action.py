"""Owns the recovery actions and the health check: how a service is restarted, and seen well."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue

from holdfast.domain.model import Duration, Model, Name
from holdfast.domain.status_codes import StatusCodes
from holdfast.domain.template import check_url, placeholders, render, render_json, render_url
from holdfast.errors import InvalidInput

Parameters = Mapping[str, JsonValue]

# A secret stands in the policy file only by reference.
SecretReference = Annotated[
    str,
    Field(
        pattern=r"^(\$\{[A-Z_][A-Z0-9_]*\}|file:.+)$",
        description="${ENVIRONMENT_NAME} or file:/path/to/the/secret",
    ),
]
SECRET_IN_TEXT = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")

_SECRET_NAME = re.compile(
    r"(authorization|cookie|password|secret|token|api[-_]?key)$", re.IGNORECASE
)


def _refuse_secrets(values: dict[str, str]) -> dict[str, str]:
    for name, value in values.items():
        if _SECRET_NAME.search(name) and not SECRET_IN_TEXT.search(value):
            raise ValueError(
                f"{name}: a secret does not belong in this file; refer to it: ${{NAME}}"
            )
    return values


def _refuse_placeholders(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if placeholders(SECRET_IN_TEXT.sub("", value)):
            raise ValueError(f"{name}: a header takes no {{placeholder}} of a report")
    return headers


Environment = Annotated[dict[str, str], AfterValidator(_refuse_secrets)]
Headers = Annotated[Environment, AfterValidator(_refuse_placeholders)]
UrlTemplate = Annotated[str, Field(pattern=r"^https?://"), AfterValidator(check_url)]

_SAFE_ARGUMENT = re.compile(r"[A-Za-z0-9_.:/@=+,%][A-Za-z0-9_.:/@=+,% -]*")


class HttpAction(Model):
    """Asks the service over HTTP.

    Attributes:
        url: Where, a template.
        body: A JSON body, its strings templates; none sends none.
        headers: Header values; ``${NAME}`` is taken from the worker's environment.
        expect: The statuses that mean it was done.
        secret: Signs the request (Standard Webhooks).
        timeout: For one attempt.
    """

    kind: Literal["http"] = "http"
    url: UrlTemplate
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: Headers = Field(default_factory=dict)
    body: JsonValue = None
    expect: StatusCodes = StatusCodes(codes=("2xx",))
    secret: SecretReference | None = None
    timeout: Duration = timedelta(seconds=30)

    def rendered(self, parameters: Parameters) -> Self:
        """The action with its templates filled in."""
        body = render_json(self.body, parameters)
        return self.model_copy(update={"url": render_url(self.url, parameters), "body": body})


class CommandAction(Model):
    """Runs a program of the policy file's ``commands`` on the worker's machine.

    Attributes:
        command: The program's name in ``commands``: what is not listed there cannot be run.
        arguments: What is appended to its argument list, each a template.
    """

    kind: Literal["command"]
    command: Name
    arguments: tuple[str, ...] = ()

    def rendered(self, parameters: Parameters) -> Self:
        """The action with its arguments filled in; a value cannot pass for an option.

        Raises:
            InvalidInput: If a value holds characters that programs may take for more than text.
        """
        filled = tuple(render(each, parameters, escape=_plain) for each in self.arguments)
        return self.model_copy(update={"arguments": filled})


def _plain(value: str) -> str:
    if not _SAFE_ARGUMENT.fullmatch(value):
        raise InvalidInput(
            f"{value!r} may not be safe as an argument: use letters, digits and _.:/@=+,% and "
            "do not begin with a dash"
        )
    return value


class WorkflowAction(Model):
    """Runs the user's own Temporal workflow, on their own task queue, in any language.

    Attributes:
        workflow: The workflow type's name.
        input: Its one argument, its strings templates.
        timeout: For the whole run.
    """

    kind: Literal["run_workflow"]
    workflow: str = Field(min_length=1, max_length=200)
    task_queue: str = Field(min_length=1, max_length=200)
    input: JsonValue = None
    timeout: Duration = timedelta(minutes=10)

    def rendered(self, parameters: Parameters) -> Self:
        """The action with its input filled in."""
        return self.model_copy(update={"input": render_json(self.input, parameters)})


RecoveryAction = Annotated[HttpAction | CommandAction | WorkflowAction, Field(discriminator="kind")]


def own_timeout(action: RecoveryAction | None) -> timedelta:
    """How long an action may take by its own word.

    A command's word stands in ``commands``, where only the worker looks; an hour bounds it.
    """
    match action:
        case HttpAction() | WorkflowAction():
            return action.timeout
        case CommandAction():
            return timedelta(hours=1)
        case None:
            return timedelta(minutes=1)


class Command(Model):
    """A program that actions may run, by its argument list; there is no shell.

    Attributes:
        argv: The program and its first arguments.
        directory: Where it runs.
        environment: The whole of its environment but ``PATH``; ``${NAME}`` is the worker's own.
        timeout: After which its process group is killed.
    """

    argv: tuple[str, ...] = Field(min_length=1)
    directory: str | None = None
    environment: Environment = Field(default_factory=dict)
    timeout: Duration = timedelta(seconds=60)


class HealthCheck(Model):
    """How to see that a service is well.

    Attributes:
        url: Asked with GET, a template.
        expect: The statuses that mean well.
        timeout: For one request.
        interval: Between two requests while waiting for health to return.
        patience: How long to wait for health after an action.
    """

    url: UrlTemplate
    expect: StatusCodes = StatusCodes(codes=("2xx",))
    headers: Headers = Field(default_factory=dict)
    timeout: Duration = timedelta(seconds=5)
    interval: Duration = timedelta(seconds=1)
    patience: Duration = timedelta(seconds=20)

    def rendered(self, parameters: Parameters) -> Self:
        """The check with its URL filled in."""
        return self.model_copy(update={"url": render_url(self.url, parameters)})
