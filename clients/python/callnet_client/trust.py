"""The trusted certificates of a client. Each function makes a policy for both HTTPS and wss."""

from __future__ import annotations

from OpenSSL.SSL import Connection
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer


def public_trust() -> IPolicyForHTTPS:
    """Trust the authorities that this machine trusts."""
    return BrowserLikePolicyForHTTPS()


def certificate_trust(pem: bytes) -> IPolicyForHTTPS:
    """Trust this certificate, and certificates signed by it, and nothing else. Names must still match."""
    return BrowserLikePolicyForHTTPS(trustRoot=Certificate.loadPEM(pem))


def no_trust() -> IPolicyForHTTPS:
    """Trust any certificate: encrypted, but open to interception."""
    return _NoTrust()


@implementer(IPolicyForHTTPS)
class _NoTrust:
    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:  # noqa: ARG002, N802
        return _Unverified(hostname)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    def __init__(self, hostname: bytes) -> None:
        self._hostname = hostname

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:  # noqa: ARG002, N802, N803
        connection = Connection(CertificateOptions(verify=False).getContext(), None)
        connection.set_tlsext_host_name(self._hostname)
        return connection
