#include "engine/train/trainee.h"

#include <cstring>

#include "engine/core/error.h"
#include "engine/io/safetensors.h"

namespace baton {
namespace {

NamedTensors named(const Parameters& parameters) {
  NamedTensors tensors;
  for (const Parameter& p : parameters) tensors.emplace_back(p.name, p.value.detach());
  return tensors;
}

// Overwrites the values in place: models hold the same tensors.
void read_into(const Parameters& parameters, const Path& path) {
  const SafetensorsFile file(path);
  check(file.names().size() == parameters.size(), "{}: {} tensors, expected {}", path.string(), file.names().size(),
        parameters.size());
  for (const Parameter& p : parameters) {
    const Tensor stored = file.tensor(p.name);
    check(stored.shape() == p.value.shape() && stored.dtype() == p.value.dtype(), "{}: {} is {} {}, expected {} {}",
          path.string(), p.name, name(stored.dtype()), stored.shape(), name(p.value.dtype()), p.value.shape());
    std::memcpy(p.value.raw(), stored.raw(), stored.bytes());
  }
}

void copy_values(const Parameters& from, const Parameters& to) {
  check(from.size() == to.size(), "training: {} parameters cannot become {}", from.size(), to.size());
  for (size_t i = 0; i < from.size(); ++i) {
    check(from[i].name == to[i].name && from[i].value.shape() == to[i].value.shape(),
          "training: {} {} cannot become {} {}", from[i].name, from[i].value.shape(), to[i].name, to[i].value.shape());
    std::memcpy(to[i].value.raw(), from[i].value.raw(), from[i].value.bytes());
  }
}

}  // namespace

Trainee::Trainee(std::string name, const Parameters& parameters, const OptimizerConfig& config, DType compute)
    : name_(std::move(name)),
      parameters_(parameters),
      optimizer_(parameters, config, compute),
      averaged_(config.ema > 0) {}

void Trainee::save(const Path& folder) const {
  write_safetensors(folder / "weights.safetensors", named(parameters_));
  if (averaged_) write_safetensors(folder / "ema.safetensors", named(averages()));
  write_safetensors(folder / "optimizer.safetensors", named(optimizer_state()));
}

void Trainee::load(const Path& folder) {
  read_into(parameters_, folder / "weights.safetensors");
  if (averaged_) read_into(averages(), folder / "ema.safetensors");
  read_into(optimizer_state(), folder / "optimizer.safetensors");
}

void Trainee::copy_from(const Trainee& other) {
  copy_values(other.parameters_, parameters_);
  if (averaged_) copy_values(other.averages(), averages());
  copy_values(other.optimizer_state(), optimizer_state());
}

}  // namespace baton
