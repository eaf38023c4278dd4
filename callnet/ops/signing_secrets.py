"""The secrets, from files of their own, that sign requests to the operator's programs."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from callnet.config.schema import WEBHOOK_SECRET_MIN, GatewaySettings, OtpSettings, Settings, WebhookSettings
from callnet.errors import StartError
from callnet.util import files

_Section = TypeVar("_Section", OtpSettings, WebhookSettings, GatewaySettings)


def read_signing_secrets(settings: Settings) -> Settings:
    """The settings with the secrets that are in files.

    :raises StartError: a file cannot be read, is open to others, or holds no secret.
    """
    accounts, push = settings.accounts, settings.push
    return replace(
        settings,
        accounts=replace(accounts, otp=_read(accounts.otp, "accounts.otp")),
        webhooks=_read(settings.webhooks, "webhooks"),
        push=replace(push, gateway=_read(push.gateway, "push.gateway")),
    )


def _read(section: _Section, name: str) -> _Section:
    if not section.secret_file:
        return section
    setting = f"{name}.secret_file"
    try:
        secret = files.read_private(section.secret_file, setting).decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        raise StartError(f"{setting}: {section.secret_file} is not UTF-8") from None
    if len(secret) < WEBHOOK_SECRET_MIN or not secret.isprintable():
        raise StartError(
            f"{setting}: {section.secret_file} must have one line of at least {WEBHOOK_SECRET_MIN} characters"
        )
    return replace(section, secret=secret)
