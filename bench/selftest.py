#!/usr/bin/python3
"""Tests of the harness's own arithmetic and reading: `make bench-selftest`."""

import os
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True

import processes
import report
import rounds
import targets
import workloads
from peers import Peer

WRK_OUTPUT = """\
Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Latency Distribution
     50%  120.00us
     99%    1.53ms
  41295 requests in 1.00s, 6.10MB read
  Socket errors: connect 0, read 3, write 0, timeout 0
Requests/sec:  41200.50
"""


def make_rows(**values):
    """Rows of tcp1 with the given values by peer."""
    workload = workloads.BY_NAME["tcp1"]
    return {
        ("tcp1", name): rounds.Row(workload, Peer(name), values=list(numbers))
        for name, numbers in values.items()
    }


def make_target(**bounds):
    return targets.Target("row", "tcp1", "value", "ours", "theirs", **bounds)


class TargetTest(unittest.TestCase):
    def test_ratio_of_medians_decides(self):
        rows = make_rows(ours=[13, 99, 14], theirs=[10, 10, 1])
        verdict = targets.judge(make_target(at_least=1.4), rows)
        self.assertEqual((verdict.state, verdict.number), (targets.MET, 1.4))
        verdict = targets.judge(make_target(at_least=1.41), rows)
        self.assertEqual(verdict.state, targets.MISSED)

    def test_upper_bound(self):
        rows = make_rows(ours=[2], theirs=[1])
        self.assertEqual(targets.judge(make_target(at_most=2), rows).state, targets.MET)
        self.assertEqual(targets.judge(make_target(at_most=1.9), rows).state, targets.MISSED)

    def test_no_loss_is_not_beaten_by_loss(self):
        rows = make_rows(ours=[0.1], theirs=[0])
        self.assertEqual(targets.judge(make_target(at_most=1), rows).state, targets.MISSED)
        rows = make_rows(ours=[0], theirs=[0])
        self.assertEqual(targets.judge(make_target(at_most=1), rows).state, targets.MET)

    def test_missing_peer_is_not_a_pass(self):
        for rows in (make_rows(ours=[1]), make_rows(theirs=[1]), {}):
            verdict = targets.judge(make_target(at_least=0), rows)
            self.assertEqual(verdict.state, targets.UNKNOWN)

    def test_thresholds_file_names_known_things(self):
        here = os.path.dirname(os.path.abspath(__file__))
        for target in targets.read_targets(os.path.join(here, "thresholds.ini")):
            self.assertIn(target.workload, workloads.BY_NAME, target.title)

    def test_unknown_key_is_refused(self):
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write("[row]\nworkload = tcp1\nat-lest = 1\n")
            file.flush()
            with self.assertRaises(ValueError):
                targets.read_targets(file.name)


class RoundsTest(unittest.TestCase):
    def test_every_round_visits_every_peer_and_turns(self):
        plan = [(workloads.BY_NAME["tcp1"], [Peer("a"), Peer("b"), Peer("c")])]
        order = [step.peer.name for step in rounds.make_steps(plan, 3)]
        self.assertEqual("".join(order), "abcbcacab")

    def test_peer_without_udp_is_left_out_of_udp(self):
        mute = Peer("mute")
        mute.udp = False
        plan = [(workloads.BY_NAME["udp"], [Peer("a"), mute])]
        self.assertEqual([step.peer.name for step in rounds.make_steps(plan, 2)], ["a", "a"])

    def test_a_row_that_is_judged_closely_has_more_rounds(self):
        steps = rounds.make_steps([(workloads.BY_NAME["outside1"], [Peer("a"), Peer("b")])], 2)
        self.assertEqual("".join(step.peer.name for step in steps), "abbaabbaabba")

    def test_cpu_is_per_amount_of_its_own_round(self):
        row = rounds.Row(workloads.BY_NAME["tcp1"], Peer("a"), values=[1, 1])
        row.amounts, row.cpu_seconds = [2, 4], [{"x": 1, "y": 1}, {"x": 1}]
        self.assertEqual(row.cpu_per_amount(), [1, 0.25])


class WorkloadTest(unittest.TestCase):
    def test_wrk_output(self):
        result = workloads.parse_wrk(WRK_OUTPUT)
        self.assertEqual(result.value, 41200.50)
        self.assertAlmostEqual(result.amount, 0.41295)
        self.assertEqual(result.details["p99_us"], 1530)
        self.assertIn("read 3", result.details["socket_errors"])

    def test_wrk_without_answers_is_a_failure(self):
        silent = WRK_OUTPUT.replace("41200.50", "0.00")
        with self.assertRaises(workloads.Failed):
            workloads.parse_wrk(silent)
        with self.assertRaises(workloads.Failed):
            workloads.parse_wrk("unable to connect to 127.0.0.1:1")


class TreeTest(unittest.TestCase):
    """A shell with a child that was busy for a second, and one in place of the measured server."""

    SCRIPT = "sh -c 'ulimit -t 1; while :; do :; done'; sleep 60 & echo $! >$1; wait"

    def start(self, folder):
        tree = processes.Tree()
        command = ["sh", "-c", self.SCRIPT, "sh", f"{folder}/pid"]
        tree.start(command, f"{folder}/log")
        self.addCleanup(tree.stop)
        end = time.monotonic() + 60
        while not processes.read_text(f"{folder}/pid").strip() and time.monotonic() < end:
            time.sleep(0.05)
        return tree

    def test_cpu_of_ended_children_counts_and_the_server_does_not(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = self.start(folder)
            tree.server_pids = [int(processes.read_text(f"{folder}/pid"))]
            self.assertGreater(sum(tree.usage().cpu_seconds.values()), 0.2)
            self.assertEqual([process.program for process in tree.own()], ["sh"])
            self.assertGreater(tree.memory_kb(), 0)

    def test_stop_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = self.start(folder)
            _, pids = tree.everything()
            self.assertEqual(len(pids), 2)
            tree.stop()
            # A zombie that init has yet to reap has no command line any more.
            self.assertFalse([pid for pid in pids if processes.read_text(f"/proc/{pid}/cmdline")])


class ReportTest(unittest.TestCase):
    def test_numbers(self):
        texts = [report.number_text(number) for number in (None, 0, 0.0456, 12.345, 54100.4)]
        self.assertEqual(texts, ["-", "0", "0.0456", "12.3", "54,100"])

    def test_marks(self):
        page = "a\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nb\n"
        changed = report.replace_between_marks(page, "new", "bench")
        self.assertIn("new", changed)
        self.assertNotIn("old", changed)
        self.assertTrue(changed.startswith("a\n") and changed.endswith("\nb\n"))
        with self.assertRaises(ValueError):
            report.replace_between_marks("no marks", "new", "bench")


class CommandLineTest(unittest.TestCase):
    def test_unknown_names_are_refused(self):
        bench = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench")
        for words in (["--peers", "nobody"], ["--work", "nothing"], ["--engine", "label"]):
            done = subprocess.run([bench, *words], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, words)


if __name__ == "__main__":
    unittest.main()
