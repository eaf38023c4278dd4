"""The whole daemon in memory: its real parts on a reactor that does nothing by itself."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.application.service import IService, IServiceMaker, ServiceMaker
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.plugin import getPlugins
from twisted.protocols.tls import TLSMemoryBIOFactory

from callnet.ops.certificates import sign
from callnet.storage.database import Database
from callnet.tap import IDaemonReactor, Options, makeService
from callnet.util.files import PRIVATE, PUBLIC, overwrite
from callnet.web.site import PAGE
from tests.support.http_wire import HttpWire
from tests.support.tap_case import DaemonTestCase
from tests.support.wires import Wire


class RunningTests(DaemonTestCase):
    """The daemon as it runs."""

    def setUp(self) -> None:
        """A daemon that has started."""
        super().setUp()
        self.daemon = self.compose()
        with capturedLogs() as events:
            self.begin(self.daemon)
        self.log = "\n".join(str(formatEvent(event)) for event in events)

    def test_it_listens_on_loopback_alone(self) -> None:
        """It listens on loopback alone."""
        self.assertEqual(
            [(port, interface) for port, _, _, interface in self.reactor.tcpServers],
            [(8083, "127.0.0.1"), (8082, "127.0.0.1"), (8080, "127.0.0.1"), (8081, "127.0.0.1"), (8084, "127.0.0.1")],
        )

    def test_many_may_wait_to_be_accepted(self) -> None:
        """Many may wait to be accepted."""
        self.assertEqual({backlog for _, _, backlog, _ in self.reactor.tcpServers}, {1024})

    def test_only_the_site_speaks_tls(self) -> None:
        """Only the site speaks TLS."""
        tls = [port for port, factory, _, _ in self.reactor.tcpServers if isinstance(factory, TLSMemoryBIOFactory)]
        self.assertEqual(tls, [8080])

    def test_devices_log_in_on_both_ports(self) -> None:
        """Devices log in on both ports."""
        for port in (8083, 8080):
            login = self.post(port, "/account/login", phone="13651884967", device_id=f"tv on {port}")
            self.assertEqual(login["errorCode"], 0)
            contacts = self.post(port, "/getContactPersons", phone="13651884967", token=login["token"])
            self.assertEqual(contacts["contacts"], [])
            added = self.post(port, "/contacts/add", contact_phone="13651884968", token=login["token"])
            self.assertEqual(added["errorCode"], 0)

    def test_devices_on_different_ports_meet(self) -> None:
        """Devices on different ports meet."""
        _, callee = self.ring()
        [called] = [json.loads(frame.payload) for frame in callee.frames]
        self.assertEqual((called["type"], called["from_device_id"]), ("called", "phone"))

    def test_the_page_is_served(self) -> None:
        """The page is served."""
        self.assertEqual(HttpWire(self.factory(8080)).request("GET", PAGE).status, 200)

    def test_the_log_says_where_everything_is_and_what_to_try(self) -> None:
        """The log has all addresses and the next things to try."""
        for text in (
            "is ready.",
            ":8083\n",
            ":8082/socket.io\n",
            ":8080/\n",
            f":8080{PAGE}\n",
            os.path.abspath(os.path.join(self.state_dir, "self-signed.crt")),
            "callnet device 13800000002 tv --answer accept",
        ):
            self.assertIn(text, self.log)

    def test_when_it_stops_every_device_is_told(self) -> None:
        """When it stops every device is told."""
        devices = [self.device(8082, "phone"), self.device(8080, "tv888")]
        stopped = self.daemon.stopService()
        self.assertNoResult(stopped)
        self.carry(*devices)
        self.assertEqual([wire.close_code for wire in devices], [1001, 1001])
        self.successResultOf(stopped)

    def test_when_it_stops_calls_are_waited_for(self) -> None:
        """When it stops calls are waited for, while newcomers are told to come later, until somebody is in a hurry."""
        wires = self.ring()
        stopped = self.daemon.stopService()
        self.reactor.pump([0.5] * 40)
        self.carry(*wires)
        self.assertEqual([None, None], [wire.close_code for wire in wires])
        late = Wire(self.factory(8082))
        late.handshake("/socket.io?token=")
        self.carry(late)
        self.assertEqual(503, late.status)
        self.assertNoResult(stopped)
        self.daemon.hurry()
        self.carry(*wires)
        self.assertEqual([1001, 1001], [wire.close_code for wire in wires])
        self.successResultOf(stopped)

    def test_devices_that_do_not_go_are_cut_after_5_seconds(self) -> None:
        """Devices that do not go are cut after 5 seconds."""
        stuck = self.device(8082, "phone")
        stuck.answers_close = False
        stopped = self.daemon.stopService()
        self.carry(stuck)
        self.reactor.advance(4.9)
        self.carry(stuck)
        self.assertNoResult(stopped)
        self.reactor.advance(0.1)
        self.carry(stuck)
        self.successResultOf(stopped)

    def test_nothing_is_left_to_do_when_it_has_stopped(self) -> None:
        """Nothing is left to do when it has stopped."""
        device = self.device(8082, "phone")
        HttpWire(self.factory(8083)).leave()
        stopped = self.daemon.stopService()
        self.carry(device)
        self.successResultOf(stopped)
        self.reactor.take_threads()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class StateTests(DaemonTestCase):
    """The files that a start creates, and finds again."""

    def mode(self, *path: str) -> int:
        """The permissions of something in the state directory."""
        return os.stat(os.path.join(self.state_dir, *path)).st_mode & 0o777

    def test_only_its_owner_may_look_at_it(self) -> None:
        """Only its owner may look at it."""
        self.compose()
        self.assertEqual(self.mode(), 0o700)
        for name in ("signing.key", "self-signed.key", "callnet.db"):
            self.assertEqual(self.mode(name), 0o600, name)

    def test_open_to_others(self) -> None:
        """A state directory that others may look into is reported."""
        os.makedirs(self.state_dir, mode=0o755)
        with capturedLogs() as events:
            self.compose()
        told = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        path = os.path.abspath(self.state_dir)
        self.assertEqual([f"state_dir {path} is accessible to other users of this machine; chmod 700 it"], told)

    def test_the_next_start_finds_it_again(self) -> None:
        """The next start finds it again."""
        self.compose()
        made = {name: Path(self.state_dir, name).read_bytes() for name in ("signing.key", "self-signed.crt")}
        self.compose()
        self.assertEqual(made, {name: Path(self.state_dir, name).read_bytes() for name in made})

    def test_no_connection_to_the_database_is_left_open_for_a_fork(self) -> None:
        """No connection to the database is left open for a fork."""
        self.compose()
        self.assertEqual([name for name in os.listdir(self.state_dir) if name.startswith("callnet.db-")], [])

    def test_a_key_of_the_operators_own_makes_no_file(self) -> None:
        """A key of the operators own makes no file."""
        self.compose(f'tokens.signing_key = "{"k" * 32}"')
        self.assertNotIn("signing.key", os.listdir(self.state_dir))

    def test_a_certificate_of_the_operators_own_makes_no_other(self) -> None:
        """A certificate of the operator's own makes no other, and allows for HSTS."""
        pair = sign(["phones.example.org"], [], datetime.now(UTC))
        certificate, key = self.mktemp(), self.mktemp()
        overwrite(certificate, pair.chain[0].public_bytes(Encoding.PEM), PUBLIC)
        overwrite(key, pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), PRIVATE)
        self.compose(f'tls = {{ certificate = "{certificate}", private_key = "{key}" }}\nsite.hsts = 86400')
        self.assertNotIn("self-signed.crt", os.listdir(self.state_dir))
        [site] = [factory for port, factory, _, _ in self.reactor.tcpServers if port == 8080]
        answer = HttpWire(cast(TLSMemoryBIOFactory, site).wrappedFactory).request("GET", "/")
        self.assertEqual(answer.headers["strict-transport-security"], "max-age=86400")

    def test_without_upgrades_an_old_database_is_refused(self) -> None:
        """Without upgrades an old database is refused."""
        self.assertRegex(self.refusal("database.upgrade_on_start = false"), r"^database\.url: .*database upgrade")
        self.compose()
        self.compose("database.upgrade_on_start = false")


