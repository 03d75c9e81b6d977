"""Draws the same picture with diffusers and with Baton, and compares them."""

import json
import subprocess
from pathlib import Path

import numpy as np
import torch
from diffusers import WanPipeline
from PIL import Image
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
MINIMAL_SHARE = 0.999  # of the values within TOLERANCE
TOLERANCE = 2  # of 255
MAXIMAL_LATENT_ERROR = 1e-3  # |a - b| / |b|


def load_pipeline(folder, dtype=torch.float32):
    pipeline = WanPipeline.from_pretrained(folder, dtype=dtype, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def max_sequence_length(pipeline):
    """Length of the padded text: a default of the model that Baton writes into model_index.json and diffusers does not read."""
    index = json.loads((Path(pipeline.config._name_or_path) / "model_index.json").read_text(encoding="utf-8"))
    return index.get("baton", {}).get("defaults", {}).get("max_sequence_length", 512)


def draw_with_diffusers(pipeline, case):
    """Returns the final latents [1, C, 1, h, w], as the denoiser sees them, and the picture [H, W, 3] in [0, 1], both f32."""
    latents = []

    def keep(_pipeline, _step, _timestep, values):
        latents.append(values["latents"].clone())
        return values

    guidance = case["guidance"]
    frames = pipeline(
        prompt=case["prompt"], negative_prompt=case["negative"], width=case["width"], height=case["height"], num_frames=1,
        num_inference_steps=case["steps"], guidance_scale=guidance[0], guidance_scale_2=guidance[1] if len(guidance) > 1 else None,
        generator=torch.Generator("cpu").manual_seed(case["seed"]), callback_on_step_end=keep, output_type="np",
        max_sequence_length=max_sequence_length(pipeline),
    ).frames
    return latents[-1], torch.from_numpy(frames[0, 0])


def draw_with_baton(binary, folder, case, out):
    """Runs `baton generate`; returns the final latents and the picture's bytes [H, W, 3]."""
    png, latents = out / f"{case['name']}.png", out / f"{case['name']}.latents.safetensors"
    latents.unlink(missing_ok=True)  # which is never replaced
    command = [
        binary, "generate", case["prompt"], "--model", folder, "--out", png, "--latents-out", latents,
        "--negative", case["negative"], "--size", f"{case['width']}x{case['height']}", "--steps", case["steps"],
        "--guidance", ",".join(str(value) for value in case["guidance"]), "--seed", case["seed"],
        "--rng", "torch", "--dtype", "f32", "--device", "cpu", "--progress", "none",
    ]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"exit code {result.returncode}: {result.stderr.strip()[-300:]}")
    return load_file(latents)["latents"], np.asarray(Image.open(png).convert("RGB"))


def to_bytes(picture):
    return (np.asarray(picture) * 255).round().astype(np.uint8)


def agreement(latents, picture, reference_latents, reference_picture):
    """(share of the values within TOLERANCE, relative error of the latents); 0 and infinity where the shapes differ."""
    reference_picture = to_bytes(reference_picture)
    if picture.shape != reference_picture.shape or latents.shape != reference_latents.shape:
        return 0.0, float("inf")
    difference = np.abs(picture.astype(int) - reference_picture.astype(int))
    error = (latents.float() - reference_latents.float()).norm() / reference_latents.float().norm()
    return float((difference <= TOLERANCE).mean()), float(error)


def check(cases, reference_of, baton_of):
    """Prints one line for each case; returns whether all pass. reference_of and baton_of map a case to (latents, picture)."""
    passed = 0
    print(f"{'case':32} {'size':>9} {'within 2/255':>13} {'latents':>10}")
    for case in cases:
        try:
            share, error = agreement(*baton_of(case), *reference_of(case))
            good = share >= MINIMAL_SHARE and error <= MAXIMAL_LATENT_ERROR
            figures = f"{100 * share:12.3f}% {error:10.2e}"
        except (RuntimeError, OSError, KeyError) as problem:
            good, figures = False, str(problem)
        passed += good
        print(f"{case['name']:32} {case['width']:>5}x{case['height']:<3} {figures}  {'ok' if good else 'FAILED'}", flush=True)
    print(f"{passed} passed, {len(cases) - passed} failed")
    return passed == len(cases)


def read_cases(folder):
    return json.loads((folder / "cases.json").read_text(encoding="utf-8"))
