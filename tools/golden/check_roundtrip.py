"""Loads a directory that Baton wrote in diffusers and compares the pictures of both.

usage: check_roundtrip.py MODEL_DIR [--binary build/release/baton] [--size 128x128] [--steps 6] [--guidance 4]

MODEL_DIR has one or two experts. Same bars and exit codes as check_pictures.py.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from pictures import ROOT, check, draw_with_baton, draw_with_diffusers, load_pipeline

PROMPTS = {"english": "a red heart", "chinese": "一只红色的熊猫", "empty": ""}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, metavar="MODEL_DIR")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    parser.add_argument("--size", default="128x128", metavar="WxH")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--guidance", type=float, default=4.0)
    arguments = parser.parse_args()

    width, height = (int(side) for side in arguments.size.split("x"))
    cases = [
        dict(name=f"{name}{'' if guidance > 1 else '_unguided'}", prompt=prompt, negative="", width=width, height=height, steps=arguments.steps,
             guidance=[guidance], seed=seed)
        for seed, (name, prompt) in enumerate(PROMPTS.items()) for guidance in (arguments.guidance, 1.0)
    ]
    pipeline = load_pipeline(arguments.model)
    with tempfile.TemporaryDirectory() as scratch:
        passed = check(cases, lambda case: draw_with_diffusers(pipeline, case),
                       lambda case: draw_with_baton(arguments.binary, arguments.model, case, Path(scratch)))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
