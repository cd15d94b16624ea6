#!/usr/bin/env python3
"""source-server.py tcp|udp ADDRESS PORT: tells every client the address that it sees.

TCP: sends "IP PORT" and a newline, echoes what comes, closes at the client's end or after a "q".
UDP: answers every datagram with "IP PORT", after SECONDS when it is "wait SECONDS".
"both" as ADDRESS is :: for both families.
"""

import asyncio
import socket
import sys


def name(peer):
    return f"{peer[0].removeprefix('::ffff:')} {peer[1]}".encode()


async def serve_stream(reader, writer):
    writer.write(name(writer.get_extra_info("peername")) + b"\n")
    while (data := await reader.read(65536)) and data != b"q":
        writer.write(data)
        await writer.drain()
    writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        delay = float(data[5:]) if data.startswith(b"wait ") else 0
        loop = asyncio.get_running_loop()
        loop.call_later(delay, self.transport.sendto, name(addr), addr)


async def main(protocol, address, port):
    family = socket.AF_INET6 if ":" in address or address == "both" else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    server = socket.socket(family, kind)
    server.setblocking(False)
    if kind == socket.SOCK_STREAM:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address != "both")
    server.bind(("::" if address == "both" else address, int(port)))
    if protocol == "tcp":
        await asyncio.start_server(serve_stream, sock=server, backlog=1000)
    else:
        await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, sock=server)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:4]))
