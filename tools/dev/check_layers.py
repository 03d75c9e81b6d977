#!/usr/bin/env python3
"""Checks that a folder includes only the folders above it in the ladder, and that each outside library is named by its owners alone."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LADDER = ["kernels", "engine/core", "engine/tensor", "engine/autograd", "engine/ops", "engine/comm", "engine/parallel", "engine/nn", "engine/models", "engine/diffusion",
          "engine/io", "engine/config", "engine/plan", "engine/data", "engine/train", "pipelines", "tools", "tests"]
OWNERS = {  # library header -> folders or files that may include it
    r"dnnl": ["kernels/cpu"], r"hwy/": ["kernels/cpu", "tests/kernels", "tests/ops"], r"omp\.h": ["kernels/cpu", "pipelines", "tools", "tests"],
    r"opencv2/": ["engine/io", "engine/data", "tests/io"], r"png\.h": ["engine/io", "tests"], r"yaml-cpp/": ["engine/config"],
    r"nlohmann/": ["engine/io", "engine/config/train_start.cpp", "engine/data", "engine/train", "pipelines", "tools", "tests"],
    r"mpi\.h": ["engine/comm/mpi.cpp"], r"pmix": ["engine/comm/rendezvous.cpp"], r"CLI/": ["tools"], r"spdlog/": ["engine/core"], r"xxhash": ["engine/io"],
}


def floor_of(path):
    return max((f for f in LADDER if path == f or path.startswith(f + "/")), key=len, default=None)


def problems(path):
    mine = floor_of(path)
    for number, line in enumerate((ROOT / path).read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^">]+)[">]', line)
        if not match:
            continue
        target = match[2]
        theirs = floor_of(target)
        if match[1] == '"' and theirs and LADDER.index(theirs) > LADDER.index(mine):
            yield f"{path}:{number}: {mine} includes {target}, which stands below it"
        for library, owners in OWNERS.items():
            if re.match(library, target) and not any(path.startswith(owner) for owner in owners):
                yield f"{path}:{number}: <{target}> belongs to {', '.join(owners)}"


def main():
    files = subprocess.run(["git", "ls-files", "*.h", "*.cpp", "*.cu", "*.cuh"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    found = [p for path in files if floor_of(path) and (ROOT / path).exists() for p in problems(path)]
    print("\n".join(found) if found else f"layers: {len(files)} files, no upward includes")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
