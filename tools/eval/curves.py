#!/usr/bin/env python3
"""Draws the loss curves of trainings of a denoiser from their metrics.jsonl: the loss of the batches, and the validation loss per noise level.

usage: curves.py RUN [RUN …] [--in-turn] [--out curves.png]

A RUN is a folder of `baton train` or its metrics.jsonl, written as NAME=PATH to name it in the legend. Lines that a resumed run wrote again count once.
With --in-turn each RUN started from the model of the one before: they are drawn as one, named as the last.
Needs matplotlib: tools/python tools/eval/curves.py … installs it.
"""

import argparse
import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
from bench_common import need  # noqa: E402

need("matplotlib")

SMOOTHING = 8  # log lines in a running mean


def read_run(argument):
    name, _, path = argument.rpartition("=")
    path = Path(path)
    path = path / "metrics.jsonl" if path.is_dir() else path
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, json.JSONDecodeError) as error:
        sys.exit(f"{path}: {error}")
    losses = {line["step"]: line for line in lines if "loss" in line}
    validations = {line["step"]: line for line in lines if "validation" in line}
    if not losses:
        sys.exit(f"{path}: no line with a loss")
    return name or path.parent.name, list(losses.values()), list(validations.values())


def joined(runs):
    """One run of several, whose samples count on."""
    all_losses, all_validations = [], []
    for name, losses, validations in runs:
        before = all_losses[-1]["samples"] if all_losses else 0
        for line in losses + validations:
            line["samples"] += before
        all_losses += losses
        all_validations += validations
    return name, all_losses, all_validations


def smoothed(values):
    means = []
    for i in range(len(values)):
        window = values[max(0, i - SMOOTHING + 1): i + 1]
        means.append(sum(window) / len(window))
    return means


def draw_losses(axes, name, losses):
    """The mean loss, and after the branch each expert's."""
    axes.plot([line["samples"] / 1e3 for line in losses], smoothed([line["loss"] for line in losses]), label=name)
    experts = sorted({key for line in losses for key in line if key.startswith("loss.")})
    for key in experts:
        lines = [line for line in losses if key in line]
        axes.plot([line["samples"] / 1e3 for line in lines], smoothed([line[key] for line in lines]), lw=0.8, label=f"{name}, {key.removeprefix('loss.')}")
    axes.set(xlabel="thousand samples", ylabel=f"training loss, mean of {SMOOTHING} log lines", yscale="log")


def draw_validation(axes, name, validations, colormap):
    """The loss in each bin of t at the first, the last and the validations between, darker with time."""
    for i, line in enumerate(validations):
        bins = line["validation"]["bins"]
        levels = [(b + 0.5) / len(bins) for b in range(len(bins))]
        last = i == len(validations) - 1
        axes.plot(levels, bins, color=colormap(0.2 + 0.8 * (i + 1) / len(validations)), lw=2 if last else 0.6,
                  label=f"{name}, {line['samples']:,} samples" if last else None)
    axes.set(xlabel="noise level t", ylabel="validation loss", yscale="log")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--in-turn", action="store_true", help="each RUN goes on from the one before")
    parser.add_argument("--out", type=Path, default=Path("curves.png"))
    options = parser.parse_args()
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    colormaps = [plt.cm.Blues, plt.cm.Oranges, plt.cm.Greens, plt.cm.Purples]
    lowest = math.inf
    runs = [read_run(argument) for argument in options.runs]
    for i, (name, losses, validations) in enumerate([joined(runs)] if options.in_turn else runs):
        draw_losses(left, name, losses)
        draw_validation(right, name, validations, colormaps[i % len(colormaps)])
        lowest = min([lowest] + [v["validation"]["loss"] for v in validations])
    for axes in (left, right):
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8)
    figure.savefig(options.out, dpi=110)
    print(f"{options.out}" + (f"  lowest validation loss {lowest:.4f}" if lowest < math.inf else ""))


if __name__ == "__main__":
    main()
