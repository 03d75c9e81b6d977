#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/config/generate_config.h"
#include "engine/diffusion/sampler.h"
#include "pipelines/expert_cache.h"
#include "pipelines/prompt_encoder.h"

namespace baton {

// One picture to draw: its texts as rows of the TextStates, and its seed.
struct PictureRequest {
  int64_t prompt = 0, negative = 0;
  uint64_t seed = 0;
};

// How all pictures of a batch are drawn.
struct DrawPlan {
  int64_t width = 0, height = 0;  // pixels
  SamplerConfig sampler;
  ExpertRanges ranges;
  std::vector<Step> steps;
  NoiseSource rng = NoiseSource::torch;
  int64_t tile = 512;
};

// Draws pictures with a pipeline's experts: one forward pass for a whole batch and for both halves of guidance.
class TextToImage {
 public:
  // `keep_experts`: see ExpertCache. The ranks of a replica draw the same pictures together.
  TextToImage(const PipelineDirectory& model, DType compute, bool keep_experts, const Layout& layout = {});

  TextStates encode(const std::vector<std::string>& texts) const;

  Shape latents_shape(const DrawPlan& plan, int64_t pictures) const;  // [B, C, 1, h, w]
  // Noise of the latents, picture by picture: a picture depends on its own seed alone.
  Tensor noise(const DrawPlan& plan, const std::vector<PictureRequest>& pictures) const;

  // Loads an expert now; denoise() otherwise does when it comes to it.
  void load(int expert) { experts_.get(expert); }

  using AfterStep = std::function<void(const Step&)>;
  // Takes a run up to step `end` of the plan, where latents are clean after the last. Throws RunError naming step,
  // expert and first bad layer if a value is not finite.
  void denoise(const DrawPlan& plan, const TextStates& texts, const std::vector<PictureRequest>& pictures,
               Trajectory& run, size_t end, const AfterStep& after_step);

  // Clean latents of the denoiser -> pictures [B, 3, 1, H, W] in [0, 1]. This and encode_pictures: RunError if a value
  // is not finite.
  Tensor decode(const Tensor& latents, int64_t tile);
  // Pictures [B, 3, 1, H, W] in [0, 1] -> latents of the denoiser: the mean of the posterior, as diffusers takes it.
  Tensor encode_pictures(const Tensor& pictures);

 private:
  struct Conversation;  // what the experts have read of a batch's texts
  const WanVae& vae();

  const PipelineDirectory& model_;
  DType compute_;
  Layout layout_;
  ExpertCache experts_;
  std::unique_ptr<WanVae> vae_;
};

}  // namespace baton
