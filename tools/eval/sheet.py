#!/usr/bin/env python3
"""Draws one picture for each line of a file with `baton generate` and writes them as one labelled sheet.

usage: sheet.py MODEL [--prompts tools/eval/sheet_prompts.txt] [--out samples.png] [--columns 8] [--steps 24] [--guidance 4] [--seed 0]

All pictures are drawn from the same seed and none is left out, so that the sheet shows what the model draws and not the best of it.
Needs Pillow (Debian: python3-pil), and for Chinese labels a font that has them (Debian: fonts-wqy-microhei), found by fc-list or named with --font.
"""

import argparse
import math
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
from bench_common import ROOT, need, run  # noqa: E402

need("PIL")

GAP = 4  # pixels between cells
LINE = 13  # pixels of a label's line
FONT_SIZE = 11


def generate(options, prompt, picture, *flags):
    """One picture, or with count=K a folder of them."""
    run([options.binary, "generate", "--prompt", prompt, "--model", options.model, "--out", picture, "--steps", options.steps,
         "--guidance", options.guidance, "--seed", options.seed, "--progress", "none", *flags])


def find_font(texts):
    """A font file that has the characters of the texts, None where Pillow's own will do."""
    if all(text.isascii() for text in texts):
        return None
    try:
        fonts = subprocess.run(["fc-list", ":lang=zh-cn", "file"], capture_output=True, text=True, check=False).stdout.split(":")
    except FileNotFoundError:
        fonts = []
    if not fonts or not fonts[0].strip():
        sys.exit("no font with Chinese characters: install fonts-wqy-microhei, or name a font with --font")
    return fonts[0].strip()


def wrapped(text, width, draw, font):
    """The text in lines no wider than `width`, at most two of them; broken between words, or anywhere in Chinese."""
    words = text.split(" ") if " " in text else [text]
    pieces = [word + " " for word in words] if text.isascii() else list(text)
    lines = [""]
    for piece in pieces:
        if lines[-1] and draw.textlength((lines[-1] + piece).rstrip(), font=font) > width:
            lines.append("")
        lines[-1] += piece
    return lines if len(lines) <= 2 else [lines[0], lines[1].rstrip()[:-1] + "…"]


def write_grid(path, cells, columns, font_file=None):
    """cells: (label, pictures one above the other, whether to frame in red). The pictures are PIL images of one size."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(font_file, FONT_SIZE) if font_file else ImageFont.load_default(FONT_SIZE)
    width, height = cells[0][1][0].size
    cell_width, cell_height = width + GAP, height * len(cells[0][1]) + 2 * LINE + GAP
    sheet = Image.new("RGB", (columns * cell_width + GAP, math.ceil(len(cells) / columns) * cell_height + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (label, pictures, framed) in enumerate(cells):
        x, y = GAP + index % columns * cell_width, GAP + index // columns * cell_height
        for row, picture in enumerate(pictures):
            sheet.paste(picture, (x, y + row * height))
        bottom = y + len(pictures) * height
        if framed:
            draw.rectangle((x - 1, y - 1, x + width, bottom), outline="red")
        for row, line in enumerate(wrapped(label, width, draw, font)):
            draw.text((x + width / 2, bottom + row * LINE), line.strip(), fill="black", font=font, anchor="ma")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    parser.add_argument("--prompts", type=Path, default=ROOT / "tools" / "eval" / "sheet_prompts.txt", help="one prompt a line")
    parser.add_argument("--out", type=Path, default=Path("samples.png"))
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--guidance", default="4")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--font", help="font file for the labels")
    options = parser.parse_args()
    from PIL import Image

    prompts = options.prompts.read_text(encoding="utf-8").splitlines()
    font = options.font or find_font(prompts)
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        for prompt in prompts:
            picture = Path(folder) / "picture.png"
            generate(options, prompt, picture)
            cells.append((prompt, [Image.open(picture).convert("RGB")], False))
    write_grid(options.out, cells, options.columns, font)
    print(options.out)


if __name__ == "__main__":
    main()
