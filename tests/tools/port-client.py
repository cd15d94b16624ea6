#!/usr/bin/env python3
"""port-client.py: clients for the tests of published ports.

  port-client.py hammer HOST PORT STOP-FILE   connects again and again until the file exists; prints
                                              how often which answer came, and "refused N"
  port-client.py end HOST PORT                connects and reads: prints how it ended (reset, end),
                                              after how many bytes, and "after N us"
  port-client.py keep HOST PORT GO-FILE       UDP: prints the first answer; when the file exists, sends
                                              from the same port again and prints that answer
  port-client.py own SOCKET METHOD BODY       asks the control API for a port, prints the answer, then
                                              waits for ever with the connection closed
  port-client.py cycle SOCKET IP PORT CHILD-PORT COUNT
                                              makes and removes a port COUNT times while clients talk
                                              to it, each time without a pause
"""

import collections
import http.client
import json
import os
import socket
import sys
import threading
import time


def connect(host, port):
    return socket.create_connection((host, int(port)), timeout=20)


def hammer(host, port, stop_file):
    counts = collections.Counter({"refused": 0})
    while not os.path.exists(stop_file):
        try:
            with connect(host, port) as stream:
                counts[stream.recv(100).decode() or "nothing"] += 1
        except (ConnectionRefusedError, ConnectionResetError):
            counts["refused"] += 1
    for name, count in sorted(counts.items()):
        print(name, count)


def end(host, port):
    start, length, how = time.monotonic(), 0, "end"
    try:
        # The reset may be there before connect() has looked.
        with connect(host, port) as stream:
            while data := stream.recv(65536):
                length += len(data)
    except ConnectionResetError:
        how = "reset"
    micros = (time.monotonic() - start) * 1e6
    print(f"{how} {length} after {micros:.0f} us")


def keep(host, port, go_file):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((host, int(port)))
        client.settimeout(20)
        client.send(b"first")
        print(client.recv(100).decode(), flush=True)
        while not os.path.exists(go_file):
            time.sleep(0.02)
        client.send(b"second")
        print(client.recv(100).decode(), flush=True)


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("rk")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def own(path, method, body):
    connection = Connection(path)
    connection.request(method, "/v1/ports", body, {"Content-Type": "application/json"})
    print(connection.getresponse().read().decode(), flush=True)
    connection.close()
    time.sleep(3600)


def ask(path, method, target, body=None):
    connection = Connection(path)
    connection.request(method, target, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, json.loads(response.read() or "null")


class Traffic(threading.Thread):
    """Talks to an echo server as long as there is one, and counts the connections that worked."""

    def __init__(self, ip, port):
        super().__init__(daemon=True)
        self.address, self.served, self.done = (ip, port), 0, False

    def run(self):
        while not self.done:
            try:
                with connect(*self.address) as stream:
                    stream.sendall(b"x" * 1000)
                    self.served += bool(stream.recv(1000))
            except OSError:
                pass


def cycle(path, ip, port, child_port, count):
    spec = {"proto": "tcp", "parentIP": ip, "parentPort": int(port), "childPort": int(child_port)}
    traffic = [Traffic(ip, int(port)) for _ in range(4)]
    for thread in traffic:
        thread.start()
    refused = 0
    for _ in range(int(count)):
        status, answer = ask(path, "POST", "/v1/ports", json.dumps(spec))
        if status != 201:
            print(answer)
            refused += 1
            continue
        with connect(ip, port) as stream:
            stream.sendall(b"y")
            stream.recv(1)
            ask(path, "DELETE", f"/v1/ports/{answer['id']}")
            stream.sendall(b"z")
            assert stream.recv(1) == b"z"
    for thread in traffic:
        thread.done = True
        thread.join()
    served = sum(thread.served for thread in traffic)
    print(f"{count} cycles, {served} clients served, {refused} refused by the API")


{"cycle": cycle, "hammer": hammer, "end": end, "keep": keep, "own": own}[sys.argv[1]](*sys.argv[2:])
