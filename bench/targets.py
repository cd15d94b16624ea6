"""Targets: thresholds.ini read and compared with the rows of a run.

A section is one row. Its name is what is printed. Keys:
  workload   which workload
  metric     value (default), p99_us, loss_percent, cpu, ... (see Row.median)
  peer       whose number is judged (default rk-engine)
  against    peers to compare with; the ratio judged is peer / other. Left out: the plain number
  at-least, at-most   the bound
"""

import configparser
import dataclasses

MET, MISSED, UNKNOWN = "met", "MISSED", "not measured"


@dataclasses.dataclass(frozen=True)
class Target:
    title: str
    workload: str
    metric: str
    peer: str
    against: str  # "" = absolute
    at_least: float = None
    at_most: float = None

    def bound_text(self):
        sign, bound = (">=", self.at_least) if self.at_least is not None else ("<=", self.at_most)
        return f"{sign} {bound:g}" + ("x" if self.against else "")

    def holds(self, number):
        if self.at_least is not None and number < self.at_least:
            return False
        return self.at_most is None or number <= self.at_most


@dataclasses.dataclass(frozen=True)
class Verdict:
    target: Target
    state: str
    number: float = None
    reason: str = ""

    def to_json(self):
        return {
            "target": self.target.title,
            "workload": self.target.workload,
            "metric": self.target.metric,
            "against": self.target.against,
            "bound": self.target.bound_text(),
            "state": self.state,
            "reached": self.number,
            "reason": self.reason,
        }


def read_targets(path):
    """The targets of the file, one for each peer named in `against`. Raises ValueError."""
    parser = configparser.ConfigParser()
    with open(path, encoding="utf-8") as file:
        parser.read_file(file)
    targets = []
    for title in parser.sections():
        section = parser[title]
        unknown = set(section) - {"workload", "metric", "peer", "against", "at-least", "at-most"}
        if unknown or not section.get("workload"):
            raise ValueError(f"{path}: [{title}]: unknown or missing keys {sorted(unknown)}")
        at_least, at_most = section.getfloat("at-least"), section.getfloat("at-most")
        if at_least is None and at_most is None:
            raise ValueError(f"{path}: [{title}]: at-least or at-most is needed")
        for against in section.get("against", "").split() or [""]:
            targets.append(
                Target(
                    title=f"{title} / {against}" if against else title,
                    workload=section["workload"],
                    metric=section.get("metric", "value"),
                    peer=section.get("peer", "rk-engine"),
                    against=against,
                    at_least=at_least,
                    at_most=at_most,
                )
            )
    return targets


def median_of(rows, target, peer):
    row = rows.get((target.workload, peer))
    return row.median(target.metric) if row else None


def judge(target, rows):
    own = median_of(rows, target, target.peer)
    if own is None:
        return Verdict(target, UNKNOWN, reason=f"no {target.workload} of {target.peer}")
    if not target.against:
        return Verdict(target, MET if target.holds(own) else MISSED, own)
    other = median_of(rows, target, target.against)
    if other is None:
        return Verdict(target, UNKNOWN, reason=f"no {target.workload} of {target.against}")
    if other == 0:
        # Nothing can be better than none: equal is met when equal is allowed, else missed.
        ratio = 1.0 if own == 0 else float("inf")
        return Verdict(target, MET if target.holds(ratio) else MISSED, ratio)
    return Verdict(target, MET if target.holds(own / other) else MISSED, own / other)


def judge_all(targets, rows):
    return [judge(target, rows) for target in targets]


def planned(target, plan):
    """Whether a plan of (workload, peers) was meant to measure this target."""
    wanted = {target.peer} | ({target.against} if target.against else set())
    return any(
        workload.name == target.workload and wanted <= {peer.name for peer in peers}
        for workload, peers in plan
    )
