#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/io/json.h"
#include "engine/io/model_config.h"
#include "engine/models/wan_vae.h"
#include "engine/train/write_pipeline.h"
#include "tests/models/tiny_models.h"
#include "tests/test_dir.h"

namespace baton::test {

// Writes a pipeline folder of random weights with the given boundaries, as training would; draws a 32 x 32 picture in
// milliseconds.
inline Path write_tiny_pipeline(const std::string& name, std::vector<double> boundaries) {
  const Path root = Path(testing::TempDir()) / name, vae_folder = Path(testing::TempDir()) / (name + "_vae");
  std::filesystem::remove_all(root);
  std::filesystem::create_directories(vae_folder);
  WanVaeConfig vae_config{.base_dim = 4,
                          .z_dim = 4,
                          .dim_mult = {1, 2},
                          .num_res_blocks = 1,
                          .temperal_downsample = {false},
                          .latents_mean = {0, 0.1f, 0.2f, 0},
                          .latents_std = {1, 2, 1, 1},
                          .scale_factor_spatial = 2};
  RandomParameters random(1);
  const WanVae vae(vae_config, random, DType::f32);
  write_json(vae_folder / "config.json", wan_vae_json(vae_config));
  write_weights(vae_folder, "diffusion_pytorch_model", vae.parameters(), false);

  const T5EncoderConfig text_config = tiny_text_encoder(200);
  const T5Encoder text(text_config, random, DType::f32);
  const WanTransformerConfig config = tiny_transformer();
  std::vector<std::unique_ptr<WanTransformer>> experts;
  PipelineParts parts{.vae = vae_folder,
                      .tokenizer = test_dir() / "golden" / "t5_tokenizer",
                      .text_config = text_config,
                      .text_encoder = &text.parameters(),
                      .transformer = config,
                      .experts = {},
                      .ranges = ExpertRanges(boundaries),
                      .shift = 3,
                      .max_tokens = 12,
                      .size = 32};
  for (int i = 0; i < parts.ranges.count(); ++i) {
    RandomParameters own(10 + i);
    experts.push_back(std::make_unique<WanTransformer>(config, own, DType::f32));
    parts.experts.push_back(&experts.back()->parameters());
  }
  write_pipeline(root, parts);
  return root;
}

}  // namespace baton::test
