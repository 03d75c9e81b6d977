#!/usr/bin/env python3
"""Checks that nothing throws or allocates inside a parallel region, where an exception ends the process.

usage: check_parallel.py      from anywhere; prints each line that may, and exits with 1 if there is one

Looks at the text of every parallel_for(…) and #pragma omp parallel block for the words of allocation and of errors. Memory comes from before the region
(ThreadScratch, a tensor); for_each_in_parallel (engine/core/parallel.h) carries exceptions out.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REGION = re.compile(r"\bparallel_for\(|#pragma omp parallel")
MAY_THROW = re.compile(
    r"std::(vector|string|map|deque|list|function|make_unique|make_shared|async)\b|\bnew\b|push_back|emplace|resize\(|\bfmt::"
    r"|\b(check|require|fail|fail_run|throw|allocate)\b|\.data<|Tensor::(empty|zeros|full|from)"
)


def end_of(text, start):
    """Where the bracket that opens first after `start` closes."""
    depth = 0
    for match in re.compile(r"[({})]").finditer(text, start):
        depth += 1 if match[0] in "({" else -1
        if depth == 0:
            return match.end()
    return len(text)


def regions(text):
    for match in REGION.finditer(text):
        start = text.index("\n", match.start()) if match[0].startswith("#") else match.end() - 1
        yield start, end_of(text, start)


def main():
    found = []
    for folder in ("kernels", "engine", "pipelines"):
        for path in sorted(ROOT.glob(f"{folder}/**/*.[ch]*")):
            text = re.sub(r"//[^\n]*", "", path.read_text())
            if "void parallel_for(" in text:
                continue  # its definition
            for start, end in regions(text):
                for match in MAY_THROW.finditer(text, start, end):
                    line = text.count("\n", 0, match.start()) + 1
                    found.append(f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[line - 1].strip()}")
    print("\n".join(found) if found else "nothing throws or allocates inside a parallel region")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
