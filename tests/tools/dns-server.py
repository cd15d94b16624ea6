#!/usr/bin/env python3
"""dns-server.py IP ANSWER: a name server at IP:53 (UDP) that knows one IPv4 address for any name.

Prints "ready" when it is bound. A question for another type than A gets an empty answer.
"""

import socket
import sys

TYPE_A = 1
HEADER = 12


def question_end(packet):
    """Where the question ends: labels up to the empty one, then type and class."""
    at = HEADER
    while packet[at] != 0:
        at += packet[at] + 1
    return at + 5


def reply(packet, answer):
    end = question_end(packet)
    kind = int.from_bytes(packet[end - 4 : end - 2], "big")
    records = b""
    if kind == TYPE_A:
        # A pointer to the name in the question, type A, class IN, 60 seconds, four bytes.
        records = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + socket.inet_aton(answer)
    counts = b"\x00\x01" + (b"\x00\x01" if records else b"\x00\x00") + bytes(4)
    return packet[:2] + b"\x81\x80" + counts + packet[HEADER:end] + records


def main():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((sys.argv[1], 53))
    print("ready", flush=True)
    while True:
        packet, client = server.recvfrom(4096)
        server.sendto(reply(packet, sys.argv[2]), client)


main()
