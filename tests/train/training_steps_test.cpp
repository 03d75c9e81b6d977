#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/autograd/tape.h"
#include "engine/diffusion/objective.h"
#include "engine/io/model_config.h"
#include "engine/models/wan_transformer.h"
#include "engine/ops/reduce.h"
#include "engine/train/optimizer.h"
#include "tests/models/golden.h"

namespace baton {
namespace {

using test::Golden;
using test::relative_error;

Tensor batch_of(Golden& golden, const std::string& name, int64_t step) {
  const Tensor all = golden.get("batches." + name);
  const Shape shape(all.shape().begin() + 1, all.shape().end());
  return all.alias(shape, contiguous_stride(shape), step * numel(shape));
}

Tensor timesteps(const std::vector<float>& times) {
  const Tensor result = Tensor::empty({static_cast<int64_t>(times.size())});
  for (size_t i = 0; i < times.size(); ++i) result.data<float>()[i] = 1000 * times[i];
  return result;
}

// Ten steps of flow matching with AdamW and clipping follow PyTorch's.
TEST(TrainingSteps, ArePyTorchs) {
  Golden golden("training_steps");
  const WanTransformerConfig config = read_wan_transformer_config(golden.config_file());
  const WanTransformer start(config, golden, DType::f32);
  CopiedParameters source(start.parameters(), true);
  const WanTransformer model(config, source, DType::f32);

  const Json& options = golden.description()["options"];
  OptimizerConfig optimizer_config;
  optimizer_config.adamw = {options["lr"], options["betas"][0], options["betas"][1], options["eps"],
                            options["weight_decay"]};
  optimizer_config.muon.lr = 0;
  optimizer_config.clip = golden.description()["clip_norm"];
  Optimizer optimizer(model.parameters(), optimizer_config, DType::f32);

  const std::vector<float> losses = golden.get("outputs.losses").to_vector(),
                           norms = golden.get("outputs.grad_norms").to_vector();
  for (size_t step = 0; step < losses.size(); ++step) {
    const Tensor image = batch_of(golden, "image", step), noise = batch_of(golden, "noise", step);
    const std::vector<float> times = batch_of(golden, "time", step).to_vector();
    const Tensor noisy = noised(image, noise, std::vector<double>(times.begin(), times.end()));
    const TextContext text = model.encode_text(batch_of(golden, "text", step), {});
    const Tensor loss = mean(flow_loss(model(noisy, timesteps(times), text), flow_target(image, noise)));
    EXPECT_NEAR(loss.item() / losses[step], 1, 1e-4) << "step " << step;
    backward(loss);
    const double norm = gradient_norm(model.parameters());
    EXPECT_NEAR(norm / norms[step], 1, 1e-4) << "step " << step;
    optimizer.step(1, norm);
  }
  for (const Parameter& p : model.parameters())
    EXPECT_LE(relative_error(p.value, golden.get("final." + p.name)), 1e-4) << p.name;
}

}  // namespace
}  // namespace baton
