"""Results as a table for people (Markdown), as data (JSON), and as a picture (chart.py)."""

import dataclasses
import datetime
import json
import os

import chart
import environment
from targets import MISSED


def make_command(words):
    return " ".join(["bench/bench", *words[1:]])


@dataclasses.dataclass
class Results:
    session: object
    peers: list  # as asked for, missing ones too
    rows: dict
    verdicts: list
    command: str
    source: str = dataclasses.field(default_factory=environment.source_version)
    machine: dict = dataclasses.field(default_factory=environment.machine_facts)
    versions: dict = dataclasses.field(default_factory=environment.versions)
    date: datetime.datetime = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.timezone.utc)
    )

    def row(self, workload, peer):
        return self.rows.get((workload, peer.name))

    def workloads(self):
        """The measured workloads in the order of measuring."""
        found = {row.workload.name: row.workload for row in self.rows.values()}
        return list(found.values())

    def to_json(self):
        return {
            "date": self.date.isoformat(timespec="seconds"),
            "command": self.command,
            "source": self.source,
            "rounds": self.session.rounds,
            "seconds": self.session.seconds,
            "machine": self.machine,
            "versions": self.versions,
            "missing": self.session.missing,
            "peers": [
                {"name": peer.name, "title": peer.title, "source_ip": peer.source_ip}
                for peer in self.peers
            ],
            "rows": [row.to_json() for row in self.rows.values()],
            "targets": [verdict.to_json() for verdict in self.verdicts],
        }


def number_text(number):
    """Three significant digits, thousands grouped: 12.3, 0.456, 54,100."""
    if number is None:
        return "-"
    if number == 0:
        return "0"
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{float(f'{number:.3g}'):g}"


def table(head, lines):
    parts = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    parts += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(parts)


def cell(row, metric="value"):
    if row is None:
        return "-"
    if row.errors and not row.values:
        return "failed"
    return number_text(row.median(metric))


def port_driver_table(results):
    """The layout of RootlessKit's documents, with the figures noted earlier beside ours."""
    lines = []
    for peer in results.peers:
        reason = results.session.missing.get(peer.name)
        if reason:
            lines.append([peer.title, "missing", peer.documented, "-", reason.replace("|", "/")])
            continue
        throughput = cell(results.row("tcp1", peer))
        if throughput not in ("-", "failed"):
            throughput += " Gbit/s"
        lines.append([peer.title, throughput, peer.documented, peer.source_ip, peer.notes or "-"])
    return table(["port driver", "throughput", "documented", "source IP", "notes"], lines)


def running_peers(results):
    return [peer for peer in results.peers if peer.name not in results.session.missing]


def value_table(results, metric, title, wanted):
    """Workloads as lines, peers as columns."""
    peers = running_peers(results)
    lines = []
    for workload in results.workloads():
        cells = [cell(results.row(workload.name, peer), metric) for peer in peers]
        if wanted(workload) and set(cells) - {"-", "failed" if metric != "value" else "-"}:
            unit = {"value": workload.unit, "cpu": f"s per {workload.amount_unit}"}.get(metric)
            lines.append([workload.title + (f" ({unit})" if unit else ""), *cells])
    return table([title, *[peer.name for peer in peers]], lines) if lines else ""


def verdict_text(verdict):
    target = verdict.target
    text = f"{target.title}: {verdict.state}, wanted {target.bound_text()}"
    if verdict.number is not None:
        text += f", reached {number_text(verdict.number)}{'x' if target.against else ''}"
    return text + (f" ({verdict.reason})" if verdict.reason else "")


def target_table(results):
    lines = []
    for verdict in results.verdicts:
        mark = "x" if verdict.target.against else ""
        reached = verdict.reason or number_text(verdict.number) + mark
        state = f"**{verdict.state}**" if verdict.state == MISSED else verdict.state
        lines.append([verdict.target.title, verdict.target.bound_text(), reached, state])
    return table(["target", "at least / at most", "reached", ""], lines) if lines else ""


def single_run_notes(results):
    """What the once-only workloads found beside their value."""
    lines = []
    for row in results.rows.values():
        if row.workload.name in ("idle", "churn", "mixed") and row.details:
            facts = ", ".join(
                f"{name.replace('_', ' ')} {number_text(row.median(name))}"
                for name in row.details[0]
            )
            lines.append(f"- {row.workload.title}, {row.peer.name}: {facts}")
    return "\n".join(lines)


def failure_notes(results):
    return "\n".join(
        f"- FAILED: {row.workload.title}, {row.peer.name}: {error}"
        for row in results.rows.values()
        for error in row.errors
    )


def more_rounds_text(results):
    """The rows that were measured in more rounds than the others, or nothing."""
    several = {
        row.workload.title: row.workload.rounds_of(results.session.rounds)
        for row in results.rows.values()
        if row.workload.rounds_factor > 1
    }
    return "".join(f"; of {count}: {title}" for title, count in several.items())


def facts(results):
    machine = results.machine
    versions = ", ".join(f"{name} {text}" for name, text in results.versions.items())
    return "\n".join(
        [
            f"- {results.date:%Y-%m-%d %H:%M} UTC, source {results.source}, "
            f"`{results.command}`",
            f"- {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
            f"Linux {machine['kernel']}, {machine['system']}, "
            f"{machine['congestion_control']}, load {machine['load_average_at_start']:.2f} "
            "at the start",
            f"- medians of {results.session.rounds} interleaved rounds of "
            f"{results.session.seconds} s{more_rounds_text(results)}",
            f"- {versions}",
        ]
    )


def markdown(results):
    def everything(_):
        return True

    def with_amount(workload):
        return bool(workload.amount_unit)

    parts = [
        facts(results),
        port_driver_table(results),
        value_table(results, "value", "work", everything),
        value_table(results, "p99_us", "p99, us", everything),
        value_table(results, "loss_percent", "datagrams lost, %", everything),
        value_table(results, "cpu", "CPU seconds of the forwarder", with_amount),
        value_table(results, "peak_memory_kb", "peak memory, KB", everything),
        target_table(results),
        single_run_notes(results),
        failure_notes(results),
    ]
    return "\n\n".join(part for part in parts if part)


def save(results, text, folder, kind):
    """Writes DATE.json, DATE.md and, with matplotlib, DATE.svg; returns the paths."""
    os.makedirs(folder, exist_ok=True)
    suffix = "" if kind == "bench" else f"-{kind}"
    stem = os.path.join(folder, results.date.strftime("%Y-%m-%d-%H%M%S") + suffix)
    with open(stem + ".json", "w", encoding="utf-8") as file:
        json.dump(results.to_json(), file, indent=1)
        file.write("\n")
    with open(stem + ".md", "w", encoding="utf-8") as file:
        file.write(text + "\n")
    paths = [stem + ".json", stem + ".md"]
    if chart.draw(results, stem + ".svg"):
        paths.append(stem + ".svg")
    return paths


def replace_between_marks(text, inner, kind):
    """`text` with `inner` between the two comments that mark the place of this kind."""
    begin, end = f"<!-- {kind}: begin -->", f"<!-- {kind}: end -->"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the lines {begin} and {end} are needed")
    return f"{before}{begin}\n\n{inner}\n\n{end}{after}"


def document(results, text, path, kind):
    """Puts the table between the marks of docs/benchmarks.md, and the chart beside it."""
    picture = os.path.splitext(path)[0] + ".svg"
    if kind == "bench" and chart.draw(results, picture):
        text += f"\n\n![medians as bars]({os.path.basename(picture)})"
    with open(path, encoding="utf-8") as file:
        page = file.read()
    page = replace_between_marks(page, text, kind)
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)
