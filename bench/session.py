"""One run: its settings, its work folder, and the peers that are up."""

import os
import sys

import server
from peers import Unavailable


def say(text):
    """Progress and remarks go to stderr; stdout carries the tables alone."""
    print(text, file=sys.stderr, flush=True)


class Session:
    """What peers and workloads need to know about the run."""

    def __init__(self, workspace, build):
        self.workspace = workspace
        self.build = build
        self.rounds = 1
        self.seconds = 1
        self.churn_connections = 0
        self.outside = None  # sourceip.OutsideClient
        self.ports = server.PortAllocator()
        self.peers = []  # running
        self.missing = {}  # name -> reason
        self.say = say

    def running(self, name):
        return next((peer for peer in self.peers if peer.name == name), None)

    def tool(self, name):
        return os.path.join(self.build, "bench", name)

    def listen_addresses(self):
        """Host addresses where ports are published: loopback for the load, one for outside."""
        outside = [self.outside.host_address] if self.outside else []
        return ["127.0.0.1", *outside]

    def start(self, wanted):
        """Starts the peers in order; one that cannot run is named and left out."""
        for peer in wanted:
            try:
                peer.start(self)
            except Unavailable as error:
                peer.stop()
                self.missing[peer.name] = str(error)
                say(f"peer {peer.name} is missing: {error}")
                continue
            self.peers.append(peer)
            if self.outside:
                peer.source_ip = self.outside.describe_source(peer.ports.http)

    def stop(self):
        while self.peers:
            self.peers.pop().stop()
