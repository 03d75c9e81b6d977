"""Writes tiny whole WanPipeline directories and the pictures that diffusers draws with them.

usage: pipelines.py OUT      (not committed: some megabytes; build/golden is a good place)

  OUT/one_unipc OUT/one_euler OUT/two_unipc OUT/two_euler     one or two experts (boundary_ratio 0.7), random weights
  OUT/one_tokenizer_json                                      as transformers 5 saves it: tokenizer.json without spiece.model
  OUT/cases.json                                              [{name, model, prompt, negative, width, height, steps, guidance, seed}]
  OUT/reference/<name>.safetensors                            latents [1, C, 1, h, w], picture [H, W, 3] in [0, 1]
  OUT/reference/<name>.png
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from common import randomise
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from PIL import Image
from pictures import draw_with_diffusers, load_pipeline, to_bytes
from safetensors.torch import save_file
from tokenizers_and_prompts import make_t5
from transformers import UMT5Config, UMT5EncoderModel

ENGLISH = "a red panda &amp; a cat in  the snow,\tpainted"  # with an entity and spaces to be cleaned
CHINESE = "一只红色的熊猫，坐在雪地里看着远山"
NEGATIVE = "blurred, 低质量"
LONG = " ".join(["a red panda looks at the mountains"] * 120)  # more than 512 tokens
UNKNOWN = "a “red” panda ☃ ﬁnds ＡＢＣ　１２"  # curly quotes, a ligature, full-width letters, a character without a piece

UNIPC = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, solver_order=2)
EULER = FlowMatchEulerDiscreteScheduler(shift=3.0)


def make_transformer(seed):
    config = dict(patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=24, in_channels=8, out_channels=8, text_dim=32, freq_dim=32,
                  ffn_dim=96, num_layers=3, cross_attn_norm=True, eps=1e-6, rope_max_seq_len=64)
    return randomise(WanTransformer3DModel(**config), seed)


def make_vae(seed, experts):
    """Factor 8 both ways: one expert with four levels, two experts with pixels gathered two by two before three levels."""
    config = dict(base_dim=8, z_dim=8, num_res_blocks=1, scale_factor_spatial=8,
                  latents_mean=[0.1, -0.2, 0.3, 0.0, 0.2, -0.1, 0.4, -0.3], latents_std=[1.5, 0.8, 1.1, 2.0, 0.7, 1.2, 0.9, 1.4])
    if experts == 1:
        config |= dict(dim_mult=[1, 2, 4, 4], temperal_downsample=[False, True, True])
    else:
        config |= dict(dim_mult=[1, 2, 4], temperal_downsample=[False, True], patch_size=2, in_channels=12, out_channels=12)
    vae = randomise(AutoencoderKLWan(**config), seed)
    with torch.no_grad():
        vae.decoder.conv_out.weight.mul_(2)  # contrast; most values inside [-1, 1], some clamped
    return vae


def make_text_encoder(vocabulary):
    config = UMT5Config(vocab_size=vocabulary, d_model=32, d_kv=8, num_heads=4, d_ff=48, num_layers=2, relative_attention_num_buckets=8,
                        relative_attention_max_distance=16, dropout_rate=0.0, feed_forward_proj="gated-gelu")
    return randomise(UMT5EncoderModel(config), 1)


def write_directories(out):
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = make_t5(Path(scratch))
        for experts, name in ((1, "one"), (2, "two")):
            parts = dict(tokenizer=tokenizer, text_encoder=make_text_encoder(len(tokenizer)), vae=make_vae(2, experts), transformer=make_transformer(3))
            if experts == 2:
                parts |= dict(transformer_2=make_transformer(4), boundary_ratio=0.7)
            for scheduler_name, scheduler in (("unipc", UNIPC), ("euler", EULER)):
                folder = out / f"{name}_{scheduler_name}"
                shutil.rmtree(folder, ignore_errors=True)
                WanPipeline(scheduler=scheduler, **parts).save_pretrained(folder)
                if folder.name == "one_unipc":
                    shutil.copytree(folder, out / "one_tokenizer_json", dirs_exist_ok=True)
                # transformers 5 saves tokenizer.json alone; the published Wan directories have both.
                shutil.copy(Path(scratch) / "spiece.model", folder / "tokenizer")


def make_cases():
    cases = []

    def add(name, prompt, size, guidance, seed, negative="", steps=6):
        cases.append(dict(name=f"{model}_{name}", model=model, prompt=prompt, negative=negative, width=size[0], height=size[1], steps=steps,
                          guidance=guidance, seed=seed))

    for model in ("one_unipc", "one_euler", "two_unipc", "two_euler"):
        add("english", ENGLISH, (80, 64), [4.0], 1)
        add("chinese", CHINESE, (128, 64), [4.0], 2)
        add("empty", "", (64, 128), [4.0], 3)
        add("english_unguided", ENGLISH, (128, 64), [1.0], 2**40 + 5)
        add("chinese_unguided", CHINESE, (80, 64), [1.0], 42)
        add("empty_unguided", "", (16, 16), [1.0], 7)
        add("negative", CHINESE, (48, 80), [3.5], 8, negative=NEGATIVE)
        add("one_step", ENGLISH, (64, 64), [2.0], 9, steps=1)
        if model == "one_unipc":
            add("long", LONG, (64, 64), [4.0], 10)
            add("unknown", UNKNOWN, (64, 64), [4.0], 11)
        if model.startswith("two"):
            add("guidance_each", ENGLISH, (80, 64), [4.0, 2.0], 12)
    model = "one_tokenizer_json"
    add("chinese", CHINESE, (80, 64), [4.0], 13)
    add("unknown", UNKNOWN, (64, 64), [4.0], 14)
    return cases


def write_references(out):
    (out / "reference").mkdir(exist_ok=True)
    cases, pipelines = make_cases(), {}
    for case in cases:
        if case["model"] not in pipelines:
            pipelines[case["model"]] = load_pipeline(out / case["model"])
        latents, picture = draw_with_diffusers(pipelines[case["model"]], case)
        save_file({"latents": latents.contiguous(), "picture": picture.contiguous()}, out / "reference" / f"{case['name']}.safetensors")
        Image.fromarray(to_bytes(picture)).save(out / "reference" / f"{case['name']}.png")
        print(f"{case['name']:32} latents |x| {latents.abs().mean():.3f}  picture mean {picture.mean():.3f} std {picture.std():.3f}", flush=True)
    (out / "cases.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: pipelines.py OUT")
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    write_directories(out)
    write_references(out)


if __name__ == "__main__":
    main()
