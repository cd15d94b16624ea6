"""Which client address the server sees: asked by a client outside the host, not believed.

A veth pair leads from the host to a network namespace that plays another machine. Peers publish
their HTTP port on the host's end of it too, and nginx answers with the address that it sees.
Needs root; without it the column says "not measured".
"""

import os
import subprocess
import sys

FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=3).read().decode())"


def possible():
    return os.geteuid() == 0


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class OutsideClient:
    """The other machine. A context manager: the namespace and the veth pair go at the end."""

    def __init__(self):
        number = os.getpid()
        network = f"198.18.{number % 250}"  # RFC 2544: addresses for benchmarks
        self.host_address, self.client_address = f"{network}.1", f"{network}.2"
        self.namespace = f"rk-bench-{number}"
        self.host_link, self.client_link = f"rkb{number}h", f"rkb{number}c"

    def __enter__(self):
        inside = ("netns", "exec", self.namespace, "ip")
        try:
            ip("netns", "add", self.namespace)
            ip("link", "add", self.host_link, "type", "veth", "peer", self.client_link)
            ip("link", "set", self.client_link, "netns", self.namespace)
            ip("address", "add", f"{self.host_address}/30", "dev", self.host_link)
            ip("link", "set", self.host_link, "up")
            ip(*inside, "address", "add", f"{self.client_address}/30", "dev", self.client_link)
            ip(*inside, "link", "set", self.client_link, "up")
            self.use_all_ports()
        except BaseException:
            self.__exit__()
            raise
        return self

    def use_all_ports(self):
        """Of the client it is that ports of closed connections run out after half a minute of new
        ones, with the kernel's defaults: it then looks for milliseconds for each."""
        for name, value in (("tcp_tw_reuse", "1"), ("ip_local_port_range", "1024 65535")):
            set_it = f"echo {value} >/proc/sys/net/ipv4/{name}"
            subprocess.run([*self.prefix, "sh", "-c", set_it], check=True)

    def __exit__(self, *_):
        for words in (("link", "delete", self.host_link), ("netns", "delete", self.namespace)):
            subprocess.run(["ip", *words], check=False, capture_output=True)

    @property
    def prefix(self):
        """Words before a command that make it run on the other machine."""
        return ("ip", "netns", "exec", self.namespace)

    def describe_source(self, port):
        """What the server behind host_address:port sees of this client."""
        url = f"http://{self.host_address}:{port}/"
        command = [*self.prefix, sys.executable, "-c", FETCH, url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seen = done.stdout.strip()
        if done.returncode != 0 or not seen:
            return "no answer"
        return "propagated" if seen == self.client_address else f"lost (seen as {seen})"
