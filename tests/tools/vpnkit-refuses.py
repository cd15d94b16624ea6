#!/usr/bin/env python3
"""vpnkit-refuses.py ANSWER --ethernet SOCKET ...: a VPNKit that lets nobody in.

ANSWER says how: refuse (with a message), version (protocol 23), magic (something else's greeting),
type (an answer of no known kind), hang-up (after the greeting), silent (never says anything),
address (a group address as the client's own), offer (a link, but DHCP is never answered). Prints
"greeted" when the client has sent its greeting.
"""

import socket
import struct
import sys
import time

INIT = struct.Struct("<5sI40s")
MESSAGE = b"this server is full"
ANSWERS = {
    "refuse": bytes([2, len(MESSAGE)]) + MESSAGE,
    "type": bytes([9]),
    "address": struct.pack("<BHH", 1, 1500, 1514) + bytes([0x01, 0, 0x5E, 0, 0, 1]),
    "offer": struct.pack("<BHH", 1, 1500, 1514) + bytes([0x02, 0, 0, 0, 0, 7]),
}


def read_exactly(client, length):
    data = b""
    while len(data) < length:
        part = client.recv(length - len(data))
        if not part:
            sys.exit(0)
        data += part
    return data


def serve(client, answer):
    magic, version, _ = INIT.unpack(read_exactly(client, INIT.size))
    if (magic, version) != (b"VMN3T", 22):
        sys.exit("vpnkit-refuses: the client does not speak the protocol")
    print("greeted", flush=True)
    if answer == "silent":
        time.sleep(60)
    greeting = b"HTTP/" if answer == "magic" else b"VMN3T"
    client.sendall(INIT.pack(greeting, 23 if answer == "version" else 22, b"0" * 40))
    command = read_exactly(client, 41)
    if command[0] != 1:
        sys.exit("vpnkit-refuses: the client asks for something else than Ethernet")
    if answer in ANSWERS:
        # In pieces: the client must put them together.
        whole = ANSWERS[answer].ljust(258, b"\0")
        for at in range(0, len(whole), 100):
            client.sendall(whole[at : at + 100])
            time.sleep(0.02)
        time.sleep(60)


def main():
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(sys.argv[sys.argv.index("--ethernet") + 1])
    server.listen(1)
    serve(server.accept()[0], sys.argv[1])


main()
