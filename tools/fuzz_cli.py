#!/usr/bin/env python3
"""Drives damaged files and odd flags of every kind through the program, and says what it should not have done.

usage: tools/fuzz_cli.py [--program build/address/baton] [--runs 200] [--seed 0] [--kind KIND …]

Best with a build of preset address (tools/dev/build address), whose sanitizers see what a plain build survives. A run is right when it ends with code
0, 1 or 2 (1 only for work that fails: values that are not finite), within ten seconds of processor time, with an error
in our words, with nothing that a terminal would obey, and without a partial file left. What is not right is kept in
build/fuzz_cli/KIND-NUMBER, with the command that shows it.
"""
import argparse
import collections
import ctypes
import json
import os
import pathlib
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / "assets/model"
NUMBERS = [0, -1, 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, -2**63, 2**64, 10**30, 1e308, 1e-320, 0.5]
VALUES = NUMBERS + ["", "\x1b[31m\x9b\u202e", "a" * 5000, "../x", "/etc/passwd", None, True, [], {}, [[]], [1, "a"], {"a": 1}]
FORBIDDEN = re.compile(
    rb"AddressSanitizer|LeakSanitizer|runtime error|json\.exception|filesystem error|terminate called|std::|yaml-cpp|"
    rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]")


def changed_bytes(rng, data):
    """A few changes of bytes: flipped, cut, repeated, moved, and numbers replaced."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.randrange(len(data) + 1)
        some = rng.randrange(1, 64)
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:at + some]
        elif kind == 2:
            data[at:at] = data[at:at + some] * rng.choice([1, 2, 1000])
        elif kind == 3:
            data[at:at] = rng.randbytes(some)
        elif kind == 4:
            data[at:at + 8] = struct.pack(rng.choice("<>") + "Q", rng.choice(NUMBERS[:8]) % 2**64)
        elif numbers := list(re.finditer(rb"-?\d+(\.\d+)?", bytes(data))):
            found = rng.choice(numbers)
            data[found.start():found.end()] = str(rng.choice(NUMBERS)).encode()
    return bytes(data) if rng.random() > 0.1 else bytes(data[:rng.randrange(len(data) + 1)])


def changed_json(rng, text):
    """One to three nodes of a JSON text replaced, removed, doubled or renamed; sometimes its bytes changed instead."""
    if rng.random() < 0.3:
        return changed_bytes(rng, text)
    value = json.loads(text)
    for _ in range(rng.randrange(1, 4)):
        node = value
        while isinstance(node, (dict, list)) and node:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = rng.choice(keys)
            if isinstance(node[key], (dict, list)) and node[key] and rng.random() < 0.7:
                node = node[key]
                continue
            kind = rng.randrange(4)
            if kind == 0 and isinstance(node, dict):
                node[rng.choice(["", "x" * 300, "\x1b]0;", key + "s"])] = node.pop(key)
            elif kind == 1:
                del node[key]
            elif kind == 2 and isinstance(node, list):
                node.extend(node * rng.choice([1, 3]))
            else:
                node[key] = rng.choice(VALUES)
            break
    return json.dumps(value).encode()


def changed_yaml(rng, text):
    lines = text.decode().splitlines()
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(lines))
        key, colon, _ = lines[at].partition(":")
        lines[at] = rng.choice([key + ": " + str(rng.choice(VALUES)), key + colon, lines[at] + "\n" + lines[at], "- x",
                                key + ": &a [*a]", key.upper() + ": 1"])
    return "\n".join(lines).encode() if rng.random() < 0.8 else changed_bytes(rng, text)


def png_chunks(data):
    at = 8
    while at + 12 <= len(data):
        length, = struct.unpack(">I", data[at:at + 4])
        yield data[at + 4:at + 8], data[at + 8:at + 8 + length]
        at += 12 + length


def png_of(chunks):
    packed = b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + packed


def changed_picture(rng, data):
    """A PNG keeps right checksums, or no reader would look further."""
    if not data.startswith(b"\x89PNG") or rng.random() < 0.2:
        return changed_bytes(rng, data)
    chunks = list(png_chunks(data))
    at = rng.randrange(len(chunks))
    kind = rng.randrange(4)
    if kind == 0:
        chunks.insert(at, rng.choice(chunks))
    elif kind == 1:
        del chunks[at]
    else:
        chunks[at] = (chunks[at][0], changed_bytes(rng, chunks[at][1]))
    return png_of(chunks)


def xxh3(data):
    """As manifest.json has it; from the library that the program uses."""
    class Hash(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]
    function = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    function.restype, function.argtypes = Hash, [ctypes.c_char_p, ctypes.c_size_t]
    found = function(data, len(data))
    return f"{found.high:016x}{found.low:016x}"


class Kinds:
    """Each method makes one damaged input below `folder` and returns the arguments to read it with."""

    def __init__(self, program, base):
        self.base = base
        run = lambda *arguments: subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
        common = ["--size", "32x32", "--steps", "1", "--progress", "none"]
        run("generate", "an apple", *common, "-o", base / "a.png", "--latents-out", base / "latents.safetensors")
        self.draw = ["generate", "red apple", *common, "-o"]
        data = base / "data"
        data.mkdir()
        for name in sorted(os.listdir(ROOT / "tests/golden/images")):
            shutil.copy(ROOT / "tests/golden/images" / name, data)
        self.pictures = [p for p in sorted(data.iterdir())]
        for name in ("tiny_vae", "tiny_denoiser"):
            text = (ROOT / f"configs/test/{name}.yaml").read_text()
            text = text.replace("folder: data/emoji", f"folder: {base}/pictures").replace("runs/", f"{base}/")
            text = text.replace("steps: 20", "steps: 2").replace("branch_at: 10", "branch_at: 1")
            text = re.sub("tokenizer: .*", f"tokenizer: {ROOT}/tests/golden/t5_tokenizer", text)
            (base / f"{name}.yaml").write_text(text)
        (base / "pictures").mkdir()
        run("generate", "an apple", "--count", "8", "--batch", "8", *common, "-o", base / "pictures")
        for picture in (base / "pictures").glob("*.png"):
            picture.with_suffix(".txt").write_text("an apple")
        for name in ("tiny_vae", "tiny_denoiser"):
            run("train", "--config", base / f"{name}.yaml", "--progress", "none")

    def model(self, rng, folder, part):
        """The shipped model with one file damaged; the others are links."""
        shutil.copytree(MODEL, folder / "m", copy_function=os.symlink, ignore=shutil.ignore_patterns("manifest.json"))
        target = folder / "m" / part
        data = target.read_bytes()
        target.unlink()
        target.write_bytes(changed_json(rng, data) if part.endswith(".json") else changed_bytes(rng, data))
        return ["inspect", folder / "m"] if rng.random() < 0.3 else [
            *self.draw, folder / "o.png", "--model", folder / "m", *rng.choice([["--dry-run"], []])]

    def model_index(self, rng, folder):
        return self.model(rng, folder, "model_index.json")

    def transformer_config(self, rng, folder):
        return self.model(rng, folder, "transformer/config.json")

    def vae_config(self, rng, folder):
        return self.model(rng, folder, "vae/config.json")

    def text_config(self, rng, folder):
        return self.model(rng, folder, "text_encoder/config.json")

    def scheduler(self, rng, folder):
        return self.model(rng, folder, "scheduler/scheduler_config.json")

    def tokenizer(self, rng, folder):
        name = rng.choice(["spiece.model", "tokenizer_config.json", "special_tokens_map.json"])
        return self.model(rng, folder, f"tokenizer/{name}")

    def shard_index(self, rng, folder):
        return self.model(rng, folder, "transformer/diffusion_pytorch_model.safetensors.index.json")

    def weights(self, rng, folder):
        return self.model(rng, folder, "text_encoder/model.safetensors")

    def safetensors(self, rng, folder):
        data = (self.base / "latents.safetensors").read_bytes()
        length, = struct.unpack("<Q", data[:8])
        header = changed_json(rng, data[8:8 + length])
        (folder / "l.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + data[8 + length:])
        if rng.random() < 0.3:
            return ["inspect", folder / "l.safetensors"]
        return [*self.draw, folder / "o.png", "--from-latents", folder / "l.safetensors"]

    def settings(self, rng, folder):
        chunks = list(png_chunks((self.base / "a.png").read_bytes()))
        record = next(d for t, d in chunks if t == b"tEXt" and d.startswith(b"baton\0"))[6:]
        changed = zlib.compress(changed_json(rng, record))
        chunks.insert(1, (b"iTXt", b"baton\0\1\0\0\0" + changed))
        (folder / "p.png").write_bytes(png_of(chunks))
        return ["inspect", folder / "p.png"] if rng.random() < 0.3 else [
            "generate", "--like", folder / "p.png", "-o", folder / "o.png", *rng.choice([["--dry-run"], ["--steps", "1", "--size", "32x32"]])]

    def png(self, rng, folder):
        (folder / "p.png").write_bytes(changed_picture(rng, (self.base / "a.png").read_bytes()))
        return ["inspect", folder / "p.png"]

    def picture(self, rng, folder):
        for i in range(30):
            source = rng.choice(self.pictures)
            (folder / f"{i}{source.suffix}").write_bytes(changed_picture(rng, source.read_bytes()))
        return ["dataset", folder, "--size", "32", "--missing-caption", "empty"]

    def jsonl(self, rng, folder):
        shutil.copy(self.base / "a.png", folder)
        line = b'{"file_name":"a.png","captions":[{"text":"x","weight":2},{"tags":["a","b"]}],"weight":0.5,"k":[1,{"z":null}]}'
        (folder / "metadata.jsonl").write_bytes(b"\n".join([line, changed_json(rng, line)]))
        return ["dataset", folder, "--size", "32", *rng.choice([[], ["--json"]])]

    def train_yaml(self, rng, folder):
        name = rng.choice(["tiny_vae", "tiny_denoiser"])
        (folder / "c.yaml").write_bytes(changed_yaml(rng, (self.base / f"{name}.yaml").read_bytes()))
        return ["train", "--config", folder / "c.yaml", "--print-config"]

    def plan(self, rng, folder):
        machine, config = ROOT / "configs/machines/h100-80g.yaml", ROOT / "configs/plan/wan2.2-a14b.yaml"
        first, second = folder / "m.yaml", folder / "c.yaml"
        first.write_bytes(changed_yaml(rng, machine.read_bytes()) if rng.random() < 0.5 else machine.read_bytes())
        second.write_bytes(changed_yaml(rng, config.read_bytes()))
        return ["plan", second, "--machine", first, "--text", "cached", "--tokens", rng.choice([1, 1560, 2**26]), "--ranks", rng.choice([1, 8, 2**20])]

    def flags(self, rng, folder):
        flags = ["--size", "--steps", "--steps-per-expert", "--boundaries", "--guidance", "--sampler", "--shift", "--sigmas",
                 "--seed", "--count", "--batch", "--rng", "--strength", "--tile", "--mesh", "--ranks", "--threads", "--set",
                 "--negative", "--prompt-file", "--init-image", "--config", "--dtype"]
        texts = ["", "x", "0x0", "32x32", "9223372036854775800x8", "unipc", "seed=3", "tp=2", "tp=99999999999", "1,1,1,1",
                 "0.9,0.5,0.2", "\x1b[31m", "\u202e\x9b", "nan", "inf", "/dev/null", "/", "a" * 300] + [str(n) for n in NUMBERS]
        chosen = [part for _ in range(rng.randrange(1, 5)) for part in (rng.choice(flags), rng.choice(texts))]
        return ["generate", "x", "--dry-run", *chosen, "-o", folder / rng.choice(["o.png", "n" * 300 + ".png", "o"])]

    def checkpoint(self, rng, folder):
        shutil.copytree(self.base / "tiny_denoiser", folder / "run")
        checkpoint = sorted((folder / "run").glob("step-*"))[-1]
        if rng.random() < 0.2:
            (folder / "run/metrics.jsonl").write_bytes(changed_bytes(rng, (folder / "run/metrics.jsonl").read_bytes()))
        manifest = json.loads((checkpoint / "manifest.json").read_bytes())
        name = rng.choice(["state.json"] * 3 + sorted(manifest["files"]))
        data = (changed_json if name.endswith(".json") else changed_bytes)(rng, (checkpoint / name).read_bytes())
        (checkpoint / name).write_bytes(data)
        manifest["files"][name] = {"bytes": len(data), "xxh3_128": xxh3(data)}
        text = json.dumps(manifest).encode()
        (checkpoint / "manifest.json").write_bytes(changed_json(rng, text) if rng.random() < 0.2 else text)
        return ["train", "--config", self.base / "tiny_denoiser.yaml", "--set", f"checkpoint.folder={folder / 'run'}",
                "--progress", "none"]


def fault_of(program, arguments, folder):
    """Runs the program; None, or what was wrong."""
    seconds = 10
    limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive",
                       ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096")
    run = subprocess.run([program, *map(str, arguments)], capture_output=True, env=environment, preexec_fn=limit,
                         stdin=subprocess.DEVNULL, cwd=folder)
    bad = FORBIDDEN.search(run.stdout + run.stderr)
    if bad:
        return f"wrote {bad.group()!r}"
    if run.returncode not in (0, 1, 2):
        return f"ended with {run.returncode}"
    if run.returncode == 1 and b"not finite" not in run.stderr:
        return "ended with 1: " + run.stderr.decode(errors="replace").strip()[:200]
    if run.returncode and b"error: " not in run.stderr:
        return f"ended with {run.returncode} without a message"
    if left := [p.name for p in folder.rglob(".*.partial*")]:
        return f"left {left}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "build/address/baton", type=pathlib.Path)
    parser.add_argument("--runs", default=200, type=int)
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--kind", action="append")
    options = parser.parse_args()
    program = str(options.program.resolve())
    kept = ROOT / "build/fuzz_cli"
    with tempfile.TemporaryDirectory() as temporary:
        base = pathlib.Path(temporary) / "base"
        base.mkdir()
        kinds = Kinds(program, base)
        names = options.kind or [n for n in dir(Kinds) if not n.startswith("_") and n != "model"]
        runs, faults = collections.Counter(), collections.Counter()
        for number in range(options.runs):
            name = names[number % len(names)]
            rng = random.Random(f"{options.seed} {number}")
            folder = pathlib.Path(temporary) / "run"
            folder.mkdir()
            arguments = getattr(kinds, name)(rng, folder)
            runs[name] += 1
            if fault := fault_of(program, arguments, folder):
                faults[name] += 1
                place = kept / f"{name}-{options.seed}-{number}"
                shutil.rmtree(place, ignore_errors=True)
                shutil.copytree(folder, place / "files", symlinks=True)
                command = " ".join(map(repr, map(str, arguments))).replace(str(folder), str(place / "files"))
                (place / "command").write_text(f"{program} {command}\n{fault}\n")
                print(f"{name} {number}: {fault} ({place})", flush=True)
            shutil.rmtree(folder)
    for name in names:
        print(f"{name}: {runs[name]} runs, {faults[name]} faults")
    return 1 if faults.total() else 0


if __name__ == "__main__":
    sys.exit(main())
