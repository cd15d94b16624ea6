"""The measured service, the same programs for every peer: iperf3 -s and a one-process nginx.

nginx answers every request with the client address that it sees, which also tells whether a port
driver propagates the source address.
"""

import dataclasses
import os
import socket
import time
import urllib.error
import urllib.request

import processes

FIRST_PORT, LAST_PORT = 21000, 32000  # below the ephemeral range

# Timeouts of an hour: the idle-flow workload must not be cut short by the server.
NGINX_CONFIG = """\
daemon off;
master_process off;
user root;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{
    worker_connections 30000;
}}
http {{
    access_log off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_header_timeout 1h;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {http} backlog=4096;
        default_type text/plain;
        location / {{
            return 200 "$remote_addr\\n";
        }}
    }}
}}
"""

# nginx takes the shell's place, so that iperf3 is below it: one subtree.
START_SCRIPT = """\
#!/bin/sh
iperf3 -s -p {bulk} --rcv-timeout 10000 >{folder}/iperf3.log 2>&1 &
exec nginx -p {folder} -c {folder}/nginx.conf -e stderr
"""


@dataclasses.dataclass(frozen=True)
class Ports:
    """TCP and UDP port of iperf3, TCP port of nginx."""

    bulk: int
    http: int

    def both(self):
        return (self.bulk, self.http)


def port_is_free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True


class PortAllocator:
    """Hands out pairs of free ports; two runs at once start at different places."""

    def __init__(self):
        span = LAST_PORT - FIRST_PORT
        self.next = FIRST_PORT + os.getpid() * 64 % span

    def take(self):
        found = []
        for _ in range(LAST_PORT - FIRST_PORT):
            port = self.next
            self.next = self.next + 1 if self.next < LAST_PORT else FIRST_PORT
            if port_is_free(port):
                found.append(port)
            if len(found) == 2:
                return Ports(*found)
        raise RuntimeError(f"no two free ports between {FIRST_PORT} and {LAST_PORT}")


def write_server(folder, ports):
    """Writes nginx.conf and the start script into `folder`; returns the script's path."""
    with open(os.path.join(folder, "nginx.conf"), "w", encoding="ascii") as file:
        file.write(NGINX_CONFIG.format(folder=folder, http=ports.http))
    script = os.path.join(folder, "serve")
    with open(script, "w", encoding="ascii") as file:
        file.write(START_SCRIPT.format(folder=folder, bulk=ports.bulk))
    os.chmod(script, 0o755)
    return script


def find_server_pid(folder):
    """The pid, as seen here, of the nginx of `folder`: inside it may have another number."""
    mark = f"\0{folder}/nginx.conf\0"
    for name in os.listdir("/proc"):
        if name.isdigit() and mark in processes.read_text(f"/proc/{name}/cmdline"):
            return int(name)
    return None


def fetch(port, timeout_seconds=1):
    """The body served on 127.0.0.1:port; raises OSError while nothing answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=timeout_seconds) as answer:
        return answer.read().decode()


def answers(ports):
    """Both ports are served: nginx replies, iperf3 accepts and keeps the connection open."""
    try:
        fetch(ports.http)
        with socket.create_connection(("127.0.0.1", ports.bulk), timeout=1):
            return True
    except (OSError, urllib.error.URLError):
        return False


def wait_until_serving(ports, ended, timeout_seconds=15):
    """Waits for both ports; `ended` returns text when the peer has died. Raises RuntimeError."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if answers(ports):
            return
        reason = ended()
        if reason:
            raise RuntimeError(reason)
        time.sleep(0.05)
    raise RuntimeError(f"ports {ports.bulk} and {ports.http} not served in {timeout_seconds} s")
