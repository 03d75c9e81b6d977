#!/usr/bin/env python3
"""Trains, draws and evaluates on every axis of the mesh with the whole program, and compares what comes out with one rank's.

usage: check_ranks.py [--binary build/release/baton] [--processes] [--runs 1] [--only train,generate,evaluate] [--cases dp=2 …]

Ranks are threads of one process, or with --processes those of mpirun. The data set, the autoencoder and the mixture of two experts are tiny and made here
(configs/test). One picture weighs so much that an epoch has four draws: a training goes through 40 of them, with validations, checkpoints, and a branch in the
middle. Compared are the loss of every step and of every validation, the latents of every picture (of replicas, the bytes of their files), and the losses that
evaluate reports. Exit code 1 if one of them differs by more than 1e-5 of its size (latents: of the largest), or a run fails.
"""

import argparse
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5
PICTURES, SIDE = 200, 32

# Words behind the command on several ranks, and how many those are.
TRAIN = {
    "dp=2": ("--mesh dp=2", 2),
    "dp=2 zero 1": ("--mesh dp=2 --set zero=1", 2),
    "dp=2 zero 2": ("--mesh dp=2 --set zero=2", 2),
    "dp=2 zero 3": ("--mesh dp=2 --set zero=3 recompute=full", 2),
    "dp=3 zero 2": ("--mesh dp=3 --set zero=2", 3),
    "tp=2": ("--mesh tp=2", 2),
    "tp=4": ("--mesh tp=4", 4),
    "tp=2 sequence-parallel": ("--mesh tp=2 --sequence-parallel", 2),
    "pp=2": ("--mesh pp=2 --set micro_batch=2", 2),
    "pp=2 gpipe": ("--mesh pp=2 --set micro_batch=2 pipeline=gpipe", 2),
    "pp=2 interleave 2": ("--mesh pp=2 --set micro_batch=2 parallel.interleave=2", 2),
    "ulysses=2": ("--mesh ulysses=2", 2),
    "ulysses=4": ("--mesh ulysses=4", 4),
    "ring=2": ("--mesh ring=2", 2),
    "ring=4": ("--mesh ring=4", 4),
    "ulysses=2,ring=2": ("--mesh ulysses=2,ring=2", 4),
    "ep=2": ("--mesh ep=2", 2),
    "ep=2,tp=2": ("--mesh ep=2,tp=2", 4),
    "pp=2,dp=2 zero 1": ("--mesh pp=2,dp=2 --set micro_batch=2 zero=1", 4),
}
GENERATE = {
    "dp=2": ("--mesh dp=2", 2),
    "tp=2": ("--mesh tp=2", 2),
    "tp=2 sequence-parallel": ("--mesh tp=2 --sequence-parallel", 2),
    "pp=2": ("--mesh pp=2", 2),
    "ulysses=2": ("--mesh ulysses=2", 2),
    "ring=2": ("--mesh ring=2", 2),
    "cfg=2": ("--mesh cfg=2", 2),
    "cfg=2,tp=2": ("--mesh cfg=2,tp=2", 4),
    "ep=2": ("--mesh ep=2", 2),
    "ep=2,tp=2": ("--mesh ep=2,tp=2", 4),
    "text rank": ("--text-ranks 1", 2),
    "text rank, ep=2": ("--mesh ep=2 --text-ranks 1", 3),
}
EVALUATE = {"dp=2": ("--ranks 2", 2), "dp=3": ("--ranks 3", 3)}


def png(pixels):
    """A picture of SIDE rows of SIDE RGB triples as a file."""
    rows = b"".join(b"\0" + bytes(value for pixel in row for value in pixel) for row in pixels)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def write_data_set(folder):
    """Discs of many colours, sizes and places, each with a caption of its own; the first is drawn in every epoch."""
    folder.mkdir()
    lines = []
    for i in range(PICTURES):
        colour, radius, x, y = (i * 37 % 256, i * 91 % 256, i * 53 % 256), 4 + i % 9, 6 + i * 7 % 20, 6 + i * 11 % 20
        inside = lambda row, column: (row - y) ** 2 + (column - x) ** 2 < radius**2
        pixels = [[colour if inside(r, c) else (250, 250, 4 * r) for c in range(SIDE)] for r in range(SIDE)]
        (folder / f"{i}.png").write_bytes(png(pixels))
        lines.append(json.dumps({"file_name": f"{i}.png", "text": f"disc number {i}", "weight": PICTURES / 4 if i == 0 else 1}) + "\n")
    (folder / "metadata.jsonl").write_text("".join(lines), encoding="utf-8")


def latents_of(path):
    """The values of the one f32 tensor of a safetensors file."""
    content = path.read_bytes()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    return list(struct.unpack(f"<{(len(content) - start) // 4}f", content[start:]))


