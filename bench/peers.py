"""The port forwarders that are compared: one class each, started the way its users start it.

Clients always run in the host's namespaces and connect to 127.0.0.1. The rootless peers run as
the unprivileged user with the server inside their namespaces. HAProxy and socat forward inside
the host's namespaces, to the server that the `direct` peer runs there.
"""

import os
import shutil

import idle
import server
from processes import Tree


class Unavailable(Exception):
    """A peer cannot run here; the text says why."""


class Peer:
    """A forwarder with its own ports, work folder and processes."""

    name = ""
    title = ""  # row label of the tables
    notes = ""
    documented = "-"  # Gbit/s of one TCP stream noted in docs/benchmarks.md, before this run
    programs = ()
    udp = True
    source_ip = "not measured"
    idle_flows = 10000
    descriptors_per_flow = 2  # in its busiest process
    mtu = 65520
    host_loopback = False  # whether the namespace reaches services on the host's 127.0.0.1

    def __init__(self, name=None):
        self.name = name or self.name
        self.tree = Tree()
        self.ports = None
        self.folder = None

    def require_programs(self):
        for program in self.programs:
            if not shutil.which(program):
                raise Unavailable(f"{program} is not installed")

    def start(self, session):
        """Starts the forwarder and its server, and returns when both ports answer."""
        self.require_programs()
        self.ports = session.ports.take()
        self.folder = session.workspace.make_folder(self.name)
        try:
            self.launch(session)
            server.wait_until_serving(self.ports, self.tree.ended)
        except RuntimeError as error:
            raise Unavailable(f"{error}; last lines of its log: {self.last_log_lines()}") from error
        pid = server.find_server_pid(self.folder)
        self.tree.server_pids = [pid] if pid else []

    def launch(self, session):
        raise NotImplementedError

    def run(self, session, command):
        workspace = session.workspace
        user = workspace.user if workspace.made_user else None
        environment = workspace.environment(self.folder)
        return self.tree.start(command, self.log_path(), user, environment)

    def serve_command(self):
        return server.write_server(self.folder, self.ports)

    def published(self, session, child_ip="127.0.0.1"):
        """Port specs of the RootlessKit form: the same port numbers on both sides.

        The child address is given, because without it some drivers take the parent's.
        """
        bulk, http = self.ports.both()
        child = f"{child_ip}:" if child_ip else ""
        specs = [f"127.0.0.1:{bulk}:{child}{bulk}/udp"]
        for ip in session.listen_addresses():
            specs += [f"{ip}:{port}:{child}{port}/tcp" for port in (bulk, http)]
        return specs

    def log_path(self):
        return os.path.join(self.folder, "log")

    def last_log_lines(self, count=3):
        try:
            with open(self.log_path(), encoding="utf-8", errors="replace") as file:
                return " | ".join(file.read().strip().splitlines()[-count:]) or "(empty)"
        except OSError:
            return "(none)"

    def stop(self):
        self.tree.stop()


class Direct(Peer):
    """No forwarder: the client talks to the server. The limit of the machine."""

    name = "direct"
    title = "none (direct loopback)"
    documented = "23-30"
    notes = "the limit: client and server in one namespace"

    def launch(self, session):
        self.run(session, [self.serve_command()])


class Engine(Peer):
    """rk-engine, from a folder of built programs, with settings over its defaults."""

    name = "rk-engine"
    network = "slirp4netns"
    programs = ("slirp4netns", "newuidmap")

    def __init__(self, name="rk-engine", folder="build/bin", settings=(), notes=""):
        super().__init__(name)
        self.title = name
        self.programs_folder = folder
        self.settings = settings
        self.notes = notes or ", ".join(settings)

    def require_programs(self):
        super().require_programs()
        for program in ("rk-engine", "nsctl"):
            path = os.path.join(self.programs_folder, program)
            if not os.access(path, os.X_OK):
                raise Unavailable(f"{path} is not built")

    def launch(self, session):
        # Copied, because the build folder need not be readable for the unprivileged user, and so
        # that a rebuild during the run changes nothing.
        for program in ("rk-engine", "nsctl"):
            shutil.copy(os.path.join(self.programs_folder, program), self.folder)
        config = os.path.join(self.folder, "rootless.ini")
        with open(config, "w", encoding="ascii") as file:
            file.write(self.config_text(session))
        command = [os.path.join(self.folder, "rk-engine"), "-c", config]
        for setting in self.settings:
            command += ["-o", setting]
        self.run(session, command + ["--", self.serve_command()])

    def config_text(self, session):
        publish = "".join(f"publish = {spec}\n" for spec in self.published(session))
        isolated = "false" if self.host_loopback else "true"
        return (
            f"[engine]\nstate-dir = {self.folder}/state\n"
            f"[network]\ndriver = {self.network}\nmtu = {self.mtu}\n"
            f"disable-host-loopback = {isolated}\n"
            f"[mount]\ncopy-up = /etc\n"
            f"[port]\ndriver = builtin\n{publish}"
        )