class RefusalTests(DaemonTestCase):
    """Errors that stop a start, and their messages."""

    def test_a_wrong_key(self) -> None:
        """A wrong key of the settings stops it, and is named."""
        answer = self.refusal("calls.ring_tyme = 45")
        self.assertRegex(answer, r"^\S+\.toml: unknown key calls\.ring_tyme: known keys are ring_time, ")

    def test_a_wrong_type(self) -> None:
        """A value of the wrong type stops it, and is told with the right one."""
        answer = self.refusal('calls.ring_time = "45"')
        self.assertRegex(answer, r"^\S+\.toml: calls\.ring_time must be a number from 0\.1 to 2678400$")

    def test_open_enrolment_on_the_network(self) -> None:
        """Open enrolment on other addresses than loopback stops it, unless the operator has said so."""
        answer = self.refusal('listeners.account = [{ endpoint = "tcp:0:interface=0.0.0.0" }]')
        self.assertIn("listeners.account[0].endpoint 'tcp:0:interface=0.0.0.0' is open to the network", answer)
        self.assertIn("or set accounts.open_enrolment_on_network = true", answer)

    def test_a_state_directory_that_cannot_be_made(self) -> None:
        """A state directory that cannot be made stops it."""
        Path(self.state_dir).write_bytes(b"")
        self.assertRegex(self.refusal(""), r"^state_dir: cannot create the directory \S+: File exists$")

    def test_a_signing_key_that_cannot_be_read(self) -> None:
        """A signing key that cannot be read stops it, or that others may read."""
        self.assertEqual(self.refusal('tokens.signing_key_file = "/"'), "tokens.signing_key_file: /: Is a directory")
        key = Path(self.mktemp()).absolute()
        key.write_text("k" * 64, encoding="ascii")
        key.chmod(0o644)
        answer = self.refusal(f'tokens.signing_key_file = "{key}"')
        self.assertRegex(answer, rf"^tokens\.signing_key_file: {key} is accessible to others")

    def test_a_signing_key_that_is_too_short(self) -> None:
        """So does one that is too short."""
        self.assertRegex(self.refusal('tokens.signing_key = "short"'), r"^tokens\.signing_key: .*at least 32$")

    def test_a_phone_format_that_is_none(self) -> None:
        """So does an invalid phone format."""
        self.assertRegex(self.refusal('accounts.phone_format = "("'), r"^accounts\.phone_format: ")

    def test_a_certificate_that_cannot_be_read(self) -> None:
        """So does a certificate that cannot be read."""
        self.assertRegex(
            self.refusal('tls = {certificate = "/c", private_key = "/k"}'), r"^tls\.certificate: cannot read /c"
        )

    def test_a_database_in_memory(self) -> None:
        """So does a database in memory, which would be forgotten."""
        self.assertRegex(self.refusal('database.url = "sqlite://"'), r"^database\.url: an in-memory database")

    def test_a_database_that_needs_newer_code(self) -> None:
        """So does a database that needs newer code."""
        self.compose()
        database = Database(f"sqlite:///{self.state_dir}/callnet.db")
        self.addCleanup(database.close)
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE schema_info SET oldest_code = 9999")
        database.close()
        self.assertRegex(self.refusal(""), r"^database\.url: the database needs schema level 9999, but ")

    def test_a_redis_that_is_not_there(self) -> None:
        """So does a Redis that is not there."""
        refusal = self.refusal('redis.url = "unix:///nowhere/redis"')
        self.assertEqual(refusal, "redis.url: /nowhere/redis: No such file or directory")

    def test_sqlite_with_a_redis_for_many_machines(self) -> None:
        """So does SQLite with a Redis that other machines may share."""
        self.assertRegex(
            self.refusal('redis.url = "redis://192.0.2.1"'), r"^database\.url: SQLite works on one machine only"
        )

    def test_an_endpoint_that_is_none(self) -> None:
        """So does an endpoint that is invalid after all."""
        refusal = self.refusal('listeners.site = [{endpoint = "unix:/run/callnet/site:color=red"}]')
        self.assertRegex(refusal, r"^listeners\.site\[0\]\.endpoint 'unix:/run/callnet/site:color=red': ")


