#pragma once

#include <string>
#include <vector>

#include "engine/config/visitor.h"

// The options of `baton generate`: each is a flag (--init-image), a key of a YAML config (init_image) and an override.
// What each means stands in visit() (generate_config.cpp).
namespace baton {

enum class NoiseSource { torch, philox };

// What decides the picture. Every PNG of ours carries it, and it is all that --like takes from one, which may come from
// a stranger: no path, nothing that is read or written, belongs here.
struct PictureConfig {
  std::string prompt;
  std::string negative;
  std::string size;   // "WxH"; empty: the model's
  int64_t steps = 0;  // 0: the model's
  std::vector<int64_t> steps_per_expert;
  std::vector<double> boundaries;
  std::vector<double> guidance;
  std::string sampler;
  double shift = 0;  // 0: the model's
  std::vector<double> sigmas;
  int64_t seed = -1;  // random
  NoiseSource rng = NoiseSource::torch;
  double strength = 0.6;
  int64_t tile = 512;  // pixels
};

struct GenerateConfig : PictureConfig {
  std::string model;  // empty: $BATON_MODEL, else the model in assets/
  std::string out;
  std::string prompt_file;
  int64_t count = 1;
  int64_t batch = 1;
  std::string init_image;
  std::string latents_out;
  std::string from_latents;
  std::string like;
  bool dry_run = false;
  bool json = false;
};

void visit(ConfigVisitor& v, PictureConfig& config);
void visit(ConfigVisitor& v, GenerateConfig& config);

// For --like, whose settings are what the flags are read over. Steps, and where the experts take over, are said in
// several ways: by steps and boundaries, by steps_per_expert, or by sigmas. `stored` without what `given` says in
// another way, or by prompt_file; `given` is what the flags make of no_schedule(), whose values no flag can have.
PictureConfig no_schedule();
PictureConfig without_overridden(PictureConfig stored, const GenerateConfig& given);

// Throws InputError when values do not fit each other.
void resolve(GenerateConfig& config);

}  // namespace baton
