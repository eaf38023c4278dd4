"""Requests to the operator's programs: signed, delivered from the outbox or at once, and tried again."""

from __future__ import annotations

import hashlib
import hmac
import random
import secrets
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from math import inf
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

import msgspec
import treq
from msgspec import Struct
from msgspec.structs import replace
from twisted.internet import defer
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from callnet.calls.ports import DeliveryResult
from callnet.config.schema import WEBHOOK_SECRET_MIN, RequestSettings, Settings
from callnet.errors import StartError, Unavailable
from callnet.ops.metrics import Family, of_events
from callnet.storage.outbox import DueEvent, SqlOutbox, Tried
from callnet.util import files
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.timers import PeriodicRuns, pause
from callnet_client.body import Body

ANSWER_TIME: Final = 10.0
"""Seconds that an answer may take."""
_GONE: Final = (404, 410)
_TOO_MANY: Final = 429
_OURS: Final = 500
"""From this status on it is worth trying again."""
_SAFE: Final = "!$&'()*+,-./:;=?@[]_~%"
"""The characters of a path and a query besides letters and digits (RFC 3986 §3.3, §3.4), and brackets."""


class Posted(Struct, frozen=True):
    """The outcome."""

    failure: str = ""
    """Why it was not taken, in a few words that tell neither what was sent nor where to."""
    may_be_taken_later: bool = False
    is_gone: bool = False
    """The receiver does not know the recipient (any more)."""


async def outcome_of(asked: Deferred[int], clock: IReactorTime, patience: float) -> Posted:
    """Wait for the answer to a request. It does not fail, not even when it is cancelled.

    :param asked: fires with the status, or fails. It is cancelled if that takes too long.
    :param patience: seconds.
    """
    try:
        status = await asked.addTimeout(patience, clock)
    except defer.TimeoutError:
        return Posted(f"no answer in {patience:g} s", may_be_taken_later=True)
    except Exception as error:  # noqa: BLE001  whatever the network's many layers raise: it may work later
        return Posted(type(error).__name__, may_be_taken_later=True)
    if status // 100 == 2:
        return Posted()
    return Posted(f"status {status}", status >= _OURS or status == _TOO_MANY, status in _GONE)


_Result = TypeVar("_Result")


class UnderWay(Generic[_Result]):
    """Coroutines that wait for others. It has as many as its ``len``."""

    def __init__(self) -> None:
        self._running: set[Deferred[_Result]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, coroutine: Coroutine[Deferred[Any], Any, _Result]) -> Deferred[_Result]:
        """Let one run. Fires with what comes of it."""
        running = Deferred.fromCoroutine(coroutine)
        self._running.add(running)
        return running.addBoth(self._done, running)

    def cancel(self) -> None:
        """Cancel what all of them wait for."""
        for running in list(self._running):
            running.cancel()

    def _done(self, result: _Result, running: Deferred[_Result]) -> _Result:
        self._running.discard(running)
        return result


_Section = TypeVar("_Section", bound=RequestSettings)


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


class SignedPosts:
    """One address that events go to.

    :param url: a valid one. A user and a password in it are sent as the credentials of HTTP Basic (RFC 7617): never
        log it.
    :param now: the time, in seconds since 1970.
    """

    def __init__(self, url: str, secret: str, agent: IAgent, clock: IReactorTime, now: Callable[[], float]) -> None:
        parts = urlsplit(url)
        user_and_password, is_given, place = parts.netloc.rpartition("@")
        path, query = (quote(part, safe=_SAFE) for part in (parts.path, parts.query))
        self._url = urlunsplit(parts._replace(netloc=place, path=path, query=query)).encode("ascii")
        self._headers = {"Content-Type": ["application/json"]}
        if is_given:
            user, _, password = user_and_password.partition(":")
            credentials = b64encode(unquote_to_bytes(f"{user}:{password}")).decode("ascii")
            self._headers["Authorization"] = [f"Basic {credentials}"]
        self._secret = secret.encode()
        self._agent = agent
        self._clock = clock
        self._now = now

    async def post(self, event_id: str, body: bytes, patience: float = ANSWER_TIME) -> Posted:
        """Send an event once. It does not fail, not even when it is cancelled.

        :param patience: seconds that the answer may take.
        """
        sent_at = str(int(self._now()))
        signature = hmac.digest(self._secret, b"%s.%s" % (sent_at.encode(), body), hashlib.sha256).hex()
        headers = Headers(
            {
                **self._headers,
                "Callnet-Event": [event_id],
                "Callnet-Signature": [f"t={sent_at},v1={signature}"],
            }
        )
        # An agent raises some errors at once.
        asked: Deferred[Any] = maybeDeferred(self._agent.request, b"POST", self._url, headers, Body(body))
        return await outcome_of(asked.addCallback(_status_of), self._clock, patience)