class CommandTests(DaemonTestCase):
    """``twistd callnet``, as far as it is ours."""

    def options(self, *arguments: str) -> Options:
        """The options of a command line."""
        options = Options()
        options.parseOptions(list(arguments))
        return options

    def test_twistd_knows_it(self) -> None:
        """``twistd`` and ``twist`` know it."""
        [maker] = [each for each in getPlugins(IServiceMaker) if each.tapname == "callnet"]
        self.assertIs(cast(ServiceMaker, maker).makeService, makeService)
        self.assertIs(cast(ServiceMaker, maker).options, Options)

    def test_a_service_is_made(self) -> None:
        """A service is made."""
        path = self.mktemp()
        Path(path).write_text(f'state_dir = "{self.state_dir}"', encoding="utf-8")
        service = makeService(self.options("--config", path), cast(IDaemonReactor, self.reactor))
        self.assertTrue(IService.providedBy(service))
        self.assertEqual(IService(service).name, "callnet")

    def test_what_stops_the_start_is_one_line_and_exit_status_1(self) -> None:
        """An error that stops the start is one line and exit status 1."""
        options = self.options("--config", "/nowhere")
        refusal = self.assertRaises(SystemExit, makeService, options, self.reactor)
        self.assertEqual(refusal.code, "callnet: /nowhere: cannot read the settings: No such file or directory")
