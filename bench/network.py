"""Network drivers: a client inside the namespace talks to a server on the host.

No forwarder is on this path: the figures belong to the network driver and its MTU. The server is
the one of the peer direct. slirp4netns is started by rk-engine and by RootlessKit, which must not
differ; all others by rk-engine. A driver that takes no frames of 65520 bytes is measured with the
largest that it takes. The peers are in drivers.py.
"""

import os

import environment
import report
import rounds
from drivers import LARGE_MTU, SMALL_MTU, make_peers
from workloads import Measurement, Workload, iperf3


def measure_with(*options):
    def run(peer, seconds, session):
        server = session.running("direct")
        prefix = () if peer is server else enter_command(peer.inside_pid())
        host = "127.0.0.1" if peer is server else peer.host_address
        end = iperf3(server.ports.bulk, seconds, options, host, prefix)
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


def measure(session):
    wanted = make_peers(session.build)
    session.start(wanted)
    rows = rounds.run([(workload, session.peers) for workload in WORK], session)
    versions = environment.versions(environment.NETWORK_PACKAGES)
    return report.Results(session, wanted, rows, [], "make bench-network", versions=versions)


def driver_cells(results, title):
    """The four figures of a driver: both directions, with the small MTU and with the large one."""
    cells = []
    for large in (False, True):
        peer = next(p for p in results.peers if p.title == title and p.large == large)
        missing = peer.name in results.session.missing
        for workload in WORK:
            cell = report.cell(results.row(workload.name, peer))
            if large and peer.mtu != LARGE_MTU and cell not in ("-", "failed"):
                cell += f" ({peer.mtu})"
            cells.append("missing" if missing else cell)
    return cells


def markdown(results):
    titles = list(dict.fromkeys(peer.title for peer in results.peers[1:]))
    limit = [report.cell(results.row(workload.name, results.peers[0])) for workload in WORK]
    head = ["network driver, Gbit/s"]
    head += [f"MTU {mtu}, {way}" for mtu in (SMALL_MTU, LARGE_MTU) for way in ("out", "in")]
    lines = [["none (direct loopback)", *limit, *limit]]
    lines += [[title, *driver_cells(results, title)] for title in titles]
    notes = ["In brackets: the MTU, where the driver takes no larger one."]
    notes += [f"- missing: {name}: {why}" for name, why in results.session.missing.items()]
    parts = [report.facts(results), report.table(head, lines), "\n".join(notes)]
    parts.append(report.failure_notes(results))
    return "\n\n".join(part for part in parts if part)
