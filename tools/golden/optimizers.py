"""One-parameter trajectories -> optimizers.

adamw.*: torch.optim.AdamW on a vector; muon*.*: Muon on matrices, tall and wide.
  <case>.start, <case>.grads [k, ...], <case>.params [k, ...]: the parameter after each of the k steps on the given gradients.
Muon (f32, momentum m, nesterov): b = m b + (1 - m) g;  u = (1 - m) g + m b;  o = newton_schulz(u);
  p = p (1 - lr wd) - lr * ratio * o,  ratio = 0.2 sqrt(max(rows, columns)) (match_rms_adamw) or sqrt(max(1, rows / columns)) (original).
newton_schulz: x = u / max(|u|, eps), transposed if tall; k times: s = x x^T, x = a x + (b s + c s s) x.
torch.optim.Muon iterates in bf16: <case>.params_torch is its result, params the same formula in f32 throughout.
"""

import torch
from common import randn, save

ADAMW = {
    "adamw": dict(lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01),
    "adamw_no_decay": dict(lr=3e-2, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0),
}
MUON = {
    "muon_tall": ((10, 6), dict(lr=1.5e-3, momentum=0.95, nesterov=True, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")),
    "muon_wide": ((5, 17), dict(lr=2e-2, momentum=0.9, nesterov=True, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")),
    "muon_original": ((12, 3), dict(lr=2e-2, momentum=0.95, nesterov=False, weight_decay=0.01, adjust_lr_fn="original")),
}
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
EPSILON = 1e-7
NEWTON_SCHULZ_STEPS = 5
STEPS = 6


def run(optimizer_class, start, grads, options):
    parameter = torch.nn.Parameter(start.clone())
    optimizer = optimizer_class([parameter], **options)
    params = []
    for grad in grads:
        parameter.grad = grad.clone()
        optimizer.step()
        params.append(parameter.detach().clone())
    return torch.stack(params)


def newton_schulz(update):
    a, b, c = COEFFICIENTS
    tall = update.shape[0] > update.shape[1]
    x = update.T if tall else update
    x = x / x.norm().clamp(min=EPSILON)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def muon_f32(start, grads, lr, momentum, nesterov, weight_decay, adjust_lr_fn):
    rows, columns = start.shape
    ratio = 0.2 * max(rows, columns) ** 0.5 if adjust_lr_fn == "match_rms_adamw" else max(1, rows / columns) ** 0.5
    parameter, buffer, params = start.clone(), torch.zeros_like(start), []
    for grad in grads:
        buffer = momentum * buffer + (1 - momentum) * grad
        update = (1 - momentum) * grad + momentum * buffer if nesterov else buffer
        parameter = parameter * (1 - lr * weight_decay) - lr * ratio * newton_schulz(update)
        params.append(parameter)
    return torch.stack(params)


def main():
    tensors = {}
    for index, (name, options) in enumerate(ADAMW.items()):
        start, grads = randn(37, 10 * index), randn((STEPS, 37), 10 * index + 1)
        tensors |= {f"{name}.start": start, f"{name}.grads": grads, f"{name}.params": run(torch.optim.AdamW, start, grads, options)}
    for index, (name, (shape, options)) in enumerate(MUON.items()):
        start, grads = randn(shape, 100 + 10 * index), randn((STEPS, *shape), 101 + 10 * index)
        params, params_torch = muon_f32(start, grads, **options), run(torch.optim.Muon, start, grads, options)
        worst = ((params - params_torch).norm() / (params_torch - start).norm()).item()
        assert worst < 0.02, (name, worst)  # bf16 rounding only
        tensors |= {f"{name}.start": start, f"{name}.grads": grads, f"{name}.params": params, f"{name}.params_torch": params_torch}
    options = ADAMW | {name: case[1] for name, case in MUON.items()}
    save("optimizers", tensors, {"options": options, "muon": {"coefficients": COEFFICIENTS, "eps": EPSILON, "steps": NEWTON_SCHULZ_STEPS}})


if __name__ == "__main__":
    main()
