#!/usr/bin/env python3
"""pidfd-server.py SOCKET: sends a pidfd for each process id that it is asked for (preload/pidfd.c)."""

import os
import socket
import struct
import sys


def answer(client):
    (pid,) = struct.unpack("i", client.recv(4))
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        client.send(b"-")
        return
    socket.send_fds(client, [b"+"], [descriptor])
    os.close(descriptor)


server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(sys.argv[1])
server.listen(64)
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    with connection:
        answer(connection)
