"""Shared by the fixture makers: random weights that exercise every path, and one way to write a fixture.

A fixture is tests/golden/<name>.safetensors plus <name>.json. The tensors' names start with what they are:
  weights.<parameter>       under the name that diffusers or transformers saves it with
  grads.<parameter>         d loss / d parameter, same shape; zeros where the parameter takes no part
  inputs.<name>             what the model was called with
  outputs.<name>            what it returned
  targets.<name>            what the loss compares with
  input_grads.<name>        d loss / d input
The JSON holds "config" (what config.json would hold), "loss" (its value), "loss_formula" and remarks.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "golden"


def generator(seed):
    return torch.Generator("cpu").manual_seed(seed)


def randn(shape, seed, scale=1.0):
    return scale * torch.randn(shape, generator=generator(seed))


@torch.no_grad()
def randomise(module, seed):
    """Overwrites every parameter so that none hides behind a zero or a one. Parameters with several tied names are drawn once."""
    source = generator(seed)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=source)
        leaf = name.rsplit(".", 1)[-1]
        if leaf == "scale_shift_table":
            parameter.copy_(0.5 * noise)
        elif leaf == "bias":
            parameter.copy_(0.1 * noise)
        elif leaf == "gamma" or (leaf == "weight" and parameter.ndim == 1):  # norms
            parameter.copy_(1 + 0.2 * noise)
        elif "embed" in name and parameter.ndim == 2 and "embedder" not in name:  # lookup tables
            parameter.copy_(0.7 * noise)
        elif "relative_attention_bias" in name or name == "shared.weight":
            parameter.copy_(0.7 * noise)
        else:
            parameter.copy_(noise / (parameter.numel() / parameter.shape[0]) ** 0.5)
    return module.eval()


def parameters_and_grads(module):
    """weights.* and grads.* of a module after backward."""
    tensors = {}
    for name, parameter in module.named_parameters():
        tensors[f"weights.{name}"] = parameter.detach()
        tensors[f"grads.{name}"] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return tensors


def without_grad(module):
    """Names of the parameters that backward did not reach."""
    return sorted(name for name, parameter in module.named_parameters() if parameter.grad is None)


def plain_config(model):
    """The configuration without the bookkeeping keys."""
    config = model.config.to_dict() if hasattr(model.config, "to_dict") else dict(model.config)
    return {key: value for key, value in config.items() if not key.startswith("_")}


def save(name, tensors, description):
    FOLDER.mkdir(parents=True, exist_ok=True)
    tensors = {key: tensor.detach().contiguous().clone() for key, tensor in sorted(tensors.items())}
    save_file(tensors, FOLDER / f"{name}.safetensors")
    (FOLDER / f"{name}.json").write_text(json.dumps(description, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    (FOLDER / f"{name}.safetensors").chmod(0o644)
    size = (FOLDER / f"{name}.safetensors").stat().st_size
    print(f"{name}: {len(tensors)} tensors, {size / 1e3:.0f} kB")
