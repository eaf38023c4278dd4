"""The program that orders a certificate: ``python -m callnet.acme.order STATE_DIR``, with settings in JSON on stdin.

It ends with status 0 if there is a certificate that need not be renewed yet, and may have written a line with a
warning; else its last line says why there is none.
It is a process of its own because the library blocks, and takes time and memory to load.
"""

from __future__ import annotations

import fcntl
import re
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Final, cast

import josepy.errors
import msgspec
import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwa import ES256
from josepy.jwk import JWK, JWKEC

from callnet.acme.renewal import AcmeFolder, due
from callnet.config.schema import AcmeSettings
from callnet.errors import CallnetError, root_cause
from callnet.ops.certificates import Pair, key_to_pem, nameless, to_pem
from callnet.util import files

_PATIENCE: Final = timedelta(seconds=180)
"""Time for the authority to validate the names and to sign."""
_REQUEST_TIME: Final = 30
"""Seconds for one of its answers."""
_ALPN_ANSWER_LASTS: Final = timedelta(days=7)
_ACME_IDENTIFIER: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""RFC 8737 §6.1."""
_MAY_BE_TOKEN: Final = re.compile(r"(?![A-Z_]+\b)[A-Za-z0-9_-]{22,}")
"""No names in capitals, such as those of errors in OpenSSL."""
_DETAIL_MAX: Final = 300
"""Characters of an authority's text that are shown."""


class OrderError(CallnetError):
    """There is no certificate; the message says why, in one line."""


@challenges.ChallengeResponse.register
class TlsAlpn01Response(challenges.KeyAuthorizationChallengeResponse):
    """The answer to the challenge below."""

    typ = "tls-alpn-01"


@challenges.Challenge.register
class TlsAlpn01(challenges.KeyAuthorizationChallenge):
    """The challenge of RFC 8737, which the library does not have."""

    response_cls = TlsAlpn01Response
    typ = response_cls.typ

    def validation(self, account_key: JWK, **_: Any) -> str:
        """The key authorization."""
        return self.key_authorization(account_key)


def main() -> None:
    """Order one, unless that is no longer needed."""
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=AcmeSettings)
    folder = AcmeFolder(sys.argv[1], settings.directory)
    try:
        folder.make()
        with _alone(folder), _explained(settings):
            now = datetime.now(UTC)
            if due(folder.pair(), settings.names, now) <= now:
                _order(settings, folder)
    except CallnetError as error:
        print(" ".join(str(error).split()))  # noqa: T201
        sys.exit(1)


@contextmanager
def _alone(folder: AcmeFolder) -> Iterator[None]:
    """Have no other process order at the same time: several daemons may share a state directory."""
    with folder.lock.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _explained(settings: AcmeSettings) -> Iterator[None]:
    """Say in our words what the library and the authority say in theirs."""
    kind = "http-01" if settings.http01 else "tls-alpn-01"
    try:
        yield
    except errors.ValidationError as error:
        failed = [
            f"{authorization.body.identifier.value}: {_problem(challenge.error)}"
            for authorization in error.failed_authzrs
            for challenge in authorization.body.challenges
            if challenge.error is not None
        ]
        raise OrderError(f"the authority could not validate by {kind}: {'; '.join(failed)}") from None
    except errors.IssuanceError as error:
        raise OrderError(f"the authority did not sign: {_problem(error.error)}") from None
    except messages.Error as error:
        raise OrderError(f"the authority refused: {_problem(error)}") from None
    except errors.TimeoutError:
        raise OrderError(f"the authority took longer than {_PATIENCE.seconds} s") from None
    except requests.exceptions.SSLError as error:
        raise OrderError(
            f"the certificate of {settings.directory} is not trusted (tls.acme.ca): {_shown(_at_bottom(error))}"
        ) from None
    except requests.Timeout:
        raise OrderError(f"{settings.directory} did not answer in time") from None
    except requests.RequestException as error:
        raise OrderError(f"cannot reach {settings.directory}: {_shown(_at_bottom(error))}") from None
    except (errors.Error, josepy.errors.Error, ValueError, KeyError) as error:
        raise OrderError(f"unexpected answer of {settings.directory}: {_shown(repr(error))}") from None
    except OSError as error:
        raise OrderError(f"cannot use {error.filename}: {error.strerror}") from None


def _problem(problem: messages.Error) -> str:
    """A problem document (RFC 7807) in one line."""
    return _shown(f"{problem.code or problem.typ}: {problem.detail or problem.title or ''}")


def _shown(text: str) -> str:
    """Text of others for a line of the log. What may be a token is left out of it."""
    text = _MAY_BE_TOKEN.sub("…", text)
    return "".join(each if each.isprintable() else " " for each in text)[:_DETAIL_MAX]


