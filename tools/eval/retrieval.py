#!/usr/bin/env python3
"""Draws named pictures of the data set and looks which picture of the data set each is nearest to.

usage: retrieval.py MODEL [--data data/emoji] [--names tests/data/emoji_200.txt] [--steps 24] [--guidance 4] [--limit N] [--caption 1] [--sheet FILE.png]

Each name, or with --caption 1 what stands second among its picture's captions (data/emoji: its Chinese name, if it has one), is drawn by one run of
`baton generate`; what it leaves with --latents-out is compared with the latents of all pictures without skin tone (|a - b|, latents as the denoiser sees
them: normalised by channel). Prints the share of the names whose own picture is the nearest, and that whose own picture is among the five nearest. Exit
code 1 if the first is below --bar.

The latents of the data set are those of the model's own autoencoder, as `baton train` caches them: one training step of a tiny denoiser makes the cache,
which is kept in build/eval and used again (--latents FILE names another). Needs numpy and Pillow: tools/python tools/eval/retrieval.py … installs them.
"""

import argparse
import hashlib
import json
import shutil
import struct
import sys
import tempfile
from pathlib import Path

from sheet import ROOT, generate, run, write_grid
from bench_common import need, verdict  # sheet.py has put tools/bench on the path

need("numpy", "PIL")
import numpy as np  # noqa: E402

NEAREST = 5
SHEET_COLUMNS = 20


def read_latents(path):
    """The tensor "latents" of a .safetensors file, one f32 row an item. The file: u64 length of the header, JSON header, data."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        entry = json.loads(file.read(length))["latents"]
        begin, end = entry["data_offsets"]
        file.seek(8 + length + begin)
        data = file.read(end - begin)
    if entry["dtype"] == "BF16":  # the upper half of an f32
        values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(data, {"F32": "<f4"}[entry["dtype"]])
    return values.reshape(entry["shape"][0], -1)


def model_size(model):
    """Side of the square pictures that the model was trained on."""
    index = json.loads((model / "model_index.json").read_text(encoding="utf-8"))
    return index["baton"]["defaults"]["width"]


def cached_latents(options):
    """File of the data set's latents, made first if it is not there; its name follows from all that the latents depend on."""
    size = model_size(options.model)
    digest = hashlib.sha256(str(size).encode())
    for file in [*sorted((options.model / "vae").iterdir()), options.data / "metadata.jsonl"]:
        digest.update(file.read_bytes())
    cache = ROOT / "build" / "eval" / f"latents-{digest.hexdigest()[:16]}.safetensors"
    if cache.exists():
        return cache
    print(f"encoding {options.data}", file=sys.stderr, flush=True)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
        settings = {
            "steps": 1, "batch": 1, "data.folder": options.data, "data.size": size, "model.vae": options.model / "vae",
            "model.tokenizer": options.model / "tokenizer", "experts.count": 1, "experts.boundaries": "[]", "experts.branch_at": 0, "checkpoint.folder": folder,
            "validation.every": 0, "validation.items": 1,
        }
        run([options.binary, "train", "--config", ROOT / "configs" / "test" / "tiny_denoiser.yaml", "--progress", "none", "--set",
             *(f"{key}={value}" for key, value in settings.items())])
        (made,) = (Path(folder) / "latents").glob("*.safetensors")
        shutil.move(made, cache)
    return cache


