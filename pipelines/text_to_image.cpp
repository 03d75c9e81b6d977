#include "pipelines/text_to_image.h"

#include <algorithm>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/core/torch_random.h"
#include "engine/diffusion/guidance.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/finite.h"
#include "engine/ops/reduce.h"
#include "engine/ops/view.h"
#include "engine/parallel/region.h"

namespace baton {

// Keys and values of the texts change with the expert, not with the step. Rows: the conditional half of all pictures,
// then (where guidance is on) the unconditional half; with two ranks on axis cfg each has one of the halves.
struct TextToImage::Conversation {
  const TextStates& texts;
  const std::vector<PictureRequest>& pictures;
  const Group& cfg;
  int expert = -1;
  bool guided = false;
  TextContext context;

  const TextContext& read_by(const WanTransformer& model, int by, bool with_guidance) {
    if (by == expert && with_guidance == guided) return context;
    std::vector<int32_t> rows;
    const bool shared = with_guidance && cfg.size() == 2;
    if (!shared || cfg.rank() == 0)
      for (const PictureRequest& p : pictures) rows.push_back(static_cast<int32_t>(p.prompt));
    if (with_guidance && (!shared || cfg.rank() == 1))
      for (const PictureRequest& p : pictures) rows.push_back(static_cast<int32_t>(p.negative));
    const Tensor index = Tensor::from_ids(rows, {static_cast<int64_t>(rows.size())});
    context = model.encode_text(texts.states, texts.count);  // each text once, whatever the number of pictures
    for (std::vector<Tensor>* of_blocks : {&context.key, &context.value})
      for (Tensor& x : *of_blocks)
        if (x) x = gather_rows(x, index);  // else another pipeline stage has the block
    context.count = gather_rows(context.count, index);
    expert = by;
    guided = with_guidance;
    return context;
  }
};

namespace {

// A value is not finite: runs the step again with every block checked, to name the first bad layer.
[[noreturn]] void explain_bad_value(WanTransformer& model, const Tensor& latents, const Tensor& time,
                                    const TextContext& text, const Step& step) {
  std::string layer = "after the last block";
  try {
    model.set_check_finite(true);
    model(latents, time, text);
  } catch (const RunError& error) {
    layer = error.what();
  }
  fail_run("step {} (t = {:.4f}), expert {}: the prediction has a value that is not finite: {}", step.index, step.t,
           step.expert, layer);
}

}  // namespace

TextToImage::TextToImage(const PipelineDirectory& model, DType compute, bool keep_experts, const Layout& layout)
    : model_(model), compute_(compute), layout_(layout), experts_(model, compute, keep_experts, layout) {}

TextStates TextToImage::encode(const std::vector<std::string>& texts) const {
  return PromptEncoder(model_, compute_).encode(texts);
}

Shape TextToImage::latents_shape(const DrawPlan& plan, int64_t pictures) const {
  const WanVaeConfig& vae = model_.vae_config();
  return {pictures, vae.z_dim, 1, plan.height / vae.scale_factor_spatial, plan.width / vae.scale_factor_spatial};
}

Tensor TextToImage::noise(const DrawPlan& plan, const std::vector<PictureRequest>& pictures) const {
  const int64_t batch = std::ssize(pictures);
  const Tensor latents = Tensor::empty(latents_shape(plan, batch));
  const int64_t each = latents.numel() / batch;
  for (int64_t i = 0; i < batch; ++i) {
    const std::span<float> own(latents.data<float>() + i * each, each);
    if (plan.rng == NoiseSource::torch)
      TorchGenerator(pictures[i].seed).randn(own);
    else
      random_normal(own, pictures[i].seed, 0);
  }
  return latents;
}

void TextToImage::denoise(const DrawPlan& plan, const TextStates& texts, const std::vector<PictureRequest>& pictures,
                          Trajectory& run, size_t end, const AfterStep& after_step) {
  NoGrad off;
  Group& cfg = layout_.on(Axis::cfg);
  Conversation conversation{texts, pictures, cfg};
  const int64_t batch = run.latents.dim(0);
  const auto velocity = [&](const Tensor& x, const Step& step) {
    WanTransformer& expert = experts_.get(step.expert);
    const bool with_guidance = guided(step.guidance);
    const TextContext& context = conversation.read_by(expert, step.expert, with_guidance);
    const bool both = with_guidance && cfg.size() == 1;
    const Tensor time = Tensor::full({both ? 2 * batch : batch}, step.timestep);
    const Tensor input = both ? concat({x, x}, 0) : x, mine = expert(input, time, context);
    const Tensor out = with_guidance && !both ? collect(mine, 0, 2 * batch, cfg) : mine;
    if (!all_finite(out)) explain_bad_value(expert, input, time, context, step);
    return with_guidance ? guide(narrow(out, 0, 0, batch), narrow(out, 0, batch, batch), step.guidance) : out;
  };
  const auto prefetch_and_report = [&](const Step& step, const Tensor&) {
    const size_t next = static_cast<size_t>(&step - plan.steps.data()) + 2;
    if (next < end && plan.steps[next].expert != step.expert) experts_.prefetch(plan.steps[next].expert);
    after_step(step);
  };
  sample(plan.sampler, plan.steps, run, end, velocity, prefetch_and_report);
}

const WanVae& TextToImage::vae() {
  if (!vae_) vae_ = model_.load_vae(compute_);
  return *vae_;
}

Tensor TextToImage::decode(const Tensor& latents, int64_t tile) {
  NoGrad off;
  const Tensor pictures = vae().decode_tiled(vae().denormalize(latents), tile);
  check_finite(pictures, fmt::format("{}: a decoded picture", (model_.path() / "vae").string()));
  return clamp(affine(pictures, 0.5f, 0.5f), 0, 1);
}

Tensor TextToImage::encode_pictures(const Tensor& pictures) {
  NoGrad off;
  const Tensor latents = vae().normalize(vae().encode(affine(pictures, 2, -1)).mean);
  check_finite(latents, fmt::format("{}: the latents of a picture", (model_.path() / "vae").string()));
  return latents;
}

}  // namespace baton
