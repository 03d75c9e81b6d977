"""Schedulers of diffusers on a toy denoiser -> samplers.

For each case in the JSON ("cases": name -> class, config, steps, custom sigmas):
  <case>.sigmas [n + 1] f32, <case>.timesteps [n] f32 (as given to the denoiser), <case>.trajectory [n + 1, 1, 4, 1, 4, 4] f32, the sample before the
  first step and after each.
`initial` is the common first sample. The toy denoiser predicts the flow (noise minus image) elementwise:
  flow(x, timestep) = 0.6 * x + 0.5 * sin(0.003 * timestep + x)
Heun calls the denoiser 2 n - 1 times: its sigmas, timesteps and trajectory have one entry for each call.
Where diffusers itself runs into NaN (bh1 at a last sigma of zero: inf * 0), the trajectory ends before it and "steps_finite" < number of calls.
predict_x0 false is missing: diffusers refuses it with flow_prediction.
Mind the reference: UniPC and DPM++ truncate their timesteps to whole numbers, and UniPC's first sigma is 1 - 1e-6 in place of 1.
"""

import numpy as np
import torch
from common import randn, save
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

FLOW = dict(prediction_type="flow_prediction", use_flow_sigmas=True)


def cases():
    table = {}
    for order in (1, 2, 3):
        for solver in ("bh1", "bh2"):
            config = FLOW | dict(solver_order=order, solver_type=solver, flow_shift=3.0)
            table[f"unipc_{order}_{solver}"] = (UniPCMultistepScheduler, config, 8, None)
            table[f"unipc_{order}_{solver}_sigma_min"] = (UniPCMultistepScheduler, config | dict(final_sigmas_type="sigma_min"), 8, None)
    unipc = FLOW | dict(solver_order=2, flow_shift=5.0)
    table |= {
        "unipc_shift_1": (UniPCMultistepScheduler, unipc | dict(flow_shift=1.0), 7, None),
        "unipc_shift_5": (UniPCMultistepScheduler, unipc, 6, None),
        "unipc_one_step": (UniPCMultistepScheduler, unipc, 1, None),
        "unipc_two_steps": (UniPCMultistepScheduler, unipc | dict(solver_order=3), 2, None),
        "unipc_no_lower_order_final": (UniPCMultistepScheduler, unipc | dict(lower_order_final=False, final_sigmas_type="sigma_min"), 6, None),
        "unipc_no_corrector_at_0_2": (UniPCMultistepScheduler, unipc | dict(disable_corrector=[0, 2]), 6, None),
        "unipc_custom_sigmas": (UniPCMultistepScheduler, unipc, 4, [1.0, 0.8, 0.45, 0.1]),
        "unipc_40_steps": (UniPCMultistepScheduler, FLOW | dict(solver_order=2, flow_shift=12.0), 40, None),
        "euler_shift_1": (FlowMatchEulerDiscreteScheduler, dict(shift=1.0), 6, None),
        "euler_shift_3": (FlowMatchEulerDiscreteScheduler, dict(shift=3.0), 7, None),
        "euler_shift_5": (FlowMatchEulerDiscreteScheduler, dict(shift=5.0), 1, None),
        "euler_custom_sigmas": (FlowMatchEulerDiscreteScheduler, dict(shift=3.0), 4, [1.0, 0.8, 0.45, 0.1]),
        "heun_shift_1": (FlowMatchHeunDiscreteScheduler, dict(shift=1.0), 5, None),
        "heun_shift_3": (FlowMatchHeunDiscreteScheduler, dict(shift=3.0), 6, None),
        "dpm_2m": (DPMSolverMultistepScheduler, FLOW | dict(flow_shift=3.0), 8, None),
        "dpm_2m_shift_5_16_steps": (DPMSolverMultistepScheduler, FLOW | dict(flow_shift=5.0), 16, None),
        "dpm_2m_heun": (DPMSolverMultistepScheduler, FLOW | dict(flow_shift=3.0, solver_type="heun"), 8, None),
        "dpm_1": (DPMSolverMultistepScheduler, FLOW | dict(flow_shift=3.0, solver_order=1), 6, None),
        "dpm_3m": (DPMSolverMultistepScheduler, FLOW | dict(flow_shift=3.0, solver_order=3), 8, None),
    }
    return table


def flow(sample, timestep):
    return 0.6 * sample + 0.5 * torch.sin(0.003 * timestep + sample)


def main():
    initial = randn((1, 4, 1, 4, 4), 7)
    tensors, description = {"initial": initial}, {}
    for name, (scheduler_class, config, steps, sigmas) in cases().items():
        scheduler = scheduler_class(**config)
        if sigmas is None:
            scheduler.set_timesteps(steps)
        else:
            scheduler.set_timesteps(sigmas=np.array(sigmas))  # shifted like the default ones
        scheduler.set_begin_index(0)
        sample, trajectory = initial, [initial]
        for timestep in scheduler.timesteps:
            sample = scheduler.step(flow(sample, timestep.float()), timestep, sample, return_dict=False)[0]
            if not torch.isfinite(sample).all():
                break
            trajectory.append(sample)
        tensors[f"{name}.sigmas"] = scheduler.sigmas.float()
        tensors[f"{name}.timesteps"] = scheduler.timesteps.float()
        tensors[f"{name}.trajectory"] = torch.stack(trajectory)
        full = {key: value for key, value in dict(scheduler.config).items() if not key.startswith("_")}
        description[name] = {"class": scheduler_class.__name__, "config": full, "steps": steps, "custom_sigmas": sigmas,
                             "steps_finite": len(trajectory) - 1}
    save("samplers", tensors, {"cases": description, "denoiser": "flow(x, timestep) = 0.6 * x + 0.5 * sin(0.003 * timestep + x)"})


if __name__ == "__main__":
    main()
