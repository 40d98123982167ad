import logging
import socket

import pytest
from huggingface_hub import constants

from bloomdiff.encoders import hub
from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.errors import InputError


@pytest.fixture
def no_names(monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "/nonexistent")


@pytest.mark.timeout(30)
def test_without_a_network_the_real_client_fails_at_once_and_silently(no_names, capfd) -> None:
    with pytest.raises(InputError, match="with no network, put THE FILE there") as error:
        hub.fetch_pretrained("timm:resnet10t", "resnet10t", "THE FILE there")
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""
    assert not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize(("address", "offline"), [(True, False), (False, True)])
def test_the_hub_is_asked_only_where_it_has_an_address(monkeypatch, address, offline) -> None:
    seen = []

    def create(*args: object, **options: object) -> str:
        seen.append((constants.HF_HUB_OFFLINE, logging.getLogger("huggingface_hub").level))
        return "model"

    monkeypatch.setattr(hub, "_has_address", lambda url: address)
    monkeypatch.setattr(import_timm(), "create_model", create)
    assert hub.fetch_pretrained("x", "y", "z") == "model"
    assert seen == [(offline, logging.CRITICAL)]


def test_a_proxy_is_trusted_to_resolve_names(no_names, monkeypatch) -> None:
    assert not hub._has_address("https://huggingface.co")
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy:3128"})
    assert hub._has_address("https://huggingface.co")
