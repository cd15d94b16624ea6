"""The peers of network.py: one for each network driver and MTU, and a veth pair made by root.

Most run rk-engine with that driver, and reach the server on the host's loopback at an address of
the driver's. lxc-user-nic and veth have no such address: they reach it at the host's end.
"""

import os
import shutil
import subprocess

from peers import Direct, Engine, RootlessKit, Unavailable
from sourceip import ip

SMALL_MTU, LARGE_MTU = 1500, 65520
SLIRP_HOST, GVPROXY_HOST = "10.0.2.2", "192.168.127.254"
LXC_FOLDER = "/etc/lxc"

# gvproxy speaks VPNKit's protocol; these are the options that rk-engine gives to VPNKit.
VPNKIT_SCRIPT = """\
#!/bin/sh
# --ethernet SOCKET --mtu MTU
exec {folder}/gvproxy -listen-vpnkit "unix://$2" -listen "unix://$2.api" -mtu "$4" -ssh-port -1
"""


class Driver(Engine):
    """rk-engine with one network driver."""

    host_loopback = True

    def __init__(self, build, driver, large, mtu, host_address, programs=()):
        super().__init__(f"{driver}-{mtu}", os.path.join(build, "bin"))
        self.network = driver
        self.title = driver
        self.large, self.mtu = large, mtu
        self.host_address = host_address
        self.programs = (*programs, "newuidmap")

    def inside_pid(self):
        return self.tree.server_pids[0]


class SlirpByEngine(Driver):
    def __init__(self, build, large, mtu):
        super().__init__(build, "slirp4netns", large, mtu, SLIRP_HOST, ("slirp4netns",))
        self.title = "slirp4netns by rk-engine"


class SlirpByRootlessKit(RootlessKit):
    host_loopback = True
    host_address = SLIRP_HOST

    def __init__(self, large, mtu):
        super().__init__(f"rootlesskit-{mtu}")
        self.title = "slirp4netns by RootlessKit"
        self.large, self.mtu = large, mtu

    def inside_pid(self):
        return self.tree.server_pids[0]


class OnGvproxy(Driver):
    """gvisor-tap-vsock, and VPNKit's protocol, on gvproxy: installed, or in build/backends."""

    def __init__(self, build, driver, large, mtu):
        super().__init__(build, driver, large, mtu, GVPROXY_HOST)
        unpacked = os.path.join(build, "backends", "usr", "bin", "gvproxy")
        self.gvproxy = shutil.which("gvproxy") or unpacked
        if driver == "vpnkit":
            self.title = "vpnkit (gvproxy's)"

    def launch(self, session):
        if not os.path.exists(self.gvproxy):
            raise Unavailable("gvproxy is not installed, nor unpacked by tests/fetch-backends.sh")
        shutil.copy(self.gvproxy, self.folder)
        binary = os.path.join(self.folder, "gvproxy")
        if self.network == "vpnkit":
            binary = os.path.join(self.folder, "vpnkit")
            with open(binary, "w", encoding="ascii") as file:
                file.write(VPNKIT_SCRIPT.format(folder=self.folder))
            os.chmod(binary, 0o755)
        self.settings = (f"{self.network}.binary={binary}",)
        super().launch(session)


class HostNetwork(Driver):
    """The driver host: the server's loopback is the client's."""

    def __init__(self, build, large, mtu):
        super().__init__(build, "host", large, mtu, "127.0.0.1")

    def config_text(self, session):
        return (
            f"[engine]\nstate-dir = {self.folder}/state\n"
            f"[network]\ndriver = host\n[port]\ndriver = none\n"
        )


def make_with_ip(*words):
    try:
        ip(*words)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise Unavailable(f"ip {' '.join(words)}: {said}") from error


class HostLink:
    """A link of the host with an address from the block for benchmarks (RFC 2544)."""

    count = 0

    def __init__(self, words):
        pid = os.getpid()
        self.name = f"rkn{pid}x{HostLink.count}"
        self.network = f"198.19.{pid % 60 * 4 + HostLink.count}"
        self.words = words
        HostLink.count += 1

    def make(self, mtu):
        make_with_ip("link", "add", self.name, *self.words)
        make_with_ip("link", "set", self.name, "mtu", str(mtu), "up")
        make_with_ip("address", "add", f"{self.network}.1/24", "dev", self.name)

    def remove(self):
        subprocess.run(["ip", "link", "delete", self.name], check=False, capture_output=True)