def difference(what, values, expected):
    """The largest difference as a share of the expected value, of latents of the largest; infinite if there are more or fewer, or one is not finite."""
    if not expected or len(values) != len(expected) or not all(map(math.isfinite, values)):
        return math.inf
    largest = max(map(abs, expected))
    return max(abs(a - b) / (largest if what == "latents" else abs(b) or 1) if a != b else 0.0 for a, b in zip(values, expected))


def numbers_in(value):
    """All numbers of a JSON value, in order."""
    if isinstance(value, dict):
        return [n for key in sorted(value) for n in numbers_in(value[key])]
    if isinstance(value, list):
        return [n for item in value for n in numbers_in(item)]
    return [value] if isinstance(value, (int, float)) else []


class Program:
    """The commands on the tiny data set; each gives its results as lists of numbers by name."""

    def __init__(self, binary, processes, folder):
        self.binary, self.processes, self.folder = binary, processes, folder
        write_data_set(folder / "data")
        data = f"data.folder={folder / 'data'}"
        self.run(f"train --config {ROOT}/configs/test/tiny_vae.yaml --set {data} checkpoint.folder={folder / 'vae'} steps=2", 1)
        self.training = (
            f"train --config {ROOT}/configs/test/tiny_denoiser.yaml --set {data} model.vae={folder / 'vae' / 'model'} dtype=f32 log_every=1 "
            f"model.tokenizer={ROOT}/tests/golden/t5_tokenizer model.transformer.num_layers=4 model.transformer.num_attention_heads=4"
        )
        self.train("", 1)
        self.model = shutil.copytree(folder / "trained" / "model", folder / "model")

    def run(self, words, ranks):
        """stdout of the program."""
        command = [self.binary, *words.split()]
        if ranks > 1 and self.processes:
            command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command]
        environment = {"OMP_WAIT_POLICY": "passive", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        result = subprocess.run(
            [*command, "--threads", "1", "--progress", "none"], capture_output=True, text=True, check=False, timeout=600, env=os.environ | environment
        )
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit code {result.returncode}\n{result.stderr.strip()[-6000:]}")
        return result.stdout

    def train(self, words, ranks):
        trained = self.folder / "trained"
        shutil.rmtree(trained, ignore_errors=True)
        self.run(f"{self.training} checkpoint.folder={trained} {words}", ranks)
        lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        return {"losses": [line["loss"] for line in lines if "loss" in line], "validations": numbers_in([line.get("validation") for line in lines])}

    def generate(self, words, ranks):
        drawn = self.folder / "drawn"
        shutil.rmtree(drawn, ignore_errors=True)
        drawn.mkdir()
        latents = drawn / "latents.safetensors"
        keep = "" if "dp=" in words else f"--latents-out {latents}"
        self.run(f"generate disc --seed 0 --negative square --model {self.model} --out {drawn} --steps 6 --count 4 --batch 2 --dtype f32 {keep} {words}", ranks)
        files = [list((drawn / f"{i}-{i}.png").read_bytes()) for i in range(4)]
        return ({"files": sum(files, [])} if ranks == 1 or not keep else {}) | ({"latents": latents_of(latents)} if keep else {})

    def evaluate(self, words, ranks):
        text = self.run(f"evaluate {self.model} --data {self.folder / 'data'} --items 10 --t-bins 4 --dtype f32 --json {words}", ranks)
        return {"losses": numbers_in(json.loads(text))}


def check(name, expected, run, runs):
    """Runs one case several times and says how far it was from one rank; whether it was near enough."""
    worst = 0.0
    for number in range(runs):
        try:
            worst = max(worst, *(difference(what, values, expected[what]) for what, values in run().items()))
        except RuntimeError as error:
            print(f"{name}: run {number + 1} failed: {error}", flush=True)
            return False
    print(f"{name}: largest difference of {runs} {'run' if runs == 1 else 'runs'} {worst:.1e}{'' if worst <= TOLERANCE else ': TOO LARGE'}", flush=True)
    return worst <= TOLERANCE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "build" / "release" / "baton")
    parser.add_argument("--processes", action="store_true")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", default="train,generate,evaluate")
    parser.add_argument("--cases", nargs="*", help="as they are printed, without the command; default: all")
    options = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as folder:
        program = Program(str(options.binary), options.processes, Path(folder))
        for command, cases in (("train", TRAIN), ("generate", GENERATE), ("evaluate", EVALUATE)):
            chosen = {name: case for name, case in cases.items() if options.cases is None or name in options.cases}
            if command not in options.only.split(",") or not chosen:
                continue
            print(command, flush=True)
            run = getattr(program, command)
            expected = run("", 1)
            for name, case in chosen.items():
                good = check(f"  {name}", expected, lambda case=case: run(*case), options.runs) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
