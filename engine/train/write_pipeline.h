#pragma once

#include <vector>

#include "engine/config/train_config.h"
#include "engine/diffusion/experts.h"
#include "engine/io/file.h"
#include "engine/models/t5_encoder.h"
#include "engine/models/wan_transformer.h"
#include "engine/nn/parameters.h"

namespace baton {

// What a pipeline folder is made of.
struct PipelineParts {
  Path vae, tokenizer;  // folders, copied; the autoencoder's weights become bf16 as well
  Path start;           // pipeline whose scheduler is taken over, with `shift`; empty: UniPC
  T5EncoderConfig text_config;
  const Parameters* text_encoder;
  WanTransformerConfig transformer;
  std::vector<const Parameters*> experts;  // noisiest first
  ExpertRanges ranges;
  double shift = 1;        // of the scheduler
  int64_t max_tokens = 0;  // of a text, padding included
  int64_t size = 0;        // side of the pictures
  SamplingConfig sampling;
};

// Writes a WanPipeline as diffusers saves it, extended to any number of experts (engine/io/pipeline_directory.h), with
// weights in bf16 in files of at most 16 MiB. The folder appears only when complete.
void write_pipeline(const Path& folder, const PipelineParts& parts);

// `parameters` as model files in the folder, with bf16 values if `half`.
void write_weights(const Path& folder, const std::string& stem, const Parameters& parameters, bool half);

}  // namespace baton
