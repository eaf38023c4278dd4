"""A closed phone in a browser: its subscription, the messages that it is sent, and its notifications. All of it blocks.

Chromium subscribes at Google's servers alone: a page is given the subscription of a browser in Python, and DevTools
deliver the messages. Firefox subscribes where its settings say. A notification cannot be pressed from outside, so
Chromium's worker is told that somebody has.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from playwright.sync_api import BrowserContext, CDPSession, Page, Worker

from tests.browser.camera import Camera
from tests.browser.phone_visitor import PhoneVisitor
from tests.browser.stage import CHROMIUM, Stage
from tests.browser.visitor import PATIENCE

_SUBSCRIBE: Final = """(subscription) => {
    let present = null;
    const made = {
        toJSON: () => subscription,
        unsubscribe: async () => { present = null; return true; },
    };
    PushManager.prototype.getSubscription = async () => present;
    PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
        const text = atob(applicationServerKey.replace(/-/g, "+").replace(/_/g, "/"));
        made.options = { applicationServerKey: Uint8Array.from(text, (one) => one.charCodeAt()).buffer };
        present = made;
        return made;
    };
}"""
"""The browser's own push service, by what a page sees of it."""
_SHOWN: Final = """async () => {
    await last;
    return (await self.registration.getNotifications()).map(
        ({ title, tag, silent, requireInteraction, actions, icon }) =>
            ({ title, tag, silent, requireInteraction, icon, actions: actions.map(({ title }) => title) }));
}"""
"""The notifications, once all messages are heard: Chromium drops those that are being shown while it is asked."""
_IN_A_PAGE: Final = """async () => {
    const registration = await navigator.serviceWorker.getRegistration("/");
    return (await registration.getNotifications()).map(({ title, tag }) => ({ title, tag }));
}"""
_PRESS: Final = """async (action) => {
    self.opened = [];
    self.clients.openWindow = async (url) => self.opened.push(url);
    const [notification] = await self.registration.getNotifications();
    const event = new NotificationEvent("notificationclick", { notification, action });
    let done = null;
    event.waitUntil = (promise) => { done = promise; };
    self.dispatchEvent(event);
    await done;
    return self.opened;
}"""
"""Presses a button of the notification, or with "" the notification. Only a person's press opens a window."""
_FORGET: Final = """async () => {
    const registration = self.registration ?? (await navigator.serviceWorker.getRegistration("/"));
    for (const notification of await registration.getNotifications()) notification.close();
}"""
"""Closes the notifications, in a worker or a page."""


def subscribed(stage: Stage, subscription: Mapping[str, Any]) -> BrowserContext:
    """A profile of Chromium, with the blue camera, that has this subscription, and whose owner allows notifications."""
    context = stage.profile(stage.browser(Camera.BLUE, program=CHROMIUM), permissions=["notifications"])
    context.add_init_script(f"({_SUBSCRIBE})({json.dumps(subscription)})")
    return context


def preferences(sockets: str) -> dict[str, Any]:
    """Settings of a Firefox that subscribes at a push service whose WebSockets are there, and allows notifications."""
    return {
        "dom.push.serverURL": sockets,
        "dom.push.testing.allowInsecureServerURL": True,
        "dom.push.connection.enabled": True,
        "permissions.default.desktop-notification": 1,
        "alerts.useSystemBackend": False,  # a machine without a desktop has none
        "dom.webnotifications.requireinteraction.count": 1_000,  # without a desktop, those that were closed count
    }


class Closed:
    """The browser of somebody whose phone rings when it is closed."""

    def __init__(self, profile: BrowserContext, page: PhoneVisitor) -> None:
        self._profile = profile
        self._origin = page.page.evaluate("location.origin")
        self._page = profile.new_page()  # DevTools need one
        self._tools: CDPSession = profile.new_cdp_session(self._page)
        self._registrations: list[str] = []
        self._tools.on("ServiceWorker.workerRegistrationUpdated", self._note)
        self._tools.send("ServiceWorker.enable")

    def _note(self, event: dict[str, Any]) -> None:
        self._registrations += [one["registrationId"] for one in event["registrations"]]

    @property
    def worker(self) -> Worker:
        """The service worker."""
        (worker,) = self._profile.service_workers
        return worker

    def deliver(self, message: dict[str, Any]) -> None:
        """Deliver a message."""
        while not self._registrations:
            self._page.wait_for_timeout(50)
        origin, registration = self._origin, self._registrations[-1]
        self._tools.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": origin, "registrationId": registration, "data": json.dumps(message)},
        )

    def shown(self, *titles: str) -> list[dict[str, Any]]:
        """The notifications, once they are those with these titles."""
        deadline = time.monotonic() + PATIENCE / 1_000
        while time.monotonic() < deadline:
            shown: list[dict[str, Any]] = self.worker.evaluate(_SHOWN)
            found = sorted(one["title"] for one in shown)
            if found == sorted(titles):
                return shown
            self._page.wait_for_timeout(50)
        raise AssertionError(f"in the end it shows {found}")

    def forget(self) -> None:
        """Close the notifications."""
        self.worker.evaluate(_FORGET)

    def press(self, action: str = "") -> list[str]:
        """Press a button of the notification, or the notification. Returns the windows that open."""
        opened: list[str] = self.worker.evaluate(_PRESS, action)
        return opened


def await_notification(page: Page, title: str) -> str:
    """Wait until this is the only notification. Returns its call."""
    deadline = time.monotonic() + PATIENCE / 1_000
    while time.monotonic() < deadline:
        shown = page.evaluate(_IN_A_PAGE)
        if [one["title"] for one in shown] == [title]:
            return str(shown[0]["tag"])
        page.wait_for_timeout(50)
    raise AssertionError(f"in the end it shows {shown}")


def forget_notifications(page: Page) -> None:
    """Close all of them."""
    page.evaluate(_FORGET)
