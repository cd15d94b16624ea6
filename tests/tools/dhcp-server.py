#!/usr/bin/env python3
"""A DHCP server that gives one address and then does what a test needs.

usage: dhcp-server.py DEVICE SERVER-IP ADDRESS LEASE-SECONDS MODE

MODE: keep   renews
      nak    answers the first renewal with NAK
      move   answers the first renewal with the next address
      once   falls silent once the address is given
      mute   offers, but never gives
      bare   keeps, and says nothing of T1, T2 and router

Prints a line for each message: its name, and for one with an address whether it came to the
server alone or to all.
"""

import socket
import struct
import sys

DISCOVER, OFFER, REQUEST, ACK, NAK, RELEASE = 1, 2, 3, 5, 6, 7
NAMES = {DISCOVER: "discover", REQUEST: "request", RELEASE: "release"}
PKTINFO = 8  # IP_PKTINFO, which the module does not name


def options_of(message):
    found, at = {}, 240
    while at < len(message) and message[at] != 255:
        if message[at] == 0:
            at += 1
            continue
        length = message[at + 1]
        found[message[at]] = message[at + 2 : at + 2 + length]
        at += 2 + length
    return found


def answer_to(message, kind, server, address, lease, bare):
    head = bytes([2, 1, 6, 0]) + message[4:8] + bytes(4) + message[12:16]
    head += address + server + bytes(4) + message[28:44] + bytes(192)
    fields = {53: bytes([kind]), 54: server}
    if kind != NAK:
        fields |= {1: bytes([255, 255, 255, 0]), 51: struct.pack(">I", lease), 6: server}
        if not bare:
            fields |= {3: server, 58: struct.pack(">I", max(lease // 3, 1))}
    body = b"".join(bytes([code, len(value)]) + value for code, value in fields.items())
    return head + b"\x63\x82\x53\x63" + body + b"\xff"


def choose(mode, kind, renews, given):
    """The kind of the answer; None = silence."""
    if kind == DISCOVER:
        return None if given and mode == "once" else OFFER
    if kind != REQUEST or mode == "mute" or (renews and mode == "once"):
        return None
    return NAK if renews and mode == "nak" else ACK


def main():
    device, server_text, address_text, lease, mode = sys.argv[1:6]
    server, address = socket.inet_aton(server_text), socket.inet_aton(address_text)
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    endpoint.setsockopt(socket.IPPROTO_IP, PKTINFO, 1)
    endpoint.bind(("", 67))
    given = False
    print("ready", flush=True)
    while True:
        message, control, _, _ = endpoint.recvmsg(2048, 256)
        kind = options_of(message)[53][0]
        renews = message[12:16] != bytes(4)
        alone = control[0][2][8:12] == server
        how = ("" if not renews else " alone" if alone else " to-all")
        print(NAMES.get(kind, kind), how, sep="", flush=True)
        answer = choose(mode, kind, renews, given)
        if answer is None:
            continue
        if renews and mode == "move":
            address = address[:3] + bytes([address[3] + 1])
        given = given or answer == ACK
        reply = answer_to(message, answer, server, address, int(lease), mode == "bare")
        to = socket.inet_ntoa(message[12:16]) if renews else "255.255.255.255"
        endpoint.sendto(reply, (to, 68))


main()
