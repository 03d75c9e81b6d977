#pragma once

#include <string>

#include "engine/config/visitor.h"
#include "engine/parallel/pipeline.h"

namespace baton {

// The options of `baton plan`; what each means stands in visit() (plan_config.cpp). Zero, -1 or
// empty: as the training config says, or chosen.
enum class PlannedRecompute { as_configured, none, selective, full };
enum class PlannedText { trained, cached };

struct PlanConfig {
  std::string train_config;  // positional: of `baton train`, kind denoiser
  std::string gpt;
  std::string machine;
  std::string mesh;
  bool search = false;
  int64_t ranks = 0;
  int64_t global_batch = 0;
  int64_t micro_batch = 0;
  int64_t interleave = 1;
  int64_t recompute_every = 0;  // 0: as configured
  PipelineOrder order = PipelineOrder::one_f_one_b;
  PlannedRecompute recompute = PlannedRecompute::as_configured;
  bool sequence_parallel = false;
  int64_t zero = -1;
  int64_t tokens = 0;
  PlannedText text = PlannedText::trained;
  bool calibrate = false;
  bool json = false;
};

void visit(ConfigVisitor& v, PlanConfig& config);

// Throws InputError when options do not go together or one is missing.
void resolve(PlanConfig& config);

}  // namespace baton
