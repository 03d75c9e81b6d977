"""AutoencoderKLWan for one frame: encode, decode and every gradient of both -> vae_wan, vae_wan_patch, vae_wan_residual.

Encoding: inputs.sample [B, 3, 1, H, W] -> outputs.mean, outputs.logvar [B, Z, 1, h, w]; loss mean((mean - targets.mean)^2) +
mean((logvar - targets.logvar)^2) gives grads.* of encoder.* and quant_conv.*.
Decoding: inputs.latents [B, Z, 1, h, w] -> outputs.sample, clamped to [-1, 1] as diffusers does; loss mean((sample - targets.sample)^2)
gives grads.* of decoder.* and post_quant_conv.*. The last convolution is scaled so that few values are clamped ("clamped" in the JSON).
The JSON's "no_grad" names the parameters that one frame never touches: the temporal convolutions (time_conv).
"""

import torch
from common import parameters_and_grads, plain_config, randn, randomise, save, without_grad
from diffusers import AutoencoderKLWan

SIZES = dict(base_dim=4, z_dim=4, dim_mult=[1, 2, 3], num_res_blocks=1, temperal_downsample=[False, True],
             latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.5, 0.8, 1.1, 2.0])
CASES = {
    "vae_wan": {"config": SIZES | dict(scale_factor_spatial=4), "sample": (2, 3, 1, 24, 16), "latents": (2, 4, 1, 3, 5)},
    # Two residual blocks a level, pixels gathered two by two, decoder wider than the encoder.
    "vae_wan_patch": {
        "config": SIZES | dict(dim_mult=[1, 2], temperal_downsample=[True], num_res_blocks=2, decoder_base_dim=6, patch_size=2,
                               in_channels=12, out_channels=12, scale_factor_spatial=4),
        "sample": (1, 3, 1, 20, 12), "latents": (1, 4, 1, 5, 3),
    },
    "vae_wan_residual": {"config": SIZES | dict(is_residual=True, dim_mult=[1, 2, 2], scale_factor_spatial=4), "sample": (1, 3, 1, 16, 24), "latents": (1, 4, 1, 4, 3)},
}


def make(name, case, seed):
    model = randomise(AutoencoderKLWan(**case["config"]), seed)
    with torch.no_grad():
        model.decoder.conv_out.weight.mul_(0.5)
    sample, latents = randn(case["sample"], seed + 1, 0.5), randn(case["latents"], seed + 2)

    posterior = model.encode(sample).latent_dist
    mean_target, logvar_target = randn(posterior.mean.shape, seed + 3), randn(posterior.mean.shape, seed + 4)
    encode_loss = ((posterior.mean - mean_target) ** 2).mean() + ((posterior.logvar - logvar_target) ** 2).mean()
    encode_loss.backward()

    decoded = model.decode(latents).sample
    decode_target = randn(decoded.shape, seed + 5, 0.5)
    decode_loss = ((decoded - decode_target) ** 2).mean()
    decode_loss.backward()
    save(name, parameters_and_grads(model) | {
        "inputs.sample": sample, "outputs.mean": posterior.mean, "outputs.logvar": posterior.logvar,
        "targets.mean": mean_target, "targets.logvar": logvar_target,
        "inputs.latents": latents, "outputs.sample": decoded, "targets.sample": decode_target,
    }, {
        "config": plain_config(model), "encode_loss": encode_loss.item(), "decode_loss": decode_loss.item(),
        "loss_formula": "encode: mean((mean - target)^2) + mean((logvar - target)^2); decode: mean((sample - target)^2)",
        "clamped": (decoded.abs() >= 1).float().mean().item(), "no_grad": without_grad(model),
    })


def main():
    for index, (name, case) in enumerate(CASES.items()):
        make(name, case, 2000 + 100 * index)


if __name__ == "__main__":
    main()
