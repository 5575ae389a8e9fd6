"""A client is set by arguments, and by the environment for what they leave out."""

from pathlib import Path

import pytest

from holdfast.client import Holdfast
from holdfast.client.settings import Settings
from holdfast.errors import ConfigurationError

VARIABLES = {
    "HOLDFAST_URL": "https://holdfast.internal:8000/",
    "HOLDFAST_KEY": "hf_key",
    "HOLDFAST_SERVICE": "shop",
}


def read(url=None, key=None, *, service=None, spill="", off=None, environment=VARIABLES):
    return Settings.read(url, key, service=service, spill=spill, off=off, environment=environment)


def test_the_environment_is_enough():
    settings = read()
    assert (settings.url, settings.key) == ("https://holdfast.internal:8000", "hf_key")
    assert settings.service == "shop"


def test_an_argument_wins_over_its_variable():
    settings = read("http://other", "hf_other", service="cart", spill="/var/spool/cart")
    assert (settings.url, settings.key, settings.service) == ("http://other", "hf_other", "cart")
    assert settings.spill == Path("/var/spool/cart")


@pytest.mark.parametrize(
    ("spill", "variable", "folder"),
    [
        (None, "/var/spool/shop", None),
        ("", "/var/spool/shop", Path("/var/spool/shop")),
        ("", "off", None),
    ],
)
def test_the_spill_is_a_folder_or_off(spill, variable, folder):
    assert read(spill=spill, environment=VARIABLES | {"HOLDFAST_SPILL": variable}).spill == folder


def test_without_a_word_the_spill_is_a_folder_of_this_users_own():
    assert read().spill.name.startswith("holdfast-")


@pytest.mark.parametrize("value", ["1", "true", "ON", " yes "])
def test_off_needs_neither_url_nor_key(value):
    assert read(environment={"HOLDFAST_OFF": value}).off


@pytest.mark.parametrize("value", ["", "0", "false", "off"])
def test_what_is_not_off_is_on(value):
    assert not read(environment=VARIABLES | {"HOLDFAST_OFF": value}).off


def test_the_argument_wins_over_the_switch():
    assert not read(off=False, environment=VARIABLES | {"HOLDFAST_OFF": "1"}).off


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HOLDFAST_URL": ""}, "HOLDFAST_URL"),
        ({"HOLDFAST_URL": "localhost:8000"}, "HOLDFAST_URL"),
        ({"HOLDFAST_URL": "http://host:99999999"}, "HOLDFAST_URL"),
        ({"HOLDFAST_KEY": ""}, "HOLDFAST_KEY"),
        ({"HOLDFAST_KEY": "hf_\nkey"}, "HOLDFAST_KEY"),
        ({"HOLDFAST_SERVICE": "no spaces"}, "service"),
        ({"HOLDFAST_OFF": "maybe"}, "HOLDFAST_OFF"),
    ],
)
def test_what_is_wrong_is_named(variables, named):
    with pytest.raises(ConfigurationError, match=named):
        Holdfast(environment=VARIABLES | variables)


def test_the_key_does_not_show():
    """In a traceback with variables, for one."""
    assert "hf_key" not in repr(read())
