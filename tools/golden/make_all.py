"""Regenerates every committed fixture in tests/golden: `python tools/golden/make_all.py` in an environment with the packages of README.md."""

import image_files
import mojibake
import optimizers
import samplers
import text_encoders
import tokenizers_and_prompts
import torch_randn
import training_steps
import vae_wan
import wan_transformer

if __name__ == "__main__":
    for module in (wan_transformer, text_encoders, vae_wan, tokenizers_and_prompts, image_files, mojibake, torch_randn, samplers, optimizers, training_steps):
        module.main()
