"""Interleaved rounds: every workload visits every peer once a round, in a turning order, so that
what the machine does meanwhile falls on all of them alike. Medians are taken over the rounds."""

import dataclasses
import statistics
import time

from workloads import Failed


@dataclasses.dataclass(frozen=True)
class Step:
    workload: object
    peer: object
    round: int


@dataclasses.dataclass
class Row:
    """All measurements of one workload with one peer."""

    workload: object
    peer: object
    values: list = dataclasses.field(default_factory=list)
    amounts: list = dataclasses.field(default_factory=list)
    details: list = dataclasses.field(default_factory=list)
    cpu_seconds: list = dataclasses.field(default_factory=list)  # a dict by program each
    peak_memory_kb: int = 0
    errors: list = dataclasses.field(default_factory=list)

    def median(self, metric="value"):
        """The median of a metric over the rounds; None when there is none.

        Metrics: value, cpu (seconds per amount), peak_memory_kb, and every key of the details.
        """
        numbers = self.numbers(metric)
        return statistics.median(numbers) if numbers else None

    def numbers(self, metric):
        if metric == "value":
            return self.values
        if metric == "cpu":
            return self.cpu_per_amount()
        if metric == "peak_memory_kb":
            return [self.peak_memory_kb] if self.peak_memory_kb else []
        return [detail[metric] for detail in self.details if metric in detail]

    def cpu_per_amount(self):
        """CPU seconds of the whole peer per amount of work, one number a round."""
        return [
            sum(used.values()) / amount
            for used, amount in zip(self.cpu_seconds, self.amounts)
            if amount > 0
        ]

    def to_json(self):
        return {
            "workload": self.workload.name,
            "unit": self.workload.unit,
            "peer": self.peer.name,
            "median": self.median(),
            "values": self.values,
            "amount_unit": self.workload.amount_unit,
            "amounts": self.amounts,
            "cpu_seconds_per_amount": self.median("cpu") if self.workload.amount_unit else None,
            "cpu_seconds": self.cpu_seconds,
            "peak_memory_kb": self.peak_memory_kb,
            "details": self.details,
            "errors": self.errors,
        }


def make_steps(plan, rounds):
    """Steps of a plan of (workload, peers): by workload, then by round, then by peer, starting
    one peer later each round."""
    steps = []
    for workload, peers in plan:
        able = [peer for peer in peers if peer.udp or not workload.udp]
        for number in range(workload.rounds_of(rounds)):
            turn = number % len(able) if able else 0
            steps += [Step(workload, peer, number + 1) for peer in able[turn:] + able[:turn]]
    return steps


class Progress:
    """One line per step with the time that is left, from the plan and the pace so far."""

    def __init__(self, steps, seconds, say):
        self.costs = [seconds + step.workload.extra_seconds for step in steps]
        self.done = 0
        self.start = time.monotonic()
        self.say = say

    def left_seconds(self):
        planned_done = sum(self.costs[: self.done])
        pace = (time.monotonic() - self.start) / planned_done if self.done else 1
        return sum(self.costs[self.done :]) * pace

    def report(self, step, text):
        self.done += 1
        minutes, seconds = divmod(round(self.left_seconds()), 60)
        self.say(
            f"[{self.done:3}/{len(self.costs)}] {step.workload.name:8} round {step.round} "
            f"{step.peer.name:18} {text:28} {minutes}:{seconds:02} left"
        )


def measure(step, row, seconds, session):
    """One measurement with CPU time and peak memory around it; returns a text about it."""
    tree = step.peer.tree
    tree.reset_peak_memory()
    before = tree.usage()
    try:
        result = step.workload.run(step.peer, seconds, session)
    except (Failed, OSError) as error:
        log = step.peer.last_log_lines()
        row.errors.append(f"round {step.round}: {error} (last lines of its log: {log})")
        return f"FAILED: {error}"
    row.values.append(result.value)
    row.amounts.append(result.amount)
    row.details.append(result.details)
    row.cpu_seconds.append(tree.usage().since(before))
    row.peak_memory_kb = max(row.peak_memory_kb, tree.peak_memory_kb())
    return f"{result.value:,.4g} {step.workload.unit}"


def run(plan, session):
    """Measures the whole plan; returns the rows by (workload name, peer name)."""
    steps = make_steps(plan, session.rounds)
    progress = Progress(steps, session.seconds, session.say)
    rows = {}
    for step in steps:
        key = (step.workload.name, step.peer.name)
        row = rows.setdefault(key, Row(step.workload, step.peer))
        progress.report(step, measure(step, row, session.seconds, session))
    return rows
