#!/usr/bin/env python3
"""source-client.py tcp|udp SERVER PORT[,PORT...] [OPTION...]: asks source-server.py who we are.

Prints one line a port: "same" when the server saw this client's own address and port, "address"
when it saw the address with another port, else "seen IP", or "error TEXT". All connections are
open at the same time, from one port when --from is given.

  --from PORT     our own port
  --address IP    our own address
  --bytes N       TCP: N bytes must come back as they were
  --reset         TCP: close with a reset
  --quit          TCP: the server closes first
  --wait SECONDS  UDP: the server answers later
  --times N       that many one after the other, each with a new socket
  --clients N     UDP: N clients at once; prints "N of N same"
  --timed         behind each line ", N ms" since the first connect
"""

import argparse
import os
import socket
import struct
import sys
import time


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol", choices=("tcp", "udp"))
    parser.add_argument("server")
    parser.add_argument("ports")
    parser.add_argument("--from", dest="port", type=int, default=0)
    parser.add_argument("--address", default="")
    parser.add_argument("--bytes", type=int, default=0)
    parser.add_argument("--reset", action="store_true")
    parser.add_argument("--quit", action="store_true")
    parser.add_argument("--wait", type=float, default=0)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--clients", type=int, default=0)
    parser.add_argument("--timed", action="store_true")
    return parser.parse_args()


def connect(args, port):
    family = socket.AF_INET6 if ":" in args.server else socket.AF_INET
    kind = socket.SOCK_STREAM if args.protocol == "tcp" else socket.SOCK_DGRAM
    client = socket.socket(family, kind)
    client.settimeout(20 + args.wait)
    if args.port or args.address:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((args.address, args.port))
    client.connect((args.server, int(port)))
    return client


def receive_line(client):
    line = b""
    while not line.endswith(b"\n"):
        data = client.recv(1)
        if not data:
            raise OSError("the server closed without a word")
        line += data
    return line


def echo(client, size):
    data = os.urandom(size)
    for start in range(0, size, 50000):
        part = data[start:start + 50000]
        client.sendall(part)
        back = b""
        while len(back) < len(part):
            back += client.recv(65536)
        if back != part:
            raise OSError("other bytes came back")


def verdict(client, text):
    ip, port = text.decode().split()
    own_ip, own_port = client.getsockname()[:2]
    if ip != own_ip:
        return f"seen {ip}"
    return "same" if int(port) == own_port else "address"


def ask(args, client):
    if args.protocol == "udp":
        client.send(b"wait %f" % args.wait if args.wait else b"who")
        return verdict(client, client.recv(100))
    result = verdict(client, receive_line(client))
    if args.bytes:
        echo(client, args.bytes)
    if args.quit:
        client.sendall(b"q")
        if client.recv(1):
            raise OSError("the server did not close")
    if args.reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return result


def said(args, client):
    try:
        return f"error {client}" if isinstance(client, OSError) else ask(args, client)
    except OSError as error:
        return f"error {error}"


def ask_all(args):
    clients, start = [], time.monotonic()
    for port in args.ports.split(","):
        try:
            clients.append(connect(args, port))
        except OSError as error:
            clients.append(error)
    for client in clients:
        text = said(args, client)
        print(text + (f", {(time.monotonic() - start) * 1000:.0f} ms" if args.timed else ""))
    for client in clients:
        if not isinstance(client, OSError):
            client.close()


def crowd(args):
    clients = [connect(args, args.ports) for _ in range(args.clients)]
    for client in clients:
        client.send(b"who")
    same = sum(verdict(client, client.recv(100)) == "same" for client in clients)
    print(f"{same} of {args.clients} same")


def main():
    args = options()
    if args.clients:
        crowd(args)
        return
    for _ in range(args.times):
        ask_all(args)


sys.exit(main())
