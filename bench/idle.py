"""Idle flows: opens many connections, uses each once, and looks at the peer while they rest."""

import resource
import socket
import time

from processes import CLOCK_TICKS

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
SPARE_DESCRIPTORS = 1500  # for listeners, pools, and what the runtime keeps
SETTLE_SECONDS = 2


def flows_allowed(descriptors_per_flow=2):
    """How many flows one process can hold under the limit of descriptors given to it."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (limit - SPARE_DESCRIPTORS) // descriptors_per_flow


def exchange(connection):
    """One request and its answer; raises OSError when the flow does not work."""
    connection.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b"\n"):
        part = connection.recv(4096)
        if not part:
            raise ConnectionError("a flow was closed by the peer")
        answer += part


def open_flows(port, count):
    flows = []
    for _ in range(count):
        flow = socket.create_connection(("127.0.0.1", port), timeout=10)
        flow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flows.append(flow)
        exchange(flow)  # so that the peer has used its buffers for this flow before it rests
    return flows


def cpu_ticks(peer):
    return sum(process.cpu_ticks for process in peer.tree.own())


def measure(peer, count, seconds):
    """Memory that `count` resting flows add, and the share of one CPU that they cost."""
    memory_before_kb = peer.tree.memory_kb()
    flows = []
    try:
        flows = open_flows(peer.ports.http, count)
        time.sleep(SETTLE_SECONDS)
        memory_kb = peer.tree.memory_kb()
        ticks = cpu_ticks(peer)
        time.sleep(seconds)
        ticks = cpu_ticks(peer) - ticks
        for flow in flows:
            exchange(flow)  # every flow has survived its rest
    finally:
        for flow in flows:
            flow.close()
    return {
        "kb_per_flow": (memory_kb - memory_before_kb) / count,
        "flows": count,
        "memory_kb": memory_kb,
        "cpu_percent": round(100 * ticks / CLOCK_TICKS / seconds, 2),
    }
