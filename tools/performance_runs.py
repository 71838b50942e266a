"""Running benchmark programs for performance_tables.py: pinned alike, in turn, on a quiet machine."""

import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

FOREIGN_LIMIT = 0.03  # share of the machine's CPU time that other programs may take during a run
ATTEMPTS = 3  # runs until one was quiet enough; then the quietest counts


class Failed(Exception):
    """A program could not be run; says why."""


def busy_seconds():
    """CPU time that all programs of the machine have used so far, from /proc/stat."""
    first = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    ticks = [int(field) for field in first]
    idle = ticks[3] + ticks[4]
    return (sum(ticks[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_once(command, cpus):
    """(standard output, share of the machine that others used meanwhile)"""
    environment = dict(os.environ, OMP_PROC_BIND="true", OMP_PLACES="cores")
    busy, own, begin = busy_seconds(), children_seconds(), time.monotonic()
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )
    elapsed = time.monotonic() - begin
    foreign = busy_seconds() - busy - (children_seconds() - own)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failed(f"{pathlib.Path(command[0]).name} ended with {done.returncode}: {last}")
    return done.stdout, max(0.0, foreign) / (elapsed * os.cpu_count())


def run_quietly(command, cpus):
    """The quietest of a few runs: (standard output, foreign share)."""
    best = None
    for _ in range(ATTEMPTS):
        result = run_once(command, cpus)
        if best is None or result[1] < best[1]:
            best = result
        if best[1] <= FOREIGN_LIMIT:
            break
    return best


def run_json(command, cpus):
    """The JSON that a program prints, behind whatever else it prints."""
    text, foreign = run_quietly(command, cpus)
    start = re.search(r"^[\[{]", text, re.MULTILINE)
    if start is None:
        raise Failed(f"{pathlib.Path(command[0]).name} printed no JSON")
    return json.loads(text[start.start() :]), foreign


def test_name(row):
    """ "pp512", "tg64 @ d8192" of a row of llama-bench or strata bench."""
    parts = []
    if row["n_prompt"] > 0:
        parts.append(f"pp{row['n_prompt']}")
    if row["n_gen"] > 0:
        parts.append(f"tg{row['n_gen']}")
    depth = row.get("n_depth", 0)
    return "+".join(parts) + (f" @ d{depth}" if depth else "")


class Samples:
    """Tokens per second of one program, by test, and the last row of each test."""

    def __init__(self):
        self.rates = {}
        self.rows = {}
        self.foreign = 0.0

    def add(self, rows, foreign):
        self.foreign = max(self.foreign, foreign)
        for row in rows:
            name = test_name(row)
            self.rates.setdefault(name, []).extend(row.get("samples_ts") or [row["avg_ts"]])
            self.rows.setdefault(name, []).append(row)

    def median(self, test):
        rates = self.rates.get(test)
        return statistics.median(rates) if rates else None

    def best(self, test):
        rates = self.rates.get(test)
        return max(rates) if rates else None


def interleaved(programs, arguments, rounds, cpus):
    """A B A B: every program once per round on the same file. {name: Samples}, failures on stderr."""
    samples = {name: Samples() for name in programs}
    failed = set()
    for _ in range(rounds):
        for name, command in programs.items():
            if name in failed:
                continue
            try:
                rows, foreign = run_json(command + arguments, cpus)
                samples[name].add(rows, foreign)
            except Failed as why:
                failed.add(name)
                print(f"{name}: {why}", file=sys.stderr)
    return samples
