"""UMT5EncoderModel, T5EncoderModel, CLIPTextModel: forward and every gradient -> umt5, t5_gated, t5_relu, clip_text, clip_text_gelu.

inputs.input_ids [B, L] int64, inputs.attention_mask [B, L] int64 -> outputs.last_hidden_state [B, L, D] (and outputs.pooler_output for CLIP).
Positions with mask 0 hold values that mean nothing; loss = mean(((last_hidden_state - target) * mask)^2), the mean over all B * L * D.
"""

import torch
from common import generator, parameters_and_grads, plain_config, randn, randomise, save
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

# Few buckets and a short maximal distance, so that 13 positions reach the exact, the logarithmic and the saturated buckets.
T5_SIZES = dict(vocab_size=60, d_model=32, d_kv=6, num_heads=4, d_ff=48, num_layers=2, relative_attention_num_buckets=8,
                relative_attention_max_distance=10, dropout_rate=0.0, layer_norm_epsilon=1e-6)
CLIP_SIZES = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=16,
                  attention_dropout=0.0, bos_token_id=62, eos_token_id=63, pad_token_id=63)
CASES = {
    "umt5": (UMT5EncoderModel, UMT5Config(**T5_SIZES, feed_forward_proj="gated-gelu")),
    "t5_gated": (T5EncoderModel, T5Config(**T5_SIZES, feed_forward_proj="gated-gelu")),
    "t5_relu": (T5EncoderModel, T5Config(**T5_SIZES, feed_forward_proj="relu")),
    "clip_text": (CLIPTextModel, CLIPTextConfig(**CLIP_SIZES, hidden_act="quick_gelu")),
    "clip_text_gelu": (CLIPTextModel, CLIPTextConfig(**CLIP_SIZES, hidden_act="gelu")),
}
LENGTH = 13
LENGTHS = [13, 6]


def make(name, model_class, config, seed):
    model = randomise(model_class(config), seed)
    is_clip = model_class is CLIPTextModel
    ids = torch.randint(3, 60, (len(LENGTHS), LENGTH), generator=generator(seed + 1))
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        mask[row, :length] = 1
        ids[row, length - 1] = 63 if is_clip else 1  # end of text
        ids[row, length:] = 63 if is_clip else 0  # padding

    output = model(input_ids=ids, attention_mask=mask)
    states = output.last_hidden_state
    target = randn(states.shape, seed + 2)
    loss = (((states - target) * mask[..., None]) ** 2).mean()
    loss.backward()
    tensors = parameters_and_grads(model) | {
        "inputs.input_ids": ids, "inputs.attention_mask": mask, "outputs.last_hidden_state": states, "targets.last_hidden_state": target,
    }
    if is_clip:
        tensors["outputs.pooler_output"] = output.pooler_output
    save(name, tensors, {
        "class": model_class.__name__, "config": plain_config(model), "loss": loss.item(),
        "loss_formula": "mean(((last_hidden_state - target) * attention_mask[..., None])^2)",
    })


def main():
    for index, (name, (model_class, config)) in enumerate(CASES.items()):
        make(name, model_class, config, 1000 + 100 * index)


if __name__ == "__main__":
    main()
