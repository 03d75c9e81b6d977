"""Compares `baton generate` with diffusers over the cases of pipelines.py.

usage: check_pictures.py [OUT] [--binary build/release/baton] [--only TEXT]      (OUT: the folder that pipelines.py wrote, default build/golden)

Prints for each case the share of picture values within 2/255 (bar: 99.9 %) and the relative error of the final latents (bar: 1e-3); exit code 1
if a case misses a bar.
"""

import argparse
import sys
from pathlib import Path

from pictures import ROOT, check, draw_with_baton, read_cases
from safetensors.torch import load_file


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "build" / "golden")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains TEXT")
    arguments = parser.parse_args()

    drawn = arguments.out / "baton"
    drawn.mkdir(exist_ok=True)
    cases = [case for case in read_cases(arguments.out) if arguments.only in case["name"]]

    def reference_of(case):
        tensors = load_file(arguments.out / "reference" / f"{case['name']}.safetensors")
        return tensors["latents"], tensors["picture"]

    def baton_of(case):
        return draw_with_baton(arguments.binary, arguments.out / case["model"], case, drawn)

    sys.exit(0 if check(cases, reference_of, baton_of) else 1)


if __name__ == "__main__":
    main()