class RootlessKit(Peer):
    """RootlessKit with one of its port drivers."""

    network = "slirp4netns"
    descriptors_per_flow = 7  # two sockets, a duplicate, and a pipe for splice each way

    def __init__(self, name="rootlesskit", driver="builtin", binary="rootlesskit"):
        super().__init__(name)
        self.driver = driver
        self.binary = binary
        self.programs = (binary, "slirp4netns", "newuidmap")
        self.title = f"RootlessKit {driver}"
        self.documented = {"builtin": "10.1", "slirp4netns": "6.3"}.get(driver, "-")
        if binary != "rootlesskit":
            self.title += f" ({name})"
            self.documented = "-"

    def launch(self, session):
        command = [self.binary, f"--state-dir={self.folder}/state", f"--net={self.network}"]
        command += [f"--mtu={self.mtu}", "--copy-up=/etc", f"--port-driver={self.driver}"]
        command += [] if self.host_loopback else ["--disable-host-loopback"]
        # The slirp4netns driver reaches the namespace's network, not its loopback.
        child_ip = "127.0.0.1" if self.driver == "builtin" else ""
        command += [f"--publish={spec}" for spec in self.published(session, child_ip)]
        self.run(session, command + [self.serve_command()])


class Pasta(Peer):
    """pasta forwarding by itself, RootlessKit's `implicit` port driver."""

    name = "pasta"
    title = "pasta (implicit)"
    documented = "14.5 (2026-10)"
    network = "pasta"
    descriptors_per_flow = 6  # two sockets and a pipe for splice each way
    programs = ("pasta",)

    def launch(self, session):
        bulk, http = self.ports.both()
        command = ["pasta", "--foreground", "--quiet", "--config-net", "--ns-ifname=tap0"]
        command += ["--address=10.0.2.100", "--netmask=24", "--gateway=10.0.2.2", "--ipv4-only"]
        command += [f"--mtu={self.mtu}", f"--tcp-ports=127.0.0.1/{bulk}"]
        # One port cannot be given for two addresses, only for one or for all of them.
        command += [f"--tcp-ports={http}" if session.outside else f"--tcp-ports=127.0.0.1/{http}"]
        command += [f"--udp-ports=127.0.0.1/{bulk}", "-T", "none", "-U", "none"]
        command += [] if self.host_loopback else ["--no-map-gw"]
        self.run(session, command + ["--", self.serve_command()])


class HostForwarder(Peer):
    """A forwarder in the host's namespaces, to the server of the `direct` peer."""

    udp = False

    def targets(self, session):
        """(own address, own port, server's port) of every port to forward."""
        direct = session.running("direct")
        if direct is None:
            raise Unavailable("it forwards to the server of the peer direct, which does not run")
        bulk = [("127.0.0.1", self.ports.bulk, direct.ports.bulk)]
        return bulk + [
            (ip, self.ports.http, direct.ports.http) for ip in session.listen_addresses()
        ]


class HAProxy(HostForwarder):
    name = "haproxy"
    title = "HAProxy (TCP mode, splice)"
    documented = "11.5-12.2 (one thread)"
    notes = "inside the host namespace; one thread per core (its default)"
    programs = ("haproxy",)

    HEAD = """\
global
    maxconn {connections}
    maxpipes 64
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 1h
    timeout server 1h
"""

    def launch(self, session):
        config = os.path.join(self.folder, "haproxy.cfg")
        with open(config, "w", encoding="ascii") as file:
            file.write(self.HEAD.format(connections=idle.flows_allowed()))
            for ip, own, target in self.targets(session):
                file.write(f"listen {ip}-{own}\n    bind {ip}:{own} backlog 4096\n")
                file.write(f"    server only 127.0.0.1:{target}\n")
        self.run(session, ["haproxy", "-db", "-f", config])


class Socat(HostForwarder):
    name = "socat"
    title = "socat"
    documented = "7.1"
    notes = "inside the host namespace; one process per connection"
    programs = ("socat",)
    idle_flows = 1000  # one process each: ten thousand would measure the machine's memory

    def launch(self, session):
        for ip, own, target in self.targets(session):
            listen = f"TCP4-LISTEN:{own},bind={ip},fork,reuseaddr,backlog=4096,nodelay"
            self.run(session, ["socat", listen, f"TCP4:127.0.0.1:{target},nodelay"])


STANDARD_PEERS = (
    "direct",
    "rk-engine",
    "rk-engine-epoll",
    "rk-engine-off",
    "rootlesskit",
    "rootlesskit-slirp",
    "pasta",
    "haproxy",
    "socat",
)


def make_peer(name, build_folder):
    """The peer of that name. `build_folder` holds bin/rk-engine. Raises KeyError."""
    programs = os.path.join(build_folder, "bin")
    makers = {
        "direct": Direct,
        "rk-engine": lambda: Engine(
            folder=programs, settings=("engine.io=io_uring",), notes="data plane on io_uring"
        ),
        "rk-engine-epoll": lambda: Engine(
            "rk-engine-epoll", programs, ("engine.io=epoll",), "data plane on epoll"
        ),
        "rk-engine-off": lambda: Engine(
            "rk-engine-off", programs, ("port.source-ip=off",), "clients' addresses not shown"
        ),
        "rootlesskit": RootlessKit,
        "rootlesskit-slirp": lambda: RootlessKit("rootlesskit-slirp", "slirp4netns"),
        "pasta": Pasta,
        "haproxy": HAProxy,
        "socat": Socat,
    }
    return makers[name]()
