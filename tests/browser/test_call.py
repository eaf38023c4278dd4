"""Two browsers at the page: they see and hear each other, whatever happens in between (protocol §3)."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.browser.camera import Camera
from tests.browser.case import BrowserCase, OwnDaemonCase, in_reactor
from tests.browser.continuity import wait_until
from tests.browser.figures import await_set_up
from tests.browser.stage import Stage
from tests.browser.visitor import Visitor


def meet(stage: Stage) -> tuple[Visitor, Visitor]:
    """Two visitors who are connected; the first has the red camera, the second the blue."""
    red, blue = stage.pair()
    red.enter(stage.room)
    blue.enter(stage.room)
    for visitor in (red, blue):
        visitor.await_state("connected")
    return red, blue


def assert_see_each_other(red: Visitor, blue: Visitor) -> None:
    """Each sees the other's camera, moving, at times nobody has chosen."""
    red.await_colour(Camera.BLUE)
    blue.await_colour(Camera.RED)
    for _ in range(2):
        red.wait_a_while()
        for visitor, expected in ((red, Camera.BLUE), (blue, Camera.RED)):
            assert visitor.colour_seen() is expected
    for visitor in (red, blue):
        visitor.await_movement()


class CallTests(BrowserCase):
    """Two visitors of one room."""

    def test_picture_and_sound(self) -> Deferred[None]:
        """A visitor who opens the page with the same room sees and hears the other, and one hangs up for both."""

        def story(stage: Stage) -> None:
            stage.has_sound = True
            red, blue = meet(stage)
            assert_see_each_other(red, blue)
            red.await_sound()
            blue.await_sound()
            red.await_colour(Camera.RED, "local")
            blue.press("chat")
            red.press("hangup")
            for visitor in (red, blue):
                visitor.await_state("ended")
            self.assertEqual((blue.focused, blue.is_visible("chat-drawer")), ("action", False))
            self.assertIn("You hung up.", red.text("hint"))
            self.assertIn("The other person hung up.", blue.text("hint"))
            blue.await_that("document.getElementById('local').srcObject === null")
            for visitor in (red, blue):
                visitor.press("action")
            for visitor in (red, blue):
                visitor.await_state("connected")
            assert_see_each_other(red, blue)

        return self.play(story)

    def test_interruptions(self) -> Deferred[None]:
        """Two visitors go on seeing each other, whatever happens in between, until one of them leaves."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            self.form(stage, red, blue)
            self.sleep(stage, red, blue)
            self.switches(red, blue)
            self.broken_connection(red, blue)
            self.reload(red, blue)
            third = self.third_visitor(stage, red, blue)
            self.remote_control(third, blue)

        return self.play(story)

    def form(self, stage: Stage, red: Visitor, blue: Visitor) -> None:
        """Without a room in its address the page asks for one, and takes no bad one."""
        for visitor in (red, blue):
            visitor.visit()
            visitor.await_state("idle")
        red.press("join")
        self.assertEqual(red.text("room-problem"), "Please enter 1 to 64 characters.")
        for visitor in (red, blue):
            visitor.page.fill("input#room-id", f" {stage.room} ")
            visitor.press_enter()
        for visitor in (red, blue):
            visitor.await_state("connected")
        assert_see_each_other(red, blue)

    def sleep(self, stage: Stage, red: Visitor, blue: Visitor) -> None:
        """A machine that slept comes back to the same connection."""
        with stage.asleep(Camera.BLUE):
            red.await_state("reconnecting")
            red.wait(3_000)  # longer than a connection may heal by itself
        for visitor in (red, blue):
            visitor.await_state("connected")
            visitor.await_movement()  # who slept shows at first what was shown before
            self.assertEqual(visitor.page.evaluate("window.connections.length"), 1)
        assert_see_each_other(red, blue)

    def switches(self, red: Visitor, blue: Visitor) -> None:
        """Mute and camera off reach the other side, which reads of both."""
        blue.press("camera")
        red.page.wait_for_selector("#remote-off")
        wait_until(red, lambda: red.colour_seen() is None, "the dark picture")
        self.assertEqual(blue.text("camera-label"), "Start camera")
        blue.press("mute")
        red.page.wait_for_selector("#notice:has-text('microphone is off')")
        blue.press("camera")
        blue.press("mute")
        red.page.wait_for_selector("#remote-off", state="hidden")
        assert_see_each_other(red, blue)

    def broken_connection(self, red: Visitor, blue: Visitor) -> None:
        """The offering side restores a broken connection, whichever side it broke on."""
        for visitor in (red, blue):
            with red.passing("reconnecting"), blue.passing("reconnecting"):
                visitor.page.evaluate("window.connections.at(-1).close()")
            for either in (red, blue):
                either.await_state("connected")
            assert_see_each_other(red, blue)

    def reload(self, red: Visitor, blue: Visitor) -> None:
        """A reload in mid-call takes its own seat back, muted as it was, and the other page takes up the call."""
        for visitor, other in ((red, blue), (blue, red)):
            visitor.press("mute")
            visitor.page.keyboard.down(" ")  # talks as long as it is held
            self.assertEqual(visitor.text("mute-label"), "Mute")
            visitor.page.reload()
            visitor.page.keyboard.up(" ")
            for either in (red, blue):
                either.await_state("connected")
            assert_see_each_other(red, blue)
            other.await_shown("notice", "microphone is off")
            self.assertEqual(visitor.text("mute-label"), "Unmute")
            visitor.press("mute")

    def third_visitor(self, stage: Stage, red: Visitor, blue: Visitor) -> Visitor:
        """A third visitor reads that the room is full, and gets in when a seat is free."""
        third = stage.visitor(stage.browser(Camera.BLUE))
        third.enter(stage.room)
        third.await_state("full")
        self.assertEqual(third.text("title"), "This room is full")
        third.await_that("document.getElementById('local').srcObject === null")
        with blue.passing("waiting"):
            red.page.close()
        third.await_state("connected")
        blue.await_state("connected")
        return third

    def remote_control(self, red: Visitor, blue: Visitor) -> None:
        """Arrows and OK are enough: they reach every button."""
        red.stay_awake()
        buttons = ("mute", "camera", "share", "chat", "more", "hangup")
        for key, expected in zip(("ArrowRight", "ArrowDown") * 3, buttons, strict=True):
            red.page.keyboard.press(key)
            self.assertEqual(red.focused, expected)
        red.page.keyboard.press("ArrowRight")
        self.assertEqual(red.focused, "hangup")
        red.hold_enter("ended")
        blue.await_state("ended")
        self.assertEqual(("ended", "ended"), (red.shown, blue.shown))
        self.assertEqual(blue.focused, "action")

    def test_same_seat_twice(self) -> Deferred[None]:
        """A tab that was duplicated takes the seat over; the older one says so and can take it back."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            first = stage.visitor(browser)
            first.enter(stage.room)
            first.await_state("waiting")
            kept = first.page.evaluate("Object.entries(sessionStorage)")
            second = stage.visitor(browser)
            second.page.add_init_script(f"for (const [name, key] of {kept!r}) sessionStorage.setItem(name, key);")
            second.enter(stage.room)
            second.await_state("waiting")
            first.await_state("error", "taken")
            first.press("action")
            first.await_state("waiting")
            second.await_state("error", "taken")

        return self.play(story)


