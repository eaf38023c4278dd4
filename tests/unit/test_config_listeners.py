"""Valid listeners, and listeners that may not be opened to the network by mistake."""

from __future__ import annotations

from callnet.config.endpoints import client_address
from tests.unit.test_config import FileTestCase


class ListenerTests(FileTestCase):
    """Which listeners are taken."""

    def refused(self, endpoint: str) -> str:
        """The error about an endpoint of the site."""
        refusal = self.refusal(f"listeners.site = [{{ endpoint = '{endpoint}' }}]")
        self.assertTrue(refusal.startswith("listeners.site[0].endpoint "), refusal)
        return refusal

    def test_those_that_only_this_machine_reaches(self) -> None:
        """Those are taken that only this machine reaches."""
        for endpoint in (
            "tcp:8080:interface=127.0.0.1",
            "tcp:port=8080:interface=127.3.2.1",
            "tcp6:8080:interface=\\:\\:1",
            "tcp:0:interface=127.0.0.1:backlog=5",
            "unix:/run/callnet/site",
            "systemd:domain=UNIX:name=site",
        ):
            settings = self.load(f"listeners.site = [{{ endpoint = '{endpoint}' }}]")
            self.assertEqual(settings.listeners.site[0].endpoint, endpoint)

    def test_with_open_enrolment_no_other_is_taken(self) -> None:
        """With open enrolment no other is taken, nor one that may be reachable from elsewhere."""
        for endpoint in (
            "tcp:8080",
            "tcp:8080:interface=0.0.0.0",
            "tcp:8080:interface=10.0.0.5",
            "tcp:8080:interface=example.org",
            "tcp6:8080",
            "systemd:domain=INET:name=site",
        ):
            self.assertIn("set accounts.open_enrolment_on_network = true", self.refused(endpoint))

    def test_unless_the_operator_says_so(self) -> None:
        """They are taken if the operator says so."""
        for endpoint in ("tcp:8080", "tcp6:8080", "systemd:domain=INET:name=site"):
            settings = self.load(
                f"accounts.open_enrolment_on_network = true\nlisteners.site = [{{ endpoint = '{endpoint}' }}]"
            )
            self.assertEqual(settings.listeners.site[0].endpoint, endpoint)

    def test_wrapping_endpoints_are_refused_with_the_setting_to_use(self) -> None:
        """Wrapping endpoints are refused with the setting to use."""
        self.assertIn("with tls = true beside it", self.refused("ssl:8080:privateKey=key.pem"))
        self.assertIn("with tls = true beside it", self.refused("tls:8080"))
        self.assertIn("in proxy_protocol beside", self.refused("haproxy:tcp:8080"))

    def test_what_is_no_endpoint_is_refused(self) -> None:
        """An invalid endpoint is refused."""
        for endpoint in ("", "8080", "tcp", "tcp:", "udp:8080", "stdio:"):
            self.assertIn("must be an endpoint such as", self.refused(endpoint))

    def test_a_port_is_a_number(self) -> None:
        """A port is a number."""
        for endpoint in ("tcp:http", "tcp:65536", "tcp:-1", "tcp6:٨٠"):
            self.assertIn("the port must be a number from 0 to 65535", self.refused(endpoint))

    def test_arguments_of_tcp(self) -> None:
        """Beside its port an endpoint of TCP may have an address and a backlog, each named and once.

        Without this an address with a misspelt name would be no address, which is open to everybody.
        """
        for kind in ("tcp", "tcp6"):
            for arguments in (
                "8080:interfase=127.0.0.1",
                "8080:127.0.0.1",
                "8080:50:127.0.0.1",
                "8080:",
                "8080:interface",
                "8080:interface=::1",
                "8080:interface=127.0.0.1:interface=0.0.0.0",
                "8080:port=8081",
            ):
                refused = self.refused(f"{kind}:{arguments}")
                self.assertIn('after the port may come "interface=" and "backlog=", each once', refused)

    def test_a_backlog_is_a_number(self) -> None:
        """A backlog is a number that the system takes."""
        for endpoint in ("tcp:0", "tcp6:0", "unix:/run/callnet/site"):
            for wrong in ("", "many", "-1", "9999999999"):
                self.assertIn(
                    "the backlog must be a number of at most nine digits", self.refused(f"{endpoint}:backlog={wrong}")
                )
        self.load("listeners.site = [{ endpoint = 'unix:/run/callnet/site:backlog=999999999' }]")

    def test_there_must_be_one(self) -> None:
        """There must be at least one for devices or pages."""
        self.assertIn("at least one", self.refusal("listeners = { account = [], signaling = [], site = [] }"))


