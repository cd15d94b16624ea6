#!/usr/bin/env python3
"""api-hammer.py SOCKET CLIENTS ROUNDS CHILD-PORT PARENT-PORT...: many API clients at the same time.

Each client adds a TCP and a UDP port of its own (parent port number CLIENT of the list), connects to
the first, reads ports, statistics and info, and removes both, ROUNDS times, over one connection.
Prints "ok REQUESTS", or the first answer that is not what it must be.
"""

import http.client
import json
import socket
import sys
import threading


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("rk", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Client(threading.Thread):
    def __init__(self, path, rounds, child_port, parent_port):
        super().__init__()
        self.connection = Connection(path)
        self.rounds, self.child_port, self.parent_port = rounds, child_port, parent_port
        self.requests, self.failure = 0, "did not finish"

    def ask(self, method, path, status, body=None):
        self.connection.request(method, path, json.dumps(body) if body else None)
        answer = self.connection.getresponse()
        text = answer.read()
        self.requests += 1
        if answer.status != status:
            raise RuntimeError(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text) if text.strip() else None

    def add(self, proto):
        spec = {"proto": proto, "parentIP": "127.0.0.1", "parentPort": self.parent_port,
                "childPort": self.child_port}
        return self.ask("POST", "/v1/ports", 201, spec)["id"]

    def round(self):
        ids = [self.add("tcp"), self.add("udp")]
        # Left to be closed by either side while the port goes.
        socket.create_connection(("127.0.0.1", self.parent_port), timeout=60).close()
        for path in "/v1/ports", "/v1/stats":
            listed = {port["id"] for port in self.ask("GET", path, 200)}
            if not listed.issuperset(ids):
                raise RuntimeError(f"{path} does not list {ids}: {sorted(listed)}")
        self.ask("GET", "/v1/info", 200)
        for port in ids:
            self.ask("DELETE", f"/v1/ports/{port}", 200)

    def run(self):
        try:
            for _ in range(self.rounds):
                self.round()
            self.failure = None
        except (OSError, RuntimeError, ValueError, KeyError, http.client.HTTPException) as error:
            self.failure = f"{type(error).__name__}: {error}"


def main():
    path, count, rounds, child_port = sys.argv[1], *map(int, sys.argv[2:5])
    ports = map(int, sys.argv[5:5 + count])
    clients = [Client(path, rounds, child_port, port) for port in ports]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    failures = [client.failure for client in clients if client.failure]
    print(failures[0] if failures else f"ok {sum(client.requests for client in clients)}")
    return 1 if failures else 0


sys.exit(main())
