"""Network drivers: a client inside the namespace talks to a server on the host's loopback.

No forwarder is on this path: the figures belong to the network driver and its MTU. slirp4netns
is started by rk-engine's nsctl and by RootlessKit, which must not differ.
"""

import os

import report
import rounds
from peers import Direct, Engine, Pasta, RootlessKit
from workloads import Measurement, Workload, iperf3

MTUS = (1500, 65520)
GATEWAY = "10.0.2.2"  # the host's loopback, seen from inside


def measure_with(*options):
    def run(peer, seconds, session):
        server = session.running("direct")
        if peer is server:
            end = iperf3(server.ports.bulk, seconds, options)
        else:
            enter = enter_command(peer.tree.server_pids[0])
            end = iperf3(server.ports.bulk, seconds, options, host=GATEWAY, prefix=enter)
        received = end["sum_received"]
        return Measurement(received["bits_per_second"] / 1e9, received["bytes"] / 1e9)

    return run


def enter_command(pid):
    owner = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", f"--target={pid}", "--net", *owner]


WORK = (
    Workload("net-out", "namespace to host", "Gbit/s", "GB", measure_with()),
    Workload("net-in", "host to namespace (-R)", "Gbit/s", "GB", measure_with("-R")),
)


def make_peers(build):
    """One peer for each launcher and MTU."""
    made = [Direct()]
    for mtu in MTUS:
        for launcher, peer in (
            ("slirp4netns by rk-engine", Engine(f"rk-engine-{mtu}", os.path.join(build, "bin"))),
            ("slirp4netns by RootlessKit", RootlessKit(f"rootlesskit-{mtu}")),
            ("pasta", Pasta(f"pasta-{mtu}")),
        ):
            peer.title, peer.mtu, peer.host_loopback = launcher, mtu, True
            made.append(peer)
    return made


def measure(session):
    wanted = make_peers(session.build)
    session.start(wanted)
    rows = rounds.run([(workload, session.peers) for workload in WORK], session)
    return report.Results(session, wanted, rows, [], "make bench-network")


def driver_cells(results, title):
    """The four figures of a driver: both directions with each MTU."""
    cells = []
    for mtu in MTUS:
        peer = next(p for p in results.peers if p.title == title and p.mtu == mtu)
        missing = peer.name in results.session.missing
        for workload in WORK:
            cell = report.cell(results.row(workload.name, peer))
            cells.append("missing" if missing else cell)
    return cells


def markdown(results):
    titles = list(dict.fromkeys(peer.title for peer in results.peers[1:]))
    limit = [report.cell(results.row(workload.name, results.peers[0])) for workload in WORK]
    head = ["network driver, Gbit/s"]
    head += [f"MTU {mtu}, {way}" for mtu in MTUS for way in ("out", "in")]
    lines = [["none (direct loopback)", *limit, *limit]]
    lines += [[title, *driver_cells(results, title)] for title in titles]
    missing = [f"- missing: {name}: {why}" for name, why in results.session.missing.items()]
    parts = [report.facts(results), report.table(head, lines), "\n".join(missing)]
    parts.append(report.failure_notes(results))
    return "\n\n".join(part for part in parts if part)
