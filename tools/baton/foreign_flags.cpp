#include "tools/baton/foreign_flags.h"

#include <fmt/format.h>

#include <map>

namespace baton {
namespace {

const std::map<std::string_view, std::string_view> ours{
    {"-p", "the text itself: baton generate \"a red panda\""},
    {"-n", "--negative"},
    {"--negative-prompt", "--negative"},
    {"--negative_prompt", "--negative"},
    {"-W", "--size WIDTHxHEIGHT"},
    {"-H", "--size WIDTHxHEIGHT"},
    {"--width", "--size WIDTHxHEIGHT"},
    {"--height", "--size WIDTHxHEIGHT"},
    {"-s", "--seed"},
    {"-b", "--count"},
    {"--batch-count", "--count"},
    {"--num-images", "--count"},
    {"--num_images_per_prompt", "--count"},
    {"--batch-size", "--batch"},
    {"--cfg-scale", "--guidance"},
    {"--cfg", "--guidance"},
    {"--guidance-scale", "--guidance"},
    {"--guidance_scale", "--guidance"},
    {"--num-inference-steps", "--steps"},
    {"--num_inference_steps", "--steps"},
    {"--sampling-method", "--sampler"},
    {"--scheduler", "--sampler"},
    {"--flow-shift", "--shift"},
    {"-i", "--init-image"},
    {"--init-img", "--init-image"},
    {"--denoising-strength", "--strength"},
    {"-m", "--model"},
    {"--diffusion-model", "--model"},
    {"--output", "--out"},
    {"-t", "--threads"},
    {"--type", "--dtype"},
};

const std::map<std::string_view, std::string_view> missing{
    {"--lora", "adapters"},
    {"--lora-model-dir", "adapters"},
    {"--mask", "masks"},
    {"--control-net", "control networks"},
    {"--control-image", "control networks"},
    {"--upscale-model", "upscaling"},
    {"--clip-skip", "a choice of the text encoder's layer"},
    {"--preview", "previews"},
    {"--grid", "grids"},
};

}  // namespace

std::string explain_foreign_flag(std::string_view flag) {
  flag = flag.substr(0, flag.find('='));
  if (const auto it = ours.find(flag); it != ours.end()) return fmt::format("; in Baton this is {}", it->second);
  if (const auto it = missing.find(flag); it != missing.end())
    return fmt::format("; Baton does not have {} yet", it->second);
  return {};
}

}  // namespace baton
