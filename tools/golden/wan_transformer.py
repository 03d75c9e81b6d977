"""WanTransformer3DModel: forward and every gradient -> wan_transformer, wan_transformer_plain.

inputs.hidden_states [B, C, 1, H, W], inputs.timestep [B], inputs.encoder_hidden_states [B, L, text_dim] (the last rows are zero, as the
pipeline's padding is) -> outputs.sample. loss = mean((sample - targets.sample)^2).
"""

import torch
from common import parameters_and_grads, plain_config, randn, randomise, save
from diffusers import WanTransformer3DModel

CASES = {
    "wan_transformer": {
        "config": dict(patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=20, in_channels=16, out_channels=16, text_dim=24,
                       freq_dim=32, ffn_dim=64, num_layers=2, cross_attn_norm=True, eps=1e-6, rope_max_seq_len=1024),
        "latents": (2, 16, 1, 10, 8), "timestep": [731.25, 58.5], "text": (2, 7, 24), "text_lengths": [4, 6],
    },
    # No cross-attention norm, another patch, unequal channels, a head size whose thirds differ, an odd latent, integer timesteps.
    "wan_transformer_plain": {
        "config": dict(patch_size=(1, 1, 3), num_attention_heads=3, attention_head_dim=14, in_channels=3, out_channels=5, text_dim=18,
                       freq_dim=24, ffn_dim=50, num_layers=1, cross_attn_norm=False, eps=1e-5, rope_max_seq_len=16),
        "latents": (3, 3, 1, 5, 9), "timestep": [999.0, 0.0, 417.0], "text": (3, 5, 18), "text_lengths": [5, 1, 3],
    },
}


def make(name, case, seed):
    model = randomise(WanTransformer3DModel(**case["config"]), seed)
    latents = randn(case["latents"], seed + 1).requires_grad_()
    text = randn(case["text"], seed + 2)
    for row, length in enumerate(case["text_lengths"]):
        text[row, length:] = 0
    text.requires_grad_()
    timestep = torch.tensor(case["timestep"])

    sample = model(latents, timestep, text, return_dict=False)[0]
    target = randn(sample.shape, seed + 3)
    loss = ((sample - target) ** 2).mean()
    loss.backward()
    tensors = parameters_and_grads(model) | {
        "inputs.hidden_states": latents, "inputs.timestep": timestep, "inputs.encoder_hidden_states": text,
        "input_grads.hidden_states": latents.grad, "input_grads.encoder_hidden_states": text.grad,
        "outputs.sample": sample, "targets.sample": target,
    }
    save(name, tensors, {
        "config": plain_config(model), "loss": loss.item(), "loss_formula": "mean((sample - target)^2)", "text_lengths": case["text_lengths"],
    })


def main():
    for index, (name, case) in enumerate(CASES.items()):
        make(name, case, 100 * (index + 1))


if __name__ == "__main__":
    main()
