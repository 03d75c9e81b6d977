"""Shared by the measuring scripts: the machine, running Baton, and how figures of several rounds are printed."""

import importlib.util
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
THREADS = len(os.sched_getaffinity(0))


def need(*modules):
    """Ends the program with a hint where Python packages are missing."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        program = os.path.relpath(sys.argv[0], ROOT)
        sys.exit(f"{program}: no Python package {', '.join(missing)} here; tools/python {program} … installs what it needs and runs it")


def has_bf16():
    """Whether the processor multiplies bf16 in hardware."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def best_dtype():
    return "bf16" if has_bf16() else "f32"


def run(command, environment=None):
    """stdout of a program; ends this one with the program's message if it fails."""
    words = [str(word) for word in command]
    if not Path(words[0]).exists():
        sys.exit(f"{words[0]} is missing: build it, or name it with --binary")
    result = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if result.returncode != 0:
        sys.exit(f"{' '.join(words)}\nexit code {result.returncode}: {result.stderr.strip()[-500:]}")
    return result.stdout


def spread(values, digits=3):
    """min / median / max as text."""
    return " / ".join(f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))


def verdict(what, value, bar, at_least=True, unit=""):
    """Prints a figure beside its bar; returns whether it is met."""
    met = value >= bar if at_least else value <= bar
    print(f"bar: {what}: {value:.3g}{unit}, {'at least' if at_least else 'at most'} {bar:g}{unit}: {'met' if met else 'MISSED'}")
    return met
