#!/usr/bin/env python3
"""Checks that a folder includes only the folders above it in the ladder, that each outside library is named by its owners alone, and that a type name means one type."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LADDER = ["kernels", "engine/core", "engine/tensor", "engine/autograd", "engine/ops", "engine/comm", "engine/parallel", "engine/nn", "engine/models", "engine/diffusion",
          "engine/io", "engine/config", "engine/plan", "engine/data", "engine/train", "pipelines", "tools", "tests"]
OWNERS = {  # library header -> folders or files that may include it
    r"dnnl": ["kernels/cpu"], r"hwy/": ["kernels/cpu", "tests/kernels", "tests/ops"], r"omp\.h": ["kernels/cpu", "pipelines", "tools", "tests"],
    r"opencv2/": ["engine/io", "engine/data", "tests/io"], r"png\.h": ["engine/io", "tests"], r"tiffio\.h": ["engine/io/tiff.cpp"], r"yaml-cpp/": ["engine/config"],
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


# Comments, texts and preprocessor lines, whose braces and words mean nothing.
NO_CODE = re.compile(r"""//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])+'|^[ \t]*\#(?:\\\n|[^\n])*""", re.S | re.M)
SCOPE = re.compile(r"\bnamespace\s*(?P<namespace>[\w:]*)\s*\{|\b(?:class|struct|union|enum(?:\s+class)?)\s+(?:\[\[\w+\]\]\s*)?(?P<type>\w+)\s*(?:final\s*)?(?::(?!:)[^;{}()]*)?\{"
                   r"|\busing\s+(?P<alias>\w+)\s*=|[{}]")


def types_of(text):
    """Namespace ("" stands for an anonymous one), name and line of each type and alias that stands in a namespace."""
    text = NO_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    scopes = []  # the names of namespaces, None for all other braces
    for match in SCOPE.finditer(text):
        name = match["type"] or match["alias"]
        if name and None not in scopes:
            yield tuple(scopes), name, text.count("\n", 0, match.start()) + 1
        if match[0] == "}":
            del scopes[-1:]
        elif match["namespace"] is not None:
            scopes.append(match["namespace"])
        elif not match["alias"]:
            scopes.append(None)


def types_defined_twice(files):
    """Two types of one name in one namespace end in one program some day, where the linker keeps either one's functions. One in an anonymous namespace is safe from
    that, but not beside a type of the same name around it; and in a header it is another type in every file."""
    seen = {}
    for path in files:
        for namespace, name, line in types_of((ROOT / path).read_text(encoding="utf-8")):
            if "" in namespace and path.endswith(".h"):
                yield f"{path}:{line}: {name} stands in an anonymous namespace of a header"
            owner = path if "" in namespace else None  # an anonymous namespace belongs to its file
            seen.setdefault((tuple(part for part in namespace if part), name), []).append((owner, f"{path}:{line}"))
    for (namespace, name), places in seen.items():
        if len(places) > 1 and len({owner for owner, _ in places} - {None}) < len(places):
            yield f"{'::'.join((*namespace, name))} is defined at {', '.join(place for _, place in places)}: one name, one type"


def main():
    files = subprocess.run(["git", "ls-files", "*.h", "*.cpp", "*.cu", "*.cuh"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    found = [p for path in files if floor_of(path) and (ROOT / path).exists() for p in problems(path)]
    found += types_defined_twice([path for path in files if (ROOT / path).exists()])
    print("\n".join(found) if found else f"layers: {len(files)} files, no upward includes, no type name used twice")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
