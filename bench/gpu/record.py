#!/usr/bin/env python3
"""Adds what a stage of check.sh found to bench/results/<gpu>-<date>.json.

Usage: record.py COMMIT_FILE STAGE NAME=VALUE...
Of the values, xml=FOLDER and json=FOLDER stand for what those files say.
"""
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

GPU_FIELDS = ("name", "driver_version", "memory.total", "clocks.sm", "clocks.max.sm", "clocks.mem")


def gpu_facts():
    query = ["nvidia-smi", "--query-gpu=" + ",".join(GPU_FIELDS), "--format=csv,noheader"]
    try:
        line = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {"name": "no GPU"}
    return dict(zip(GPU_FIELDS, (cell.strip() for cell in line.splitlines()[0].split(","))))


def test_counts(folder):
    """Per program: how many cases passed, failed and were skipped, and which failed."""
    programs = {}
    for path in sorted(pathlib.Path(folder).glob("*.xml")):
        cases = list(xml.etree.ElementTree.parse(path).getroot().iter("testcase"))
        failed = [case for case in cases if case.find("failure") is not None]
        skipped = [case for case in cases if case.find("skipped") is not None]
        programs[path.stem] = {
            "passed": len(cases) - len(failed) - len(skipped),
            "failed": len(failed),
            "skipped": len(skipped),
            "failures": [f"{case.get('classname')}.{case.get('name')}" for case in failed],
        }
    return programs


def read_results(folder):
    return {path.stem: json.loads(path.read_text())
            for path in sorted(pathlib.Path(folder).glob("*.json")) if path.stat().st_size}


def stage_of(words):
    stage = {}
    for word in words:
        name, _, value = word.partition("=")
        if name == "xml":
            stage["programs"] = test_counts(value)
        elif name == "json":
            stage["results"] = read_results(value)
        else:
            stage[name] = int(value) if re.fullmatch(r"-?\d+", value) else value
    return stage


def main():
    commit_file, stage, *words = sys.argv[1:]
    gpu = gpu_facts()
    now = datetime.datetime.now(datetime.timezone.utc)
    name = re.sub(r"[^a-z0-9]+", "-", gpu["name"].lower()).strip("-")
    path = pathlib.Path("bench/results") / f"{name}-{now:%Y-%m-%d}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["gpu"] = gpu
    results["commit"] = pathlib.Path(commit_file).read_text().strip()
    results["stages"] = results.get("stages", {})
    results["stages"][stage] = {
        "command": f"bench/gpu/check.sh {stage}",
        "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        **stage_of(words),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    if os.environ.get("OUT"):
        shutil.copy(path, os.environ["OUT"])
    print(path)


main()
