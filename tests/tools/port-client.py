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
"""

import collections
import http.client
import os
import socket
import sys
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
    with connect(host, port) as stream:
        start, length = time.monotonic(), 0
        try:
            while data := stream.recv(65536):
                length += len(data)
            how = "end"
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


{"hammer": hammer, "end": end, "keep": keep, "own": own}[sys.argv[1]](*sys.argv[2:])
