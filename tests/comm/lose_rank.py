#!/usr/bin/env python3
"""Loses one of three processes that train, draw or evaluate, and checks that it is named and that all have ended ten seconds later.

usage: lose_rank.py BATON HANG_LIBRARY FOLDER train|generate|evaluate killed|stopped|hanging start|waiting|computing|writing RANK
       lose_rank.py BATON HANG_LIBRARY FOLDER prepare

FOLDER: for a tiny data set and models, which `prepare` makes. HANG_LIBRARY (hang.cpp): lets the main thread of a process hang.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RANKS = 3
SIGNALS = {"killed": signal.SIGKILL, "stopped": signal.SIGSTOP, "hanging": signal.SIGRTMIN}
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def prepare(baton, folder):
    run = lambda *words: subprocess.run([baton, *map(str, words)], check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    data = folder / "data"
    run("generate", "red apple", "--model", ROOT / "assets/model", "--steps", 1, "--count", 6, "--batch", 6, "--seed", 0, "-o", data, "--progress", "none")
    for picture in data.glob("*.png"):
        picture.with_suffix(".txt").write_text("a picture")
    config = lambda name: ["train", "--progress", "none", "--config", ROOT / f"configs/test/{name}.yaml", "--set", f"data.folder={data}", "validation.every=0"]
    run(*config("tiny_vae"), "steps=2", f"checkpoint.folder={folder}/vae")
    run(*config("tiny_denoiser"), *denoiser(folder), "steps=2", "experts.branch_at=0", f"checkpoint.folder={folder}/denoiser")


def denoiser(folder):
    return [f"model.vae={folder}/vae/model", f"model.tokenizer={ROOT}/tests/golden/t5_tokenizer", "batch=6", "checkpoint.every=1"]


def command(kind, folder, out):
    if kind == "train":
        return ["train", "--config", ROOT / "configs/test/tiny_denoiser.yaml", "--set", f"data.folder={folder}/data", *denoiser(folder), "steps=1000000",
                f"checkpoint.folder={out}", "validation.every=0", "log_every=1000000"]
    if kind == "generate":
        return ["generate", "apple", "--model", folder / "denoiser/model", "--count", 1000000, "--steps", 2, "--seed", 0, "-o", out, "--mesh", "dp=3"]
    return ["evaluate", *[folder / "denoiser/model"] * 100, "--data", folder / "data", "--t-bins", 1000, "--batch", 1]


def ranks_of(launcher):
    """Process ids of its ranks, once they are baton."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(re.sub(r".*\) ", "", (process / "stat").read_text()).split()[1])
            if parent != launcher or os.path.basename(os.readlink(process / "exe")) != "baton":
                continue
            rank = re.search(rb"\0OMPI_COMM_WORLD_RANK=(\d+)\0", b"\0" + (process / "environ").read_bytes())
            if rank:
                found[int(rank[1])] = int(process.name)
        except (OSError, IndexError):
            pass  # ended meanwhile
    return found


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "the moment did not come"
        time.sleep(0.005)
    return value


def running(process):
    try:
        return re.sub(r".*\) ", "", Path(f"/proc/{process}/stat").read_text())[0] not in "ZX"
    except OSError:
        return False


def lose(how, moment, rank, launcher, log, out):
    """Returns since when the others could know that the rank was lost, and the ids of all."""
    if moment == "start":
        ranks = wait_until(lambda: (found := ranks_of(launcher)).get(rank) and found)
    else:
        wait_until(lambda: log.read_text().count('"done"') > 3)
        ranks = ranks_of(launcher)
    other = ranks.get((rank + 1) % RANKS)
    if moment == "waiting":
        os.kill(other, signal.SIGSTOP)
        time.sleep(0.5)  # by now the others wait for it
    if moment == "writing":
        wait_until(lambda: any(name.startswith(".") for name in os.listdir(out)))
    lost = time.monotonic()
    if (how, moment) != ("hanging", "start"):
        os.kill(ranks[rank], SIGNALS[how])
    if moment == "waiting":
        os.kill(other, signal.SIGCONT)
    if moment == "start":
        return wait_until_others_are_up(launcher, rank), ranks_of(launcher) | ranks
    return lost, ranks


def wait_until_others_are_up(launcher, rank):
    """Returns when they were: a busy machine may take long to load them. They have threads then (PMIx), or have ended."""
    def up():
        others = [process for other, process in ranks_of(launcher).items() if other != rank]
        return not running(launcher) or len(others) == RANKS - 1 and all(threads(process) > 1 for process in others)
    wait_until(up)
    return time.monotonic()


def threads(process):
    try:
        return len(os.listdir(f"/proc/{process}/task"))
    except OSError:
        return 0


def check(baton, library, folder, kind, how, moment, rank):
    out = Path(tempfile.mkdtemp(dir=folder))
    log = out / "log"
    environment = ENVIRONMENT | {"BATON_HANG_AT_START": str(rank) if (how, moment) == ("hanging", "start") else ""}
    words = ["mpirun", "-n", RANKS, "--oversubscribe", "-x", f"LD_PRELOAD={library}", baton, *command(kind, folder, out / "out"), "--progress", "json"]
    (out / "out").mkdir()
    with open(log, "w") as errors:
        launcher = subprocess.Popen(list(map(str, words)), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
    ranks = {}
    try:
        lost, ranks = lose(how, moment, rank, launcher.pid, log, out / "out")
        code = launcher.wait(timeout=30)
        wait_until(lambda: not any(map(running, ranks.values())))
        seconds = time.monotonic() - lost
    finally:
        for process in [*ranks.values(), launcher.pid]:
            if running(process):
                os.kill(process, signal.SIGKILL)
        text = log.read_text()
        shutil.rmtree(out, ignore_errors=True)
        print("\n".join(line for line in text.splitlines() if '"done"' not in line))
    named = re.findall(r"rank (\d+)(?: in step \d+)? (?:was lost|does not answer|hangs|has not started)", text)
    if (how, moment) == ("killed", "start"):  # the launcher may end the others before they have met
        named += re.findall(r"process rank (\d+) .* exited on signal 9", text)
    print(f"{kind}: rank {rank} {how}, {moment}: all ended after {seconds:.1f} s, exit code {code}, named {named}")
    assert set(named) == {str(rank)}, "another rank is named, or none"
    assert seconds < 10, "too late"
    assert code == 1 or (how, code) == ("killed", 128 + signal.SIGKILL), "wrong exit code"  # mpirun's: of whichever it sees end first


def main():
    baton, library, folder, kind, *rest = sys.argv[1:]
    folder = Path(folder).resolve()
    if kind == "prepare":
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return prepare(baton, folder)
    how, moment, rank = rest
    check(baton, library, folder, kind, how, moment, int(rank))


if __name__ == "__main__":
    main()
