#!/usr/bin/env python3
"""Measures again what the tables of docs/performance.md show, and writes them there.

    python3 tools/performance_tables.py --cache DIR [--only kernels] [--peer NAME=LLAMA_BENCH]...

Kernels come from bin/bench_kernels, whole models from `strata bench` on files that `strata synth`
writes to the cache folder (30 GB for the default list; they are used again). A peer is the
llama-bench of another program: it runs in turn with ours, on the same file, the same CPUs and as
many threads. Text between the markers `<!-- table: NAME -->` and `<!-- end -->` is replaced; all
other text of the page is written by hand. Needs nothing but Python's own library.
"""

import argparse
import datetime
import os
import pathlib
import re
import subprocess
import sys

import performance_runs as runs

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
TABLES = ["machine", "kernels", "batches", "variants", "attention", "models"]

# Weight types in the order of the tables, and the columns: a shape and a batch.
TYPES = "F32 F16 BF16 Q8_0 Q6_K Q5_K Q5_1 Q5_0 Q4_1 Q4_0 Q4_K Q3_K Q2_K IQ4_NL IQ4_XS MXFP4".split()
GEMV = ["llama-8b/ffn_up", "qwen3-0.6b/ffn_up", "qwen3-30b-a3b/ffn_up_exps"]
GEMM = ["llama-8b/ffn_up", "qwen3-0.6b/ffn_up"]
BATCHES = [1, 2, 4, 8, 16, 64, 512]
BATCH_TYPES = ["Q4_0", "Q8_0", "Q4_K", "Q6_K", "BF16", "F32"]
VARIANT_TYPES = ["Q4_0", "Q8_0", "Q4_K", "BF16", "F32"]

# shape[:layers]:type, and the depths that decoding is measured at.
MODELS = [
    ("qwen3-0.6b:Q4_0", [0, 8192]),
    ("qwen3-0.6b:Q8_0", [0]),
    ("qwen3-0.6b:Q4_K", [0]),
    ("qwen3-0.6b:BF16", [0]),
    ("llama-8b:Q4_0", [0]),
    ("llama-8b:Q8_0", [0]),
    ("qwen3-30b-a3b:12:Q4_0", [0]),
]