class Gallery:
    """The pictures without skin tone and their latents."""

    def __init__(self, options):
        lines = (options.data / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
        items = [json.loads(line) for line in lines]
        latents = read_latents(options.latents or cached_latents(options))
        if len(latents) != len(items):
            sys.exit(f"{len(latents)} latents for the {len(items)} pictures of {options.data}: they are of another data set")
        plain = [index for index, item in enumerate(items) if not item["skin_tone"]]
        self.latents = latents[plain]
        self.names = [items[index]["caption"] for index in plain]
        self.captions = {items[index]["caption"]: items[index]["captions"] for index in plain}
        self.files = [options.data / items[index]["file_name"] for index in plain]

    def prompt(self, name, caption):
        """What to draw for the picture of this name: the name, or its caption of this number, if it has a text there."""
        if caption is None:
            return name
        captions = self.captions[name]
        return captions[caption].get("text", "") if caption < len(captions) else ""

    def nearest_first(self, latent):
        return np.argsort(((self.latents - latent) ** 2).sum(axis=1), kind="stable")


def draw_all(options, prompts, gallery, folder):
    """For each prompt (its drawn picture's file, the gallery's indices from the nearest on)."""
    drawn = []
    for number, prompt in enumerate(prompts):
        picture, latents = folder / f"{number}.png", folder / "latents.safetensors"
        latents.unlink(missing_ok=True)
        generate(options, prompt, picture, "--latents-out", latents)
        (latent,) = read_latents(latents)
        drawn.append((picture, gallery.nearest_first(latent)))
        if (number + 1) % 20 == 0:
            print(f"{number + 1} of {len(prompts)} drawn", file=sys.stderr, flush=True)
    return drawn


def write_sheet(options, names, gallery, drawn):
    """Each drawn picture above its nearest; in red where that is another than the named one."""
    from PIL import Image

    cells = []
    for name, (picture, order) in zip(names, drawn):
        upper = Image.open(picture).convert("RGB")
        lower = Image.open(gallery.files[order[0]]).convert("RGB").resize(upper.size)
        cells.append((name, [upper, lower], gallery.names[order[0]] != name))
    write_grid(options.sheet, cells, min(SHEET_COLUMNS, len(cells)))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "emoji")
    parser.add_argument("--names", type=Path, default=ROOT / "tests" / "data" / "emoji_200.txt", help="one name a line")
    parser.add_argument("--latents", type=Path, help="latents of the data set, a cache that `baton train` wrote")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--guidance", default="4", help="one value, or one for each expert")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="evenly spaced names instead of all")
    parser.add_argument("--caption", type=int, help="draw this one of the picture's captions instead of its name, counted from 0")
    parser.add_argument("--sheet", type=Path, help="also write the pictures above their nearest to this PNG")
    parser.add_argument("--misses", action="store_true", help="also list the names whose own picture is not the nearest")
    parser.add_argument("--bar", type=float, default=70.0, help="share that must be found, per cent")
    return parser.parse_args()


def main():
    options = parse_arguments()
    names = options.names.read_text(encoding="utf-8").splitlines()
    if options.limit:
        names = [names[index * len(names) // options.limit] for index in range(min(options.limit, len(names)))]
    gallery = Gallery(options)
    unknown = [name for name in names if gallery.names.count(name) != 1]
    if unknown:
        sys.exit(f"{options.names}: not the name of exactly one picture without skin tone: {', '.join(unknown[:5])}")
    prompts = {name: gallery.prompt(name, options.caption) for name in names}
    names = [name for name in names if prompts[name]]
    if not names:
        sys.exit(f"{options.data}: no picture has a text as caption {options.caption}")
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw_all(options, [prompts[name] for name in names], gallery, Path(folder))
        if options.sheet:
            write_sheet(options, names, gallery, drawn)
    # 0: the named picture is the nearest
    ranks = [int(np.flatnonzero(order == gallery.names.index(name))[0]) for name, (_, order) in zip(names, drawn)]
    if options.misses:
        for name, rank, (_, order) in zip(names, ranks, drawn):
            if rank > 0:
                print(f"{name}: nearest is {gallery.names[order[0]]}, own picture at {rank + 1}")
    nearest, among = (100 * np.mean([rank < count for rank in ranks]) for count in (1, NEAREST))
    print(f"{options.model}  {options.steps} steps  guidance {options.guidance}  seed {options.seed}")
    print(f"{'names':>6} {'pictures':>9} {'nearest':>9} {f'top {NEAREST}':>9} {'median rank':>12}")
    print(f"{len(names):6} {len(gallery.names):9} {nearest:8.1f}% {among:8.1f}% {np.median(ranks) + 1:12.0f}")
    return 0 if verdict("nearest is the named picture", float(nearest), options.bar, unit=" %") else 1


if __name__ == "__main__":
    sys.exit(main())
