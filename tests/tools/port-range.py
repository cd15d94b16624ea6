#!/usr/bin/env python3
"""port-range.py FIRST SIZE COUNT: takes one of COUNT ranges of SIZE ports each, the first from FIRST on.

Prints the first port of a range that no other process of this program has, and holds it until it is
killed: a name of the kernel's is the lock, which goes with its holder and leaves no file. While all
are taken it waits, ten minutes at most.
"""

import signal
import socket
import sys
import time


def take(lock, count):
    for number in range(count):
        try:
            lock.bind(f"\0rk-test-ports-{number}")
            return number
        except OSError:
            continue
    return None


def main():
    first, size, count = map(int, sys.argv[1:4])
    lock = socket.socket(socket.AF_UNIX)
    end = time.monotonic() + 600
    while (number := take(lock, count)) is None:
        if time.monotonic() > end:
            sys.exit("port-range: all ranges of ports are taken by other runs")
        time.sleep(0.2)
    print(first + number * size, flush=True)
    signal.pause()


main()
