"""torch.randn drawn from torch.Generator("cpu") -> torch_randn.

seed_<seed>.size_<n> [n]: torch.randn(n) in f32 from a fresh generator (below 16 values torch draws another way than from 16 on).
seed_<seed>.first [n1], seed_<seed>.second [n2]: two draws in a row from one generator, sizes in the JSON.
seed_<seed>.latents [1, 16, 1, 10, 8]: diffusers' randn_tensor as the pipeline calls it.
batch.latents [2, 4, 1, 6, 4]: randn_tensor with a list of two generators (seeds 5 and 6), one for each item.
"""

import torch
from common import generator, save
from diffusers.utils.torch_utils import randn_tensor

SEEDS = [0, 42, 2**32 + 7, 1234567890123456789, 2**64 - 1]
SIZES = [1, 5, 15, 16, 17, 31, 1000]
PAIRS = {0: (5, 3), 1: (5, 16), 2: (17, 5), 3: (16, 31), 4: (1, 1), 5: (1000, 7)}


def main():
    tensors = {}
    for seed in SEEDS:
        for size in SIZES:
            tensors[f"seed_{seed}.size_{size}"] = torch.randn(size, generator=generator(seed))
    for seed in (42, 2**64 - 1):
        tensors[f"seed_{seed}.size_4099"] = torch.randn(4099, generator=generator(seed))
    for seed, (first, second) in PAIRS.items():
        source = generator(seed)
        tensors[f"seed_{seed}.first"] = torch.randn(first, generator=source)
        tensors[f"seed_{seed}.second"] = torch.randn(second, generator=source)
    tensors["seed_42.latents"] = randn_tensor((1, 16, 1, 10, 8), generator=generator(42), dtype=torch.float32)
    tensors["batch.latents"] = randn_tensor((2, 4, 1, 6, 4), generator=[generator(5), generator(6)], dtype=torch.float32)
    save("torch_randn", tensors, {"seeds": [str(seed) for seed in SEEDS], "sizes": SIZES, "pairs": {str(k): v for k, v in PAIRS.items()}})


if __name__ == "__main__":
    main()