def table(header, rows):
    """A Markdown table: the first column left, all others right."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def giga(value):
    return f"{value * 1e-9:.1f}"


def tera(value):
    return f"{value * 1e-12:.2f}" if value else "none"


class Kernels:
    """bench_kernels with some filters, and cells of what it measured."""

    def __init__(self, options, **filters):
        command = [str(options.build / "bin" / "bench_kernels"), "--json"]
        command += ["--threads", str(len(options.cpus)), "--seconds", str(options.seconds)]
        for name, value in filters.items():
            text = ",".join(str(part) for part in value) if isinstance(value, list) else value
            command += [f"--{name}", text]
        self.command = command
        self.result, self.foreign = runs.run_json(command, options.cpus)

    def cell(self, dtype, shape, batch, unit):
        """Rate, and share of the ceiling: best and median of the rounds."""
        for row in self.result["rows"]:
            if row["dtype"] != dtype or row["batch"] != batch:
                continue
            if not row["shape"].startswith(shape):
                continue
            if "skipped" in row:
                return row["skipped"]
            rate = giga(row["bytes_per_second"])
            if unit == "TOP/s":
                rate = tera(row["operations_per_second"])
            return f"{rate} ({row['best_ratio']:.2f} / {row['median_ratio']:.2f})"
        return "-"

    def note(self):
        """The command and the ceilings of the same run, as a line under the table."""
        r = self.result
        shown = ["bin/bench_kernels"] + [a for a in self.command[1:] if a != "--json"]
        return (
            f"\n`{' '.join(shown)}` at {r['commit']}, {r['isa']}, {r['threads']} threads; "
            f"ceilings in that run: read {giga(r['read_bytes_per_second'])} GB/s, int8 "
            f"{tera(r['int8_ops_per_second'])} TOP/s, bf16 {tera(r['bf16_flops_per_second'])} "
            f"TFLOP/s, f32 {tera(r['f32_flops_per_second'])} TFLOP/s; others used at most "
            f"{self.foreign:.0%} of the CPUs.\n"
        )


def machine_table(options):
    strata = str(options.build / "bin" / "strata")
    devices, foreign = runs.run_json([strata, "devices", "--json"], options.cpus)
    cpu = devices["devices"][-1]
    cache = pathlib.Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
    version = subprocess.run([strata, "version"], capture_output=True, text=True, check=True).stdout
    rows = [
        ["CPU", cpu["name"]],
        ["threads", str(cpu["compute_units"])],
        ["instruction set", cpu["arch"]],
        ["last-level cache", cache.read_text().strip() if cache.exists() else "unknown"],
        ["memory", f"{cpu['memory_bytes'] / 2**30:.1f} GiB"],
        ["read bandwidth", giga(cpu["read_bytes_per_second"]) + " GB/s"],
        ["int8 peak", tera(cpu["int8_ops_per_second"]) + " TOP/s"],
        ["bf16 peak", tera(cpu["bf16_flops_per_second"]) + " TFLOP/s"],
        ["f32 peak", tera(cpu["f32_flops_per_second"]) + " TFLOP/s"],
        ["others' CPU time meanwhile", f"{foreign:.0%}"],
        ["program", version.splitlines()[0]],
        ["compiler", version.splitlines()[1].removeprefix("compiler: ")],
        ["date", datetime.date.today().isoformat()],
    ]
    return table(["", "`strata devices`"], rows) + "\n"


def kernels_table(options):
    shapes = sorted(set(GEMV + GEMM))
    one = Kernels(options, op="matmul", dtype=TYPES, shape=shapes, batch=[1, 512])
    header = ["type"] + [f"{s}, 1 token, GB/s" for s in GEMV] + [f"{s}, 512, TOP/s" for s in GEMM]
    rows = []
    for dtype in TYPES:
        cells = [one.cell(dtype, shape, 1, "GB/s") for shape in GEMV]
        cells += [one.cell(dtype, shape, 512, "TOP/s") for shape in GEMM]
        rows.append([dtype] + cells)
    return table(header, rows) + "\n" + one.note()


def batches_table(options):
    shape = "llama-8b/attn_q"
    one = Kernels(options, op="matmul", dtype=BATCH_TYPES, shape=shape, batch=BATCHES)
    rows = [
        [t] + [one.cell(t, shape, batch, "TOP/s" if batch > 8 else "GB/s") for batch in BATCHES]
        for t in BATCH_TYPES
    ]
    header = ["type"] + [f"{b}, {'TOP/s' if b > 8 else 'GB/s'}" for b in BATCHES]
    return table(header, rows) + "\n" + one.note()


def isa_names(options):
    """Instruction sets that this machine runs, best first: an unknown name lists them."""
    bench = str(options.build / "bin" / "bench_kernels")
    asked = subprocess.run([bench, "--isa", "?"], capture_output=True, text=True, check=False)
    found = re.search(r"one of: (.*)", asked.stderr)
    return found.group(1).split(", ") if found else []


def variants_table(options):
    shape = "llama-8b/attn_q"
    rows, notes = [], ""
    for isa in isa_names(options):
        try:
            one = Kernels(
                options, op="matmul", dtype=VARIANT_TYPES, shape=shape, batch=[1, 512], isa=isa
            )
        except runs.Failed:
            continue  # not for this CPU
        for dtype in VARIANT_TYPES:
            gemv = one.cell(dtype, shape, 1, "GB/s")
            rows.append([isa, dtype, gemv, one.cell(dtype, shape, 512, "TOP/s")])
        notes += one.note()
    return table(["set", "type", "1 token, GB/s", "512 tokens, TOP/s"], rows) + "\n" + notes


def attention_table(options):
    one = Kernels(options, op="attention,barrier", batch=[1, 512], depth=[512, 8192])
    rows = []
    for row in one.result["rows"]:
        if row["op"] == "barrier":
            barrier = f"Fork and join of {row['shape']}: {row['best_us']:.2f} us.\n"
            continue
        rate = row["bytes_per_second"] * 1e-9 if row["batch"] == 1 else None
        rows.append(
            [
                row["shape"],
                row["dtype"],
                str(row["batch"]),
                f"{row['best_us']:.0f}",
                f"{rate:.1f} GB/s" if rate else f"{tera(row['operations_per_second'])} TFLOP/s",
                row["ceiling"],
                f"{row['best_ratio']:.2f} / {row['median_ratio']:.2f}",
            ]
        )
    header = ["shape", "cache", "tokens", "us", "rate", "ceiling", "share"]
    return table(header, rows) + "\n\n" + barrier + one.note()


def model_file(options, spec):
    """The synthetic file of "shape[:layers]:type" in the cache folder, written if it is not there."""
    parts = spec.split(":")
    path = options.cache / (spec.replace(":", "-") + ".gguf")
    if not path.exists():
        command = [str(options.build / "bin" / "strata"), "synth", "--shape", parts[0]]
        command += ["--type", parts[-1], "-o", str(path), "-q"]
        subprocess.run(command + (["--layers", parts[1]] if len(parts) > 2 else []), check=True)
    return path


def bytes_per_token(options, path):
    strata = str(options.build / "bin" / "strata")
    plan, _ = runs.run_json([strata, "plan", "-m", str(path), "--json"], options.cpus)
    return plan["prediction"]["bytes_per_token"]


def model_rows(options, spec, depths, programs):
    path = model_file(options, spec)
    # One run reads the file once more, so that every program finds it cached.
    arguments = ["-m", str(path), "-p", "512", "-n", "64", "-r", str(options.repetitions)]
    arguments += ["-t", str(len(options.cpus)), "-o", "json"]
    samples = runs.interleaved(programs, arguments, options.rounds, options.cpus)
    deep = [d for d in depths if d > 0]
    if deep:
        more = ["-m", str(path), "-p", "0", "-n", "64", "-d", ",".join(map(str, deep)), "-r", "1"]
        more += ["-t", str(len(options.cpus)), "-o", "json"]
        for name, one in runs.interleaved(programs, more, 1, options.cpus).items():
            samples[name].rates.update(one.rates)
            samples[name].rows.update(one.rows)
    rows = []
    for test, ours in samples["strata"].rows.items():
        cells = [spec, test, f"{samples['strata'].median(test):.1f}", ceiling_share(ours)]
        for name in options.peers:
            theirs = samples[name].median(test)
            cells.append(f"{theirs:.1f}" if theirs else "-")
            cells.append(f"{samples['strata'].median(test) / theirs:.2f}" if theirs else "-")
        rows.append(cells + [f"{max(s.foreign for s in samples.values()):.0%}"])
    return rows


def ceiling_share(rows):
    """The share of the ceiling that strata bench names in its rows: the median of the runs."""
    shares = sorted(row["ceiling_share"] for row in rows if row.get("ceiling_share"))
    if not shares:
        return "-"
    ceiling = "read" if rows[0].get("read_ceiling") else rows[0].get("matmul_path", "peak")
    return f"{shares[len(shares) // 2]:.2f} of {ceiling}"


def models_table(options):
    programs = {"strata": [str(options.build / "bin" / "strata"), "bench"]}
    programs.update({name: [path] for name, path in options.peers.items()})
    header = ["model", "test", "tokens/s", "share"]
    for name in options.peers:
        header += [name, "ratio"]
    rows = []
    for spec, depths in MODELS:
        if options.models and not any(part in spec for part in options.models):
            continue
        rows += model_rows(options, spec, depths, programs)
    return table(header + ["others"], rows) + "\n"


def replaced(page, name, text):
    """The page with `text` between the markers of table `name`."""
    pattern = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
    changed, count = re.subn(pattern, lambda m: m[1] + text + m[2], page, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{PAGE}: the markers of table \"{name}\" stand there {count} times, not once")
    return changed


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--cache", type=pathlib.Path, help="folder for model files (table models)")
    parser.add_argument("--only", help="tables to make, of: " + ", ".join(TABLES))
    parser.add_argument("--models", help="only models that contain one of these words")
    parser.add_argument("--peer", action="append", default=[], help="NAME=PATH of a llama-bench")
    parser.add_argument("--threads", type=int, default=0, help="and CPUs (all that are usable)")
    parser.add_argument("--seconds", type=float, default=0.3, help="per row of the kernel tables")
    parser.add_argument("--rounds", type=int, default=3, help="A B A B of the programs")
    parser.add_argument("--repetitions", type=int, default=2, help="of a test in each round")
    parser.add_argument("--print", action="store_true", help="print the tables, change no file")
    options = parser.parse_args()
    options.only = options.only.split(",") if options.only else TABLES
    options.models = options.models.split(",") if options.models else []
    options.peers = dict(peer.split("=", 1) for peer in options.peer)
    usable = sorted(os.sched_getaffinity(0))
    options.cpus = usable[: options.threads] if options.threads else usable
    if "models" in options.only and options.cache is None:
        parser.error("the table of models needs --cache DIR")
    for name in options.only:
        if name not in TABLES:
            parser.error(f"\"{name}\" is no table; there are: {', '.join(TABLES)}")
    return options


def main():
    options = parse_options()
    if options.cache:
        options.cache.mkdir(parents=True, exist_ok=True)
    page = PAGE.read_text()
    for name in options.only:
        print(f"measuring: {name}", file=sys.stderr)
        text = globals()[f"{name}_table"](options)
        if options.print:
            print(text)
        page = replaced(page, name, text)
        if not options.print:
            PAGE.write_text(page)  # after each table, so that a break loses one only


if __name__ == "__main__":
    try:
        main()
    except runs.Failed as failure:
        sys.exit(f"error: {failure}")
