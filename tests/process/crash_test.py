#!/usr/bin/env python3
"""Kills, power cuts and failing disks in a small training, which must always end with the bytes of one that nothing happened to.

usage: BATON=build/release/baton crash_test.py [--kills 20] [--refused 20] [--cuts 20] [--lies 20] [--seed 1]

  --kills N    kill -9 at N random moments, up to three in a row, then once more to the end
  --refused N  one call that changes a file fails (ENOSPC, EDQUOT, EIO by turns), at N calls spread over the run: exit code 1 and a message with the
               reason (or the call did not matter), then once more to the end
  --cuts N     the power fails before N random calls: of everything after the last fsync of a file or folder, a random part is lost
  --lies N     the same, with a disk whose fsync does nothing from some call on. Checkpoints that are damaged are noticed, and where none is left intact
               the training refuses to go on (exit code 2) and starts anew once they are removed
"""

import argparse
import errno
import filecmp
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from tiny_training import ENVIRONMENT, ROOT, TinyTraining

LIMIT = 600  # seconds for one run, on a busy machine


class Crash:
    def __init__(self, scratch, seed):
        self.scratch = pathlib.Path(scratch)
        self.run = self.scratch / "run"
        self.random = random.Random(seed)
        self.training = TinyTraining(self.scratch / "parts")
        self.shim = self.scratch / "faulty_disk.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(self.shim), str(ROOT / "tests/process/faulty_disk.c"), "-ldl"], check=True)
        count = self.scratch / "count"
        start = time.monotonic()
        self.expect(0, self.start(FAULT_COUNT=str(count)))
        self.seconds = time.monotonic() - start
        self.calls = count.stat().st_size
        self.expected = self.scratch / "expected"
        self.run.rename(self.expected)

    def start(self, **faults):
        environment = dict(ENVIRONMENT)
        if faults:
            environment.update(LD_PRELOAD=str(self.shim), FAULT_ROOT=str(self.run), **faults)
        return subprocess.Popen(self.training.command(self.run) + ["--progress", "none"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)

    def finish(self, process):
        """(exit code, log)"""
        _, log = process.communicate(timeout=LIMIT)
        if "filesystem error" in log or "json.exception" in log:
            self.fail("a library's words reached the user", log)
        return process.returncode, log

    def expect(self, code, process):
        found, log = self.finish(process)
        if found != code:
            self.fail(f"exit code {found}, expected {code}", log)

    def fail(self, what, log=""):
        kept = pathlib.Path(tempfile.mkdtemp(prefix="baton_crash_"))
        if self.run.exists():
            shutil.copytree(self.run, kept / "run", symlinks=True)
        sys.exit(f"crash_test: {what}\n{log}the folder is kept as {kept}")

    def compare(self, what, metrics=True):
        """The end of a run against that of the run that nothing happened to."""
        for found in self.run.glob("step-*"):
            if "." not in found.name and any(found.iterdir()) and not (found / "manifest.json").exists():
                self.fail(f"{what}: {found.name} is half a checkpoint")
        left = [path.name for path in self.run.iterdir() if path.name.startswith(".")]
        if left:
            self.fail(f"{what}: {left} are left")
        for folder in ("step-00000008", "model"):
            names = [path.relative_to(self.expected) for path in (self.expected / folder).rglob("*") if path.is_file()]
            _, different, missing = filecmp.cmpfiles(self.expected, self.run, names, shallow=False)
            if different or missing:
                self.fail(f"{what}: {different} differ, {missing} are missing")
        if metrics and self.metrics(self.run) != self.metrics(self.expected):
            self.fail(f"{what}: other metrics")

    def metrics(self, folder):
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for line in lines:
            line.pop("samples_per_second", None)
        return lines

    def anew(self):
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir()

    def kills(self, wanted):
        """How many kills there were, in how many runs."""
        kills = runs = 0
        while kills < wanted:
            self.anew()
            for _ in range(self.random.randint(1, 3)):
                start = time.monotonic()
                process = self.start()
                try:
                    process.wait(self.random.uniform(0, self.seconds))
                    self.seconds = time.monotonic() - start  # other programs let it run faster now
                except subprocess.TimeoutExpired:
                    process.kill()
                    kills += 1
                process.communicate()
                if process.returncode not in (0, -signal.SIGKILL):
                    self.fail(f"exit code {process.returncode} between kills")
            self.expect(0, self.start())
            self.compare("after a kill")
            runs += 1
        return f"{kills} kills in {runs} runs"

    def refused(self, wanted):
        codes = {0: 0, 1: 0}
        errors = itertools.cycle([errno.ENOSPC, errno.EDQUOT, errno.EIO])
        for i in range(wanted):
            call, error = i * self.calls // wanted, next(errors)
            on = {"FAULT_ON": "1"} if self.random.random() < 0.5 else {}  # from then on, as a full disk
            self.anew()
            code, log = self.finish(self.start(FAULT_AT=str(call), FAULT_ERROR=str(error), **on))
            what = f"{errno.errorcode[error]} at call {call}{' and all later ones' if on else ''}"
            if code not in codes or (code == 1 and os.strerror(error) not in log):
                self.fail(f"{what}: exit code {code}", log)
            codes[code] += 1
            self.expect(0, self.start())
            self.compare(what)
        return f"{wanted} calls refused: {codes[1]} ended the run, {codes[0]} did not matter"

    def cuts(self, wanted):
        for _ in range(wanted):
            call = self.random.randrange(1, self.calls)
            self.cut(FAULT_AT=str(call))
            self.expect(0, self.start())
            self.compare(f"after a power cut before call {call}")
        return f"{wanted} power cuts"

    def lies(self, wanted):
        refused = 0
        for _ in range(wanted):
            call = self.random.randrange(1, self.calls)
            lie = self.random.randrange(0, call)
            what = f"after a power cut before call {call}, where fsync lied from call {lie} on"
            self.cut(FAULT_AT=str(call), FAULT_LIE=str(lie))
            code, log = self.finish(self.start())
            if code == 2 and ("move them away" in log or "manifest.json is missing" in log):
                refused += 1
                for folder in [*self.run.glob("step-*"), self.run / "model"]:
                    shutil.rmtree(folder, ignore_errors=True)
                self.expect(0, self.start())
            elif code != 0:
                self.fail(f"{what}: exit code {code}", log)
            self.compare(what, metrics=False)
        return f"{wanted} power cuts with lying fsync, {refused} of them refused because no checkpoint was left intact"

    def cut(self, **faults):
        """A run that ends at a power cut, and what is then on the disk."""
        self.anew()
        shadow = self.scratch / "shadow"
        shutil.rmtree(shadow, ignore_errors=True)
        shadow.mkdir()
        self.expect(-signal.SIGKILL, self.start(FAULT_SHADOW=str(shadow), **faults))
        after = self.scratch / "after"
        after.mkdir()
        luck = self.random.choice([0.0, 0.5, 0.9])  # the chance of what was not flushed
        paths = {path.lstat().st_ino: path for path in [self.run, *self.run.rglob("*")]}
        self.survive(self.run.lstat().st_ino, after, shadow, paths, luck)
        shutil.rmtree(self.run)
        after.rename(self.run)

    def survive(self, inode, target, shadow, paths, luck):
        """Fills `target` with what survives of the folder `inode`: each entry as it was last flushed or, with luck, as it is."""
        flushed, now = {}, {}
        if (shadow / f"d-{inode}").exists():
            for line in (shadow / f"d-{inode}").read_text().splitlines():
                kind, number, name = line.split(" ", 2)
                flushed[name] = (kind, int(number))
        if inode in paths:
            now = {path.name: ("d" if path.is_dir() else "f", path.lstat().st_ino) for path in paths[inode].iterdir()}
        # A folder's changes reach the disk in their order (a journal), or none of them does.
        for name, (kind, number) in (now if self.random.random() < luck else flushed).items():
            if kind == "d":
                (target / name).mkdir()
                self.survive(number, target / name, shadow, paths, luck)
                continue
            kept, current = shadow / f"f-{number}", paths.get(number)
            if current and self.random.random() < luck:
                shutil.copyfile(current, target / name)
            elif kept.exists():
                shutil.copyfile(kept, target / name)
            elif current:  # never flushed: a length without content
                (target / name).write_bytes(bytes(self.random.randint(0, current.stat().st_size)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["kills", "refused", "cuts", "lies"]
    for part in parts:
        parser.add_argument(f"--{part}", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # In memory, where inodes are never used twice and flushing costs nothing.
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="baton_crash_") as scratch:
        crash = Crash(scratch, options.seed)
        print(f"a run takes {crash.seconds:.1f} s and {crash.calls} calls that change a file", flush=True)
        for part in parts:
            if getattr(options, part):
                print(getattr(crash, part)(getattr(options, part)), flush=True)


if __name__ == "__main__":
    main()
