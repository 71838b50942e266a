#!/usr/bin/env python3
"""Adds what a stage of check.sh found to bench/results/<gpu>-<date>.json.

Usage: record.py COMMIT_FILE STRATA STAGE NAME=VALUE...
STRATA is the program, which tells clocks and the like of the GPU. Of the values, xml=FOLDER and
json=FOLDER stand for what those files say.
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

# What `strata devices --json` says of a CUDA device, through NVML, that belongs to every figure.
GPU_FIELDS = ("name", "driver", "driver_version", "memory_bytes", "uuid", "clock_mhz",
              "max_clock_mhz", "memory_clock_mhz", "max_memory_clock_mhz", "power_limit_watts",
              "pcie_generation", "pcie_width", "max_pcie_generation", "max_pcie_width",
              "used_by_others_bytes", "throttle_reasons")


def output_of(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def gpu_facts(strata):
    """Of the first GPU; before the program is built, of nvidia-smi, which tells its name."""
    text = output_of([strata, "devices", "--json", "--no-measure"])
    for device in json.loads(text)["devices"] if text else ():
        if not device["id"].startswith("cpu"):
            return {field: device.get(field) for field in GPU_FIELDS}
    smi = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    lines = output_of(smi).splitlines()
    if not lines:
        return {"name": "no GPU"}
    return dict(zip(("name", "driver_version"), (cell.strip() for cell in lines[0].split(","))))


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
    commit_file, strata, stage, *words = sys.argv[1:]
    gpu = gpu_facts(strata)
    now = datetime.datetime.now(datetime.timezone.utc)
    name = re.sub(r"[^a-z0-9]+", "-", gpu["name"].lower()).strip("-")
    path = pathlib.Path("bench/results") / f"{name}-{now:%Y-%m-%d}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["gpu"] = {**results.get("gpu", {}), **gpu}
    results["commit"] = pathlib.Path(commit_file).read_text().strip()
    results["stages"] = results.get("stages", {})
    results["stages"][stage] = {
        "command": f"bench/gpu/check.sh {stage}",
        "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "gpu": gpu,
        **stage_of(words),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    if os.environ.get("OUT"):
        shutil.copy(path, os.environ["OUT"])
    print(path)


main()