class TurnTests(FileTestCase):
    """The relay behind a listener of the site."""

    def listener(self, turn: str) -> str:
        """The settings of one."""
        return f"listeners.site = [{{ endpoint = 'tcp:0:interface=127.0.0.1', turn = '{turn}' }}]"

    def test_those_that_can_be_connected_to(self) -> None:
        """It is a host and a port of TCP."""
        for turn in ("", "tcp:127.0.0.1:5348", "tcp:turn.example.org:1", "tcp:\\:\\:1:65535"):
            self.assertEqual(self.load(self.listener(turn)).listeners.site[0].turn, turn)
        self.assertEqual(client_address("tcp:\\:\\:1:65535"), ("::1", 65535))

    def test_no_others(self) -> None:
        """Whatever else it is, it is refused."""
        for turn in (
            "5348",
            "tcp:5348",
            "tcp:127.0.0.1",
            "tcp:127.0.0.1:0",
            "tcp:a:65536",
            "tcp::1",
            "udp:a:1",
            "tls:a:1",
        ):
            self.assertEqual(
                self.refusal(self.listener(turn)),
                'listeners.site[0].turn must be an endpoint such as "tcp:127.0.0.1:5348"',
            )

    def test_of_no_other_service(self) -> None:
        """Only the site has one."""
        self.assertIn(
            "unknown key listeners.signaling[0].turn", self.refusal(self.listener("").replace("site", "signaling"))
        )


class OnePortTests(FileTestCase):
    """One port for everything."""

    open = "accounts.open_enrolment_on_network = true\n"

    def endpoints(self, settings: str) -> dict[str, str]:
        """The endpoints of the listeners."""
        return {key: listener.endpoint for key, listener in self.load(self.open + settings).listeners.keyed()}

    def test_it_takes_the_place_of_the_defaults(self) -> None:
        """The site has it, on all addresses, and the account service and devices have no other; the operator has."""
        admin = ("listeners.admin[0]", "tcp:8084:interface=127.0.0.1")
        self.assertEqual(self.endpoints("one_port = 443"), dict([("listeners.site[0]", "tcp6:443"), admin]))
        self.assertTrue(self.load(f"{self.open}one_port = 443").listeners.site[0].tls)

    def test_others_may_be_there_besides(self) -> None:
        """Other listeners of these two stay if they are set."""
        signaling = "tcp:8000:interface=127.0.0.1"
        found = self.endpoints(f"one_port = 443\nlisteners.signaling = [{{ endpoint = '{signaling}' }}]")
        self.assertEqual(found["listeners.signaling[0]"], signaling)
        self.assertNotIn("listeners.account[0]", found)

    def test_the_site_has_one_place(self) -> None:
        """It cannot be set with listeners of the site."""
        site = "listeners.site = [{ endpoint = 'tcp:8000:interface=127.0.0.1' }]"
        self.assertEqual(
            self.refusal(f"{self.open}one_port = 443\n{site}"), "one_port and listeners.site are both set; remove one"
        )

    def test_it_is_open_to_the_network(self) -> None:
        """With open enrolment the operator must agree that it is."""
        self.assertRegex(
            self.refusal("one_port = 443"),
            "^one_port is open to the network, and with .* log in as that device: remove it, or",
        )

    def test_it_is_a_port(self) -> None:
        """It is a port."""
        for port in ("-1", "65536"):
            self.assertEqual(self.refusal(f"one_port = {port}"), "one_port must be a whole number from 0 to 65535")


