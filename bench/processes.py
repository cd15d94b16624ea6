"""Processes of a peer: start them, find them, count their CPU time and memory, end them by pid.

A peer is a tree of processes: the one that was started, everything below it, and whatever left
the tree but stayed in its session. The measured server runs inside that tree (a rootless
namespace is created around it), so its subtree is taken out again.
"""

import ctypes
import dataclasses
import os
import resource
import signal
import subprocess
import time

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
OPEN_FILES = 65536  # for every peer and client alike
PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True)
class Process:
    """One line of /proc/PID/stat. `cpu_ticks` includes children that were waited for."""

    pid: int
    parent: int
    session: int
    program: str
    cpu_ticks: int
    start_time: int


@dataclasses.dataclass
class Usage:
    """What a tree has used so far: CPU seconds by program name."""

    cpu_seconds: dict

    def since(self, earlier):
        names = set(self.cpu_seconds) | set(earlier.cpu_seconds)
        used = {
            name: round(self.cpu_seconds.get(name, 0) - earlier.cpu_seconds.get(name, 0), 3)
            for name in names
        }
        return {name: seconds for name, seconds in sorted(used.items()) if seconds > 0}


def read_text(path):
    """The text of a /proc file; "" when the process has gone meanwhile."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def read_process(pid):
    text = read_text(f"/proc/{pid}/stat")
    end = text.rfind(")")
    if end < 0:
        return None
    program = text[text.index("(") + 1 : end]
    fields = text[end + 2 :].split()
    # proc(5): after the name come state, ppid, pgrp, session; 14-17 are the four CPU times.
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        program=program,
        cpu_ticks=sum(int(field) for field in fields[11:15]),
        start_time=int(fields[19]),
    )


def all_processes():
    found = (read_process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {process.pid: process for process in found if process}


def below(processes, roots):
    """The pids of `roots` and of everything under them."""
    children = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found, waiting = set(), [pid for pid in roots if pid in processes]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children.get(pid, []))
    return found


def raise_open_file_limit():
    """Gives this process, and what it starts, OPEN_FILES descriptors, or as many as it may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (OPEN_FILES, min(hard, OPEN_FILES)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
            return
        except ValueError:
            continue


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Tree:
    """The processes of one peer, started from one or more commands in sessions of their own."""

    def __init__(self):
        self.roots = []  # subprocess.Popen
        self.server_pids = []  # measured servers: below the peer, but not of it

    def start(self, command, log, user=None, environment=None):
        """Starts `command` with output appended to the file `log`; returns the Popen."""
        extra = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
        with open(log, "ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment,
                cwd="/",
                preexec_fn=die_with_parent,
                **extra,
            )
        self.roots.append(process)
        return process

    def ended(self):
        """Text about a root that ended by itself, or None while all run."""
        for process in self.roots:
            if process.poll() is not None:
                return f"{os.path.basename(process.args[0])} ended with status {process.returncode}"
        return None

    def everything(self):
        processes = all_processes()
        roots = {process.pid for process in self.roots}
        sessions = {process.pid for process in processes.values() if process.session in roots}
        return processes, below(processes, roots | sessions)

    def own(self):
        """The peer's own processes: the tree without the measured servers."""
        processes, pids = self.everything()
        pids -= below(processes, self.server_pids)
        return [processes[pid] for pid in sorted(pids)]

    def usage(self):
        seconds = {}
        for process in self.own():
            used = process.cpu_ticks / CLOCK_TICKS
            seconds[process.program] = seconds.get(process.program, 0) + used
        return Usage(seconds)

    def reset_peak_memory(self):
        """Starts a new VmHWM period (proc(5), clear_refs 5); unprivileged it may be refused."""
        for process in self.own():
            try:
                with open(f"/proc/{process.pid}/clear_refs", "w", encoding="ascii") as file:
                    file.write("5")
            except OSError:
                pass

    def peak_memory_kb(self):
        """Sum of the peak resident sizes; pages that processes share count in each."""
        return sum(status_kb(process.pid, "VmHWM:") for process in self.own())

    def memory_kb(self):
        """Sum of the proportional set sizes: every page once, shared ones divided."""
        return sum(rollup_kb(process.pid, "Pss:") for process in self.own())

    def descriptors(self):
        return sum(count_descriptors(process.pid) for process in self.own())

    def start_times(self):
        processes, pids = self.everything()
        return {pid: processes[pid].start_time for pid in pids}

    def stop(self, grace_seconds=3):
        """SIGTERM to the roots, SIGKILL to all that is left, each by pid and start time.

        Returns when all have ended, so that their ports and files are free.
        """
        started = self.start_times()
        for process in self.roots:
            if process.poll() is None:
                process.terminate()
        wait_for(lambda: all(p.poll() is not None for p in self.roots), grace_seconds)
        started |= self.start_times()
        for pid, start_time in started.items():
            if is_alive(pid, start_time):
                send_signal(pid, signal.SIGKILL)
        wait_for(lambda: not any(is_alive(*item) for item in started.items()), grace_seconds)
        for process in self.roots:
            process.wait()
        self.roots = []


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def is_alive(pid, start_time):
    """The same process, and not a zombie: those have no command line any more."""
    process = read_process(pid)
    same = process is not None and process.start_time == start_time
    return same and read_text(f"/proc/{pid}/cmdline") != ""


def send_signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def labelled_kb(path, label):
    for line in read_text(path).splitlines():
        if line.startswith(label):
            return int(line.split()[1])
    return 0


def status_kb(pid, label):
    return labelled_kb(f"/proc/{pid}/status", label)


def rollup_kb(pid, label):
    return labelled_kb(f"/proc/{pid}/smaps_rollup", label)


def count_descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0