def _status_of(response: Any) -> Deferred[int]:
    """The status, when the whole answer has come, which nobody reads."""
    status: int = response.code
    read: Deferred[None] = treq.collect(response, lambda _: None)
    return read.addCallback(lambda _: status)


Post: TypeAlias = Callable[[float], Coroutine[Deferred[Any], Any, Posted]]
"""Sends it once, and is told how many seconds the answer may take."""

log = Logger()
_round_failed = logged_unless_unavailable(log, "failed to deliver webhook events")


AGAIN_MAX: Final = 500
"""The most things that are sent again; of more a failure is final."""


class Urgent:
    """Sends things, again if need be.

    :param pauses: seconds to wait before each further try.
    """

    def __init__(self, clock: IReactorTime, pauses: tuple[float, ...]) -> None:
        self.again = 0
        """The number of those under way whose first try has failed."""
        self._clock = clock
        self._pauses = pauses
        self._handing: set[Deferred[DeliveryResult]] = set()

    def hand_over(self, what: str, post: Post, lasts: float = inf) -> Deferred[DeliveryResult]:
        """Send something until the answer is a final one. Fires with what became of it; it does not fail. If it is
        cancelled nothing is sent again.

        :param what: what the log calls it.
        :param lasts: seconds after which it is of no use any more.
        """

        def give_up(handed: Deferred[DeliveryResult]) -> None:
            handed.callback(DeliveryResult.FAILED)
            running.cancel()

        def done(became: DeliveryResult) -> None:
            if not handed.called:
                handed.callback(became)

        handed: Deferred[DeliveryResult] = Deferred(give_up)
        self._handing.add(handed)
        handed.addBoth(self._done, handed)
        running = Deferred.fromCoroutine(self._hand_over(what, post, self._clock.seconds() + lasts, handed))
        running.addErrback(_urgent_failed).addCallback(done)
        return handed

    def stop(self) -> None:
        """Send nothing more, nor wait for what is under way."""
        for handed in list(self._handing):
            handed.cancel()

    def _done(self, became: DeliveryResult, handed: Deferred[DeliveryResult]) -> DeliveryResult:
        self._handing.discard(handed)
        return became

    async def _hand_over(self, what: str, post: Post, until: float, handed: Deferred[DeliveryResult]) -> DeliveryResult:
        posted = await self._post(post, until)
        if posted.may_be_taken_later and not handed.called and self.again < AGAIN_MAX:
            self.again += 1
            try:
                posted = await self._post_again(post, until, posted, handed)
            finally:
                self.again -= 1
        if handed.called:
            return DeliveryResult.FAILED  # the request was cancelled, which the agent reports as it likes
        if not posted.failure:
            return DeliveryResult.TAKEN
        if posted.is_gone:
            return DeliveryResult.GONE
        log.warn("failed to deliver {what}: {failure}", what=what, failure=posted.failure)
        return DeliveryResult.FAILED

    async def _post_again(self, post: Post, until: float, posted: Posted, handed: Deferred[DeliveryResult]) -> Posted:
        for wait in self._pauses:
            if self._clock.seconds() + wait >= until:
                break
            await pause(self._clock, wait)
            posted = await self._post(post, until)
            if handed.called or not posted.may_be_taken_later:
                break
        return posted

    async def _post(self, post: Post, until: float) -> Posted:
        left = until - self._clock.seconds()
        return await post(min(ANSWER_TIME, left)) if left > 0.0 else Posted("too late")


def _urgent_failed(failure: Failure) -> DeliveryResult:
    if not failure.check(defer.CancelledError):
        log.failure("failed to send a notification", failure)
    return DeliveryResult.FAILED


class Webhook(Urgent):
    """Sends events.

    :param pauses: seconds to wait before each further try.
    """

    def __init__(self, posts: SignedPosts, clock: IReactorTime, pauses: tuple[float, ...]) -> None:
        super().__init__(clock, pauses)
        self._posts = posts

    def send(self, event: str, fields: Mapping[str, Any], lasts: float = inf) -> Deferred[DeliveryResult]:
        """Send an event, again if need be. Fires with what became of it; it does not fail.

        :param lasts: seconds after which it is of no use any more.
        """
        event_id = secrets.token_hex(16)
        body = msgspec.json.encode({"event": event, "id": event_id, **fields})
        return self.hand_over(f"event {event}", lambda patience: self._posts.post(event_id, body, patience), lasts)


