"""Weights from the Hugging Face hub through timm, with one line where there is no network."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.errors import InputError


def fetch_pretrained(name: str, model_name: str, mend: str, **options: Any) -> Any:
    """Timm's model with its published weights, from the hub's cache or the hub.

    Parameters
    ----------
    name
        Encoder, for messages.
    model_name
        timm's name.
    mend
        What to put where instead, for messages.
    options
        Passed to timm.

    Raises
    ------
    InputError
        The weights cannot be had: no network, no such model, or a damaged file.
    """
    timm = import_timm()
    try:
        with quiet_hub():
            return timm.create_model(model_name, pretrained=True, num_classes=0, **options)
    except Exception as error:  # the hub client has no common base for what a network can do
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise InputError(
            f"encoder {name!r}",
            f"its weights cannot be fetched ({type(error).__name__}: {reason})",
            f"with no network, put {mend}",
        ) from None


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Look in the hub's cache alone where the hub has no address, and tell no retries.

    The client would try for over a minute and print each attempt.
    """
    from huggingface_hub import constants

    logger = logging.getLogger("huggingface_hub")
    before = constants.HF_HUB_OFFLINE, logger.level
    constants.HF_HUB_OFFLINE = before[0] or not _has_address(constants.ENDPOINT)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before[0]
        logger.setLevel(before[1])


def _has_address(url: str) -> bool:
    if getproxies():
        return True  # the proxy resolves names, we may not be able to
    try:
        socket.getaddrinfo(urlsplit(url).hostname, 443)
    except OSError:
        return False
    return True
