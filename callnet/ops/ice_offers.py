"""STUN and TURN servers for devices, without HTTP (protocol §1)."""

from __future__ import annotations

from callnet.accounts.tokens import Tokens
from callnet.ops.ice_servers import IceOffer, IceServers
from callnet.util.net import site_of


class IceOffers:
    """For devices that are logged in."""

    def __init__(self, servers: IceServers, tokens: Tokens) -> None:
        self._servers = servers
        self._tokens = tokens

    def offer(self, token: str, host: str) -> IceOffer:
        """The servers for the device of a token.

        :param host: the address that it asks from, if that is known.
        :raises TokenInvalid: the token is not valid.
        :raises RateLimited: credentials were asked for from there too often.
        """
        self._tokens.verify(token)
        return self._servers.for_device(site_of(host))