LOOK_EVERY: Final = 1.0
"""Seconds."""
TAKEN: Final = 16
"""Events that this node takes in hand at once."""
AT_ONCE: Final = 4
"""Requests that are under way at the same time."""
LEASE: Final = ANSWER_TIME * TAKEN / AT_ONCE + 20.0
"""Seconds after which others send what this node has taken in hand: longer than it takes if every answer is late."""
FIRST_PAUSE: Final = 1.0
"""Seconds before an event is sent again; each further pause is twice as long."""
LONGEST_PAUSE: Final = 3600.0
TRIES: Final = 36
"""Then an event is given up: after about a day."""
_JITTER: Final = 0.2
"""By so much of it a pause is longer or shorter than said above."""
_COUNT_EVERY: Final = 15.0
_COUNTED: Final = 100_000
"""No more are counted of what waits, and of dead letters."""
_FORGET_EVERY: Final = 3600.0
_DEAD_LETTERS_KEPT: Final = 30 * 86400.0


class Deliveries:
    """Looks every second for what is due, on every node.

    :param now: the time, in seconds since 1970.
    :param kept: how long the ids of events are kept that were taken, in seconds.
    :param chance: a number from 0 to 1, each time another.
    """

    def __init__(
        self,
        outbox: SqlOutbox,
        posts: SignedPosts,
        clock: IReactorTime,
        now: Callable[[], float],
        kept: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._posts = posts
        self._clock = clock
        self._now = now
        self._kept = kept
        self._chance = chance
        self._rounds = PeriodicRuns(self._deliver, clock, LOOK_EVERY)
        self._under_way = UnderWay[Posted]()
        self._tried: list[Tried] = []
        """Results to write: no more than were taken in hand."""
        self._stopped = False
        self._is_failing = False
        self._counted = 0, 0
        self._count_at = self._forget_at = clock.seconds()

    def start(self) -> None:
        """Begin to look."""
        self._rounds.start()

    def stop(self) -> Deferred[None]:
        """Send nothing more. Requests in progress are not awaited but sent again later. Fires when that is recorded."""
        self._stopped = True
        self._under_way.cancel()
        return self._rounds.stop()

    def counted(self) -> Family:
        """The undelivered events, as of the last seconds."""
        return of_events(*self._counted)

    def _deliver(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._round()).addErrback(_round_failed)

    async def _round(self) -> None:
        await self._settle()
        while not self._stopped:
            due = deque(await self._outbox.take(TAKEN, self._now(), self._now() + LEASE))
            is_more = len(due) == TAKEN
            await gatherResults([Deferred.fromCoroutine(self._send(due)) for _ in range(min(AT_ONCE, len(due)))])
            await self._settle()
            if not is_more:
                break
        if not self._stopped:
            await self._keep_house()

    async def _send(self, due: deque[DueEvent]) -> None:
        """Send one after the other, as long as there are any."""
        while due:
            self._tried.append(await self._try(due.popleft()))

    async def _try(self, event: DueEvent) -> Tried:
        posted = Posted("not sent") if self._stopped else await self._post(event)
        if not posted.failure:
            self._note_success()
            return Tried(event)
        if self._stopped:
            return Tried(event, due_at=self._now())
        self._note_failure(posted.failure)
        if posted.may_be_taken_later and event.tries < TRIES:
            return Tried(event, posted.failure, self._now() + self._pause(event.tries))
        return Tried(event, posted.failure)

    def _post(self, event: DueEvent) -> Deferred[Posted]:
        return self._under_way.begin(self._posts.post(event.id, event.body))

    def _pause(self, tries: int) -> float:
        pause = min(FIRST_PAUSE * 2.0 ** (tries - 1), LONGEST_PAUSE)
        return pause * (1 + _JITTER * (2 * self._chance() - 1))

    async def _settle(self) -> None:
        """Record the outcomes of what was sent.

        :raises Unavailable: not now; it is kept.
        """
        tried, self._tried = self._tried, []
        if not tried:
            return
        try:
            await self._outbox.settle(tried, self._now())
        except Unavailable:
            self._tried = tried
            raise
        dead = sum(bool(one.failure) and one.due_at is None for one in tried)
        if dead:
            log.warn("gave up {count} webhook events; see: callnet webhook list", count=dead)

    def _note_success(self) -> None:
        if self._is_failing:
            log.info("webhook accepts events again")
        self._is_failing = False

    def _note_failure(self, failure: str) -> None:
        if not self._is_failing:
            log.warn("webhook does not accept events: {failure}", failure=failure)
        self._is_failing = True

    async def _keep_house(self) -> None:
        now, date = self._clock.seconds(), self._now()
        if now >= self._count_at:
            self._counted = await self._outbox.count(_COUNTED)
            self._count_at = now + _COUNT_EVERY
        if now >= self._forget_at:
            await self._outbox.forget(date - self._kept, date - _DEAD_LETTERS_KEPT)
            self._forget_at = now + _FORGET_EVERY
