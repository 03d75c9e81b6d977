#include "engine/config/generate_config.h"

#include "engine/core/error.h"

namespace baton {

void visit(ConfigVisitor& v, PictureConfig& c) {
  v("prompt", c.prompt, "what to draw; also the positional argument");
  v("negative", c.negative, "what the picture should not show (used where guidance is above 1)");
  v("size", c.size, "WxH in pixels (default: the model's)");
  v("steps", c.steps, "denoising steps (default: the model's, else 30)", {0, 10000});
  v("steps_per_expert", c.steps_per_expert, "steps of each expert, noisiest first; sets steps and boundaries",
    {0, 10000});
  v("boundaries", c.boundaries, "noise levels at which the experts take over, falling, one fewer than experts", {0, 1});
  v("guidance", c.guidance,
    "classifier-free guidance, one value or one per expert; 1 = off (default: the model's, else 5)", {0, 1000});
  v("sampler", c.sampler, "unipc, euler, heun or dpm++2m (default: the model's)");
  v("shift", c.shift, "flow shift of the noise schedule (default: the model's)", {0, 1000});
  v("sigmas", c.sigmas, "noise levels of the steps themselves, falling, without the final 0", {0, 1});
  v("seed", c.seed, "seed of the first picture; picture k uses seed + k (-1: a random one, which is printed)",
    {-1, INT64_MAX});
  v.choice("rng", c.rng, {"torch", "philox"},
           "torch: the noise of torch.Generator(\"cpu\"), as diffusers draws; philox: counter-keyed");
  v("strength", c.strength, "with --init-image: 0 keeps the picture, 1 forgets it", {0, 1});
  v("tile", c.tile, "decode pictures larger than this many pixels a side in tiles of this size", {64, 65536});
}

void visit(ConfigVisitor& v, GenerateConfig& c) {
  visit(v, static_cast<PictureConfig&>(c));
  v("model", c.model, "pipeline folder (default: $BATON_MODEL, else assets/model)");
  v("out", c.out,
    "PNG file, which is replaced, or folder for {seed}-{index}.png (default: picture.png, or a folder 'pictures' for "
    "several; a name that is taken gets a number: picture-2.png)");
  v("prompt_file", c.prompt_file, "read the prompt from this UTF-8 file or pipe; - is standard input");
  v("count", c.count, "number of pictures", {1, 1'000'000});
  v("batch", c.batch, "pictures per forward pass", {1, 1024});
  v("init_image", c.init_image, "start from this picture (resized to --size) instead of noise");
  v("latents_out", c.latents_out,
    "also write the final latents to this .safetensors file, or NAME-2 if it is there (key latents, [B, C, T, H, W])");
  v("from_latents", c.from_latents, "decode these latents (key latents) instead of denoising");
  v("like", c.like, "take what decides the picture from a PNG that Baton made; other flags override");
  v("dry_run", c.dry_run, "print the table of steps and experts and the memory plan, then stop");
  v("json", c.json, "one JSON object per picture on stdout instead of its path");
}

PictureConfig no_schedule() { return {.steps = -1, .steps_per_expert = {-1}, .boundaries = {-1}, .sigmas = {-1}}; }

PictureConfig without_overridden(PictureConfig stored, const GenerateConfig& given) {
  const PictureConfig none = no_schedule();
  const bool steps = given.steps != none.steps, each = given.steps_per_expert != none.steps_per_expert,
             boundaries = given.boundaries != none.boundaries, sigmas = given.sigmas != none.sigmas;
  if (each || sigmas) stored.steps = 0;
  if (each) stored.boundaries.clear();
  if (each || steps) stored.sigmas.clear();
  if (steps || boundaries || sigmas) stored.steps_per_expert.clear();
  if (!given.prompt_file.empty()) stored.prompt.clear();
  return stored;
}

void resolve(GenerateConfig& c) {
  check(c.seed <= INT64_MAX - (c.count - 1),
        "generate: seed {} and count {}: the last picture's seed, seed + count - 1, "
        "must not exceed {}",
        c.seed, c.count, INT64_MAX);
  check(c.steps_per_expert.empty() || c.boundaries.empty(), "generate: give steps_per_expert or boundaries, not both");
  check(c.sigmas.empty() || c.steps_per_expert.empty(),
        "generate: sigmas already say how many steps there are; steps_per_expert must go");
  check(c.sigmas.empty() || c.steps == 0, "generate: sigmas already say how many steps there are; steps must go");
  check(c.prompt.empty() || c.prompt_file.empty(), "generate: give a prompt or prompt_file, not both");
  check(c.seed <= INT64_MAX - (c.count - 1), "generate: seed {} + count {} is beyond the largest seed, {}", c.seed,
        c.count, INT64_MAX);
  check(c.from_latents.empty() || c.init_image.empty(), "generate: give init_image or from_latents, not both");
}

}  // namespace baton