class AdminTests(FileTestCase):
    """The operator's listener, where nobody is asked for a key."""

    def admin(self, endpoint: str, peers: str = "[]") -> str:
        """The settings of one."""
        return (
            "accounts.open_enrolment_on_network = true\n"
            f"listeners.admin = [{{ endpoint = '{endpoint}', proxy_protocol = {peers} }}]"
        )

    def test_only_this_machine_reaches_it(self) -> None:
        """Only this machine reaches it, whatever the enrolment."""
        for endpoint in ("tcp:8084:interface=127.0.0.1", "unix:/run/callnet/admin", "systemd:domain=UNIX:name=admin"):
            self.load(self.admin(endpoint))
        for endpoint in ("tcp:8084", "tcp:8084:interface=10.0.0.5", "tcp6:8084", "systemd:domain=INET:name=admin"):
            self.assertRegex(
                self.refusal(self.admin(endpoint)),
                r"^listeners\.admin\[0\]\.endpoint '\S+' is open to the network, and parts of it need no key",
            )

    def test_or_the_load_balancers_alone(self) -> None:
        """Or those may connect that are named, which are to be the load balancers that look whether it is ready."""
        settings = self.load(self.admin("tcp:8084:interface=10.0.0.5", '["10.0.0.2", "10.0.0.3"]'))
        self.assertEqual(settings.listeners.admin[0].proxy_protocol, ("10.0.0.2", "10.0.0.3"))

    def test_there_may_be_none(self) -> None:
        """There may be none; but it alone serves nobody."""
        self.assertEqual(self.load("listeners.admin = []").listeners.admin, ())
        self.assertRegex(
            self.refusal("listeners = { account = [], signaling = [], site = [] }"),
            "^listeners: at least one of account, signaling and site",
        )


class ProxyTests(FileTestCase):
    """The peers whose PROXY header is believed."""

    open = "accounts.open_enrolment_on_network = true\n"

    def listener(self, endpoint: str, peers: str) -> str:
        """The settings of a listener for devices, and another one before it."""
        first = '{ endpoint = "tcp:0:interface=127.0.0.1" }'
        return f"listeners.signaling = [{first}, {{ endpoint = '{endpoint}', proxy_protocol = {peers} }}]"

    def refused(self, endpoint: str, peers: str) -> str:
        """The error about the networks of that listener, after their key."""
        key, _, said = self.refusal(self.open + self.listener(endpoint, peers)).partition(" must be ")
        self.assertEqual(key, "listeners.signaling[1].proxy_protocol[1]")
        return said

    def test_from_networks_and_from_single_addresses(self) -> None:
        """It is believed from networks and from single addresses, of either kind."""
        peers = ("10.0.0.0/8", "192.0.2.7", "fd00::/8", "2001:db8::1", "0.0.0.0/0")
        listed = str(list(peers))
        settings = self.load(self.open + self.listener("tcp:8082", listed))
        self.assertEqual(settings.listeners.signaling[1].proxy_protocol, peers)

    def test_a_mistake_is_told_with_its_place(self) -> None:
        """A mistake is told with its place, and is not repeated."""
        for wrong in ("10.0.0.1/8", "10.0.0", "example.org", "", "unix", "10.0.0.0/33", "*"):
            said = self.refused("tcp:8082", f"['10.0.0.0/8', '{wrong}']")
            self.assertRegex(said, "^one address, or a network such as 10")
        self.assertEqual(
            self.refusal(self.listener("tcp:8082", '"10.0.0.0/8"')),
            "listeners.signaling[1].proxy_protocol must be an array whose entries are a string",
        )

    def test_whoever_reaches_a_unix_socket(self) -> None:
        """For a UNIX socket one word stands for every peer, since they have no addresses."""
        for endpoint in ("unix:/run/callnet/signaling", "systemd:domain=UNIX:name=signaling"):
            self.load(self.open + self.listener(endpoint, '["unix"]'))
            self.assertEqual(
                self.refused(endpoint, '["unix", "10.0.0.0/8"]'),
                '"unix" here: every process that can reach the socket is trusted',
            )

    def test_with_open_enrolment_the_operator_must_say_so(self) -> None:
        """Connections through a proxy come from the network, and the operator must have meant that."""
        for endpoint, peers in (("tcp:8082:interface=127.0.0.1", '["127.0.0.1"]'), ("unix:/s", '["unix"]')):
            self.assertRegex(
                self.refusal(self.listener(endpoint, peers)),
                r"^listeners\.signaling\[1\]\.proxy_protocol opens it to the network, and .*: remove it, or set ",
            )