class LxcUserNic(Driver):
    """A bridge with dnsmasq on the host. /etc/lxc is the peer's own, in a mount namespace."""

    def __init__(self, build, large, mtu):
        super().__init__(build, "lxc-user-nic", large, mtu, "", ("dnsmasq",))
        self.bridge = HostLink(("type", "bridge"))
        self.host_address = f"{self.bridge.network}.1"
        self.settings = (f"lxc-user-nic.bridge={self.bridge.name}",)
        self.made_folder = False

    def launch(self, session):
        if os.geteuid() != 0:
            raise Unavailable("needs root to make the bridge")
        self.made_folder = not os.path.isdir(LXC_FOLDER)
        os.makedirs(LXC_FOLDER, exist_ok=True)
        self.bridge.make(self.mtu)
        self.tree.start(self.dnsmasq_command(), self.log_path() + ".dnsmasq")
        super().launch(session)

    def dnsmasq_command(self):
        network = self.bridge.network
        command = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-ping"]
        command += ["--port=0", "--no-hosts", "--no-resolv", "--bind-interfaces"]
        command += [f"--interface={self.bridge.name}", "--except-interface=lo", "--user=root"]
        command += [f"--dhcp-range={network}.10,{network}.99,255.255.255.0,1h"]
        command += ["--dhcp-authoritative", f"--dhcp-leasefile={self.folder}/leases"]
        return command + [f"--pid-file={self.folder}/dnsmasq.pid"]

    def run(self, session, command):
        user = session.workspace.user
        line = f"{user.name} veth {self.bridge.name} 10"
        script = f"mount -t tmpfs tmpfs {LXC_FOLDER} && echo '{line}' >{LXC_FOLDER}/lxc-usernet && "
        drop = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]
        whole = ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh", *drop, *command]
        environment = session.workspace.environment(self.folder)
        return self.tree.start(whole, self.log_path(), None, environment)

    def stop(self):
        super().stop()
        self.bridge.remove()
        if self.made_folder:
            os.rmdir(LXC_FOLDER)


class Veth(Direct):
    """A veth pair between the host and a network namespace, made by root: the kernel's limit."""

    def __init__(self, large, mtu):
        super().__init__(f"veth-{mtu}")
        self.title = "veth made by root"
        self.large, self.mtu = large, mtu
        self.namespace = f"rk-net-{os.getpid()}-{mtu}"
        self.link = HostLink(("type", "veth", "peer", "name", "rk0", "netns", self.namespace))
        self.host_address = f"{self.link.network}.1"

    def start(self, session):
        if os.geteuid() != 0:
            raise Unavailable("needs root")
        self.ports = session.ports.take()
        self.folder = session.workspace.make_folder(self.name)
        inside = ("netns", "exec", self.namespace, "ip")
        make_with_ip("netns", "add", self.namespace)
        self.link.make(self.mtu)
        make_with_ip(*inside, "address", "add", f"{self.link.network}.2/24", "dev", "rk0")
        make_with_ip(*inside, "link", "set", "rk0", "mtu", str(self.mtu), "up")
        holder = ["ip", "netns", "exec", self.namespace, "sleep", "infinity"]
        self.tree.start(holder, self.log_path())

    def inside_pid(self):
        return self.tree.roots[0].pid

    def stop(self):
        super().stop()
        self.link.remove()
        subprocess.run(["ip", "netns", "delete", self.namespace], check=False, capture_output=True)


def make_peers(build):
    """The peer direct, then one for each driver and MTU."""
    made = [Direct()]
    for large in (False, True):
        mtu = LARGE_MTU if large else SMALL_MTU
        made += [
            Veth(large, mtu),
            SlirpByRootlessKit(large, mtu),
            SlirpByEngine(build, large, mtu),
            Driver(build, "pasta", large, mtu, SLIRP_HOST, ("pasta",)),
            OnGvproxy(build, "gvisor-tap-vsock", large, mtu),
            OnGvproxy(build, "vpnkit", large, min(mtu, 16424)),
            Driver(build, "vdeplug_slirp", large, min(mtu, 9000), SLIRP_HOST, ("vde_plug",)),
            LxcUserNic(build, large, mtu),
            HostNetwork(build, large, mtu),
        ]
    return made