def _at_bottom(error: BaseException) -> str:
    """The cause of an error of requests, which hides it in the arguments of others."""
    while True:
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
        if not isinstance(inner, BaseException):
            return getattr(error, "strerror", None) or root_cause(error)
        error = inner


def _order(settings: AcmeSettings, folder: AcmeFolder) -> None:
    account_key = JWKEC(key=_account_key(folder))
    authority = _register(settings, account_key, folder)
    key = ec.generate_private_key(ec.SECP256R1())
    order = authority.new_order(crypto_util.make_csr(key_to_pem(key), list(settings.names)))
    deadline = datetime.now() + _PATIENCE  # noqa: DTZ005  # as the library has it
    folder.clear_answers()
    try:
        for authorization in order.authorizations:
            if authorization.body.status != messages.STATUS_VALID:
                _answer(authority, authorization, account_key, folder, "http-01" if settings.http01 else "tls-alpn-01")
        order = authority.poll_and_finalize(order, deadline)
    finally:
        folder.clear_answers()
    chain = x509.load_pem_x509_certificates(order.fullchain_pem.encode())
    if chain[0].public_key() != key.public_key():
        raise OrderError("the authority signed another key")
    _take(Pair(chain, key), settings, folder)


def _take(pair: Pair, settings: AcmeSettings, folder: AcmeFolder) -> None:
    """Write a new certificate. One that is due already is a failure: else it would be ordered again and again."""
    folder.write(folder.certificate, to_pem(pair))
    now = datetime.now(UTC)
    if due(pair, settings.names, now) <= now:
        raise OrderError("the authority signed other names, or for too short a time")


def _account_key(folder: AcmeFolder) -> ec.EllipticCurvePrivateKey:
    """The key of the account, made once."""
    with suppress(FileNotFoundError):
        key = serialization.load_pem_private_key(folder.account_key.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise OrderError(f"{folder.account_key} must be an ECDSA key; remove it to have a new one made")
        return key
    made = ec.generate_private_key(ec.SECP256R1())
    files.make_once(str(folder.account_key), key_to_pem(made))
    return made


def _register(settings: AcmeSettings, key: JWKEC, folder: AcmeFolder) -> client.ClientV2:
    """A client with an account, made at the first time, and told the contact if it is another one (RFC 8555 §7.3.2)."""
    network = client.ClientNetwork(key, alg=ES256, user_agent=f"callnet/{version('callnet')}", timeout=_REQUEST_TIME)
    network.verify_ssl = cast(bool, settings.ca or _authorities_of_system() or True)  # any falsy value checks nothing
    authority = client.ClientV2(client.ClientV2.get_directory(settings.directory, network), network)
    contact = (settings.contact,) if settings.contact else ()
    try:
        authority.new_account(messages.NewRegistration(contact=contact, terms_of_service_agreed=True))
    except errors.ConflictError as known:
        network.account = messages.RegistrationResource(uri=known.location, body=messages.Registration())
        if folder.contact == settings.contact:
            return authority
        try:
            authority.update_registration(network.account, messages.Registration(contact=contact))
        except messages.Error as error:
            print(f"the authority refused the contact: {_problem(error)}")  # noqa: T201
            return authority
    folder.contact = settings.contact
    return authority


def _authorities_of_system() -> str | None:
    """The file or folder with the authorities that OpenSSL trusts here; the library would trust its own."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath


def _answer(
    authority: client.ClientV2,
    authorization: messages.AuthorizationResource,
    account_key: JWKEC,
    folder: AcmeFolder,
    kind: str,
) -> None:
    """Have one name be validated.

    :raises OrderError: not by this kind of challenge.
    """
    name: str = authorization.body.identifier.value
    for challenge in authorization.body.challenges:
        if challenge.chall.typ == kind:
            response, proof = challenge.response_and_validation(account_key)
            if kind == "http-01":
                folder.answer_http01(challenge.chall.encode("token"), proof.encode())
            else:
                folder.answer_alpn(name, _alpn_answer(name, proof))
            authority.answer_challenge(challenge, response)
            return
    raise OrderError(f"the authority does not validate {name} by {kind}")


def _alpn_answer(name: str, proof: str) -> Pair:
    """The certificate that answers ``tls-alpn-01`` (RFC 8737 §3)."""
    key = ec.generate_private_key(ec.SECP256R1())
    octets = b"\x04\x20" + sha256(proof.encode()).digest()
    now = datetime.now(UTC)
    certificate = (
        nameless(key, now - timedelta(days=1), now + _ALPN_ANSWER_LASTS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(_ACME_IDENTIFIER, octets), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair([certificate], key)


if __name__ == "__main__":
    main()
