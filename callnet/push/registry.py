"""Push registrations of devices, without HTTP (protocol §1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from callnet.accounts.ports import IPushRegistrations, PushKind, PushRegistration, Revocation
from callnet.accounts.revocations import covers
from callnet.accounts.token import Token
from callnet.accounts.tokens import Tokens
from callnet.errors import DataInvalid, TokenInvalid
from callnet.model import PUSH_TARGET_MAX, DeviceAddress, is_plain_text
from callnet.push.subscription import read_subscription
from callnet.push.ways import WebPush


class WaysToWake:
    """Lets devices say in which way they are woken.

    :param has_gateway: whether the operator has a program that wakes devices.
    :param web_push: ``None``: there is no Web Push.
    """

    def __init__(
        self,
        registrations: IPushRegistrations,
        tokens: Tokens,
        has_gateway: bool,
        web_push: WebPush | None,
        registered: Callable[[DeviceAddress], Deferred[None]],
    ) -> None:
        self._registrations = registrations
        self._tokens = tokens
        self._has_gateway = has_gateway
        self._web_push = web_push
        self._registered = registered

    @property
    def application_server_key(self) -> str | None:
        """The public key for browsers that subscribe (RFC 8292 §4), in base64url; ``None``: Web Push is off."""
        return None if self._web_push is None else self._web_push.vapid.public_key

    def register(self, token: str, kind: PushKind | None, target: str) -> Deferred[None]:
        """Have the token's device woken in this way alone from now on.

        :param kind: ``None``: it is not woken any more.
        :param target: any text by which the gateway knows the device; for Web Push what the browser gave, as JSON.
        :raises TokenInvalid: the token is not valid.
        :raises DataInvalid: there is no such way here, or no such target.
        :raises Unavailable: the database cannot be reached, or where it is kept who can be called.
        """
        return Deferred.fromCoroutine(self._register(token, kind, target))

    async def _register(self, text: str, kind: PushKind | None, target: str) -> None:
        token = self._tokens.verify(text)
        if kind is None:
            await self._registrations.forget(token.device, self._tokens.now())
            return
        registration = PushRegistration(token.device, kind, self._accepted(kind, target), self._tokens.now())
        if not await self._registrations.put(registration, lambda revoked: _is_revoked(token, revoked)):
            raise TokenInvalid("the token was revoked")
        await self._registered(token.device)

    def _accepted(self, kind: PushKind, target: str) -> str:
        """The target as it is kept."""
        if not target or not is_plain_text(target, PUSH_TARGET_MAX):
            raise DataInvalid(f"target must have 1 to {PUSH_TARGET_MAX} characters and no control characters")
        if kind is PushKind.WEBPUSH:
            if self._web_push is None:
                raise DataInvalid("kind: Web Push is off on this server")
            return read_subscription(target, self._web_push.hosts).target()
        if not self._has_gateway:
            raise DataInvalid("kind: this server has no push gateway")
        return target


def _is_revoked(token: Token, revoked: Sequence[Revocation]) -> bool:
    return any(covers(one, token) for one in revoked)
