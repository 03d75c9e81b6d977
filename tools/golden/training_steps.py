"""Ten steps of flow-matching training on a tiny WanTransformer3DModel -> training_steps.

weights.*: the start; final.*: every parameter after ten steps. batches.image, batches.noise [10, B, C, 1, H, W], batches.time [10, B] in (0, 1),
batches.text [10, B, L, D]. At each step x = (1 - t) image + t noise, timestep = 1000 t, loss = mean((model(x) - (noise - image))^2); gradients
are clipped to norm 1 together; AdamW with the JSON's options on every parameter. outputs.losses [10], outputs.grad_norms [10] before clipping.
"""

import torch
from common import generator, plain_config, randn, randomise, save
from diffusers import WanTransformer3DModel

CONFIG = dict(patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=16, freq_dim=16,
              ffn_dim=32, num_layers=2, cross_attn_norm=True, eps=1e-6, rope_max_seq_len=32)
OPTIONS = dict(lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01)
STEPS, BATCH = 10, 3


def main():
    model = randomise(WanTransformer3DModel(**CONFIG), 3000)
    tensors = {f"weights.{name}": parameter.detach().clone() for name, parameter in model.named_parameters()}
    image, noise = randn((STEPS, BATCH, 4, 1, 6, 4), 3001), randn((STEPS, BATCH, 4, 1, 6, 4), 3002)
    text = randn((STEPS, BATCH, 5, 16), 3003)
    time = torch.rand((STEPS, BATCH), generator=generator(3004)) * 0.98 + 0.01

    optimizer = torch.optim.AdamW(model.parameters(), **OPTIONS)
    losses, grad_norms = [], []
    for step in range(STEPS):
        t = time[step].view(-1, 1, 1, 1, 1)
        noisy = (1 - t) * image[step] + t * noise[step]
        predicted = model(noisy, 1000 * time[step], text[step], return_dict=False)[0]
        loss = ((predicted - (noise[step] - image[step])) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        grad_norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        optimizer.step()
        losses.append(loss.item())
    tensors |= {f"final.{name}": parameter for name, parameter in model.named_parameters()}
    tensors |= {
        "batches.image": image, "batches.noise": noise, "batches.time": time, "batches.text": text,
        "outputs.losses": torch.tensor(losses), "outputs.grad_norms": torch.tensor(grad_norms),
    }
    print(" ".join(f"{loss:.4f}" for loss in losses), "| norms", " ".join(f"{norm:.2f}" for norm in grad_norms))
    save("training_steps", tensors, {"config": plain_config(model), "options": OPTIONS, "clip_norm": 1.0})


if __name__ == "__main__":
    main()
