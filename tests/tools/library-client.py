#!/usr/bin/env python3
"""library-client.py LIBRARY NSCTL TARGET PORT CHILD-PORT SIZE MAX-PENDING: librkengine from a program
that was compiled with options of SIZE bytes.

Publishes 127.0.0.1:PORT for a service at CHILD-PORT that accepts nobody, connects two clients and
prints what the port is: "paused", as soon as it is, or "listening" when all clients were accepted. Or the
error.
"""

import ctypes
import socket
import sys
import time

LISTENING, PAUSED = 0, 1
CLIENTS = 2


class Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("target", ctypes.c_char_p),
        ("helper", ctypes.c_char_p),
        ("io", ctypes.c_char_p),
        ("workers", ctypes.c_uint32),
        ("max_flows", ctypes.c_uint32),
        ("udp_idle_timeout_ms", ctypes.c_uint32),
        ("connect_timeout_ms", ctypes.c_uint32),
        ("max_pending", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 1052)]


class Stats(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("state", ctypes.c_int32),
        ("last_error", ctypes.c_int32),
        ("open", ctypes.c_uint64),
        ("total", ctypes.c_uint64),
    ]


def fail(error):
    print(error.message.decode())
    sys.exit(0)


def state(library, engine, port_id):
    stats = Stats(ctypes.sizeof(Stats))
    library.rk_engine_stats(engine, port_id, ctypes.byref(stats), None)
    if stats.state == PAUSED:
        return "paused"
    return "listening" if stats.total == CLIENTS else None


def main():
    library = ctypes.CDLL(sys.argv[1])
    nsctl, target, port, child_port = sys.argv[2:6]
    options = Options(int(sys.argv[6]), target.encode(), nsctl.encode(), None, 1)
    options.max_pending = int(sys.argv[7])
    engine, port_id, error = ctypes.c_void_p(), ctypes.c_uint32(), Error()
    arguments = ctypes.byref(engine), ctypes.byref(options), ctypes.byref(error)
    if library.rk_engine_create(*arguments) < 0:
        fail(error)
    spec = f"127.0.0.1:{port}:127.0.0.1:{child_port}/tcp".encode()
    arguments = engine, spec, ctypes.byref(port_id), ctypes.byref(error)
    if library.rk_engine_add_port(*arguments) < 0:
        fail(error)
    clients = [socket.create_connection(("127.0.0.1", int(port))) for _ in range(CLIENTS)]
    while not (name := state(library, engine, port_id)):
        time.sleep(0.01)
    print(name)
    for client in clients:
        client.close()
    library.rk_engine_destroy(engine)


main()