class ServerAwayTests(OwnDaemonCase):
    """Two visitors of one room, and a server that goes away."""

    def test_server_away(self) -> Deferred[None]:
        """While the server is away the call goes on, and either side can end it for both."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            self.assertEqual(await_set_up(self.daemon, red), "host")
            in_reactor(self.daemon.stop)
            for visitor in (red, blue):
                visitor.page.wait_for_selector("#notice:has-text('Your call continues')")
                visitor.complaints.clear()  # the browser reports each try
            assert_see_each_other(red, blue)
            red.press("hangup")
            blue.await_state("ended")
            for visitor in (red, blue):
                visitor.complaints.clear()

        return self.play(story)


class PermissionTests(BrowserCase):
    """Visitors who are not allowed to use the camera, or have none."""

    def test_refused(self) -> Deferred[None]:
        """A visitor who refuses the camera reads what to do, and may go on without: they see and hear the other."""

        def story(stage: Stage) -> None:
            shy = stage.visitor(stage.browser(None), refuse=True)
            red = stage.visitor(stage.browser(Camera.RED))
            shy.enter(stage.room)
            shy.await_state("error", "refused")
            self.assertIn("Allow both for this page", shy.text("hint"))
            shy.press("action")
            shy.await_state("error", "refused")
            shy.press("second-action")
            shy.await_state("waiting")
            red.enter(stage.room)
            for visitor in (shy, red):
                visitor.await_state("connected")
            shy.await_colour(Camera.RED)
            shy.await_shown("notice", "only watching")
            red.await_shown("remote-off")
            for visitor, has_picture in ((shy, True), (red, False)):
                visitor.page.evaluate("Object.defineProperty(window, 'documentPictureInPicture', { value: undefined })")
                visitor.press("more")
                visitor.await_shown("window")
                visitor.await_that("(is) => document.getElementById('window').disabled !== is", has_picture)

        return self.play(story)


class CallsOnlyTests(BrowserCase):
    """A daemon that serves no rooms but those of calls."""

    settings = "[calls]\nadhoc_rooms = false"

    def test_unknown_room(self) -> Deferred[None]:
        """A room that is no call's is refused, and the page offers to enter another."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            visitor.enter(stage.room)
            visitor.await_state("error", "unknown_room")
            visitor.press("action")
            visitor.await_state("idle")
            self.assertNotIn("room_id", visitor.page.url)

        return self.play(story)
