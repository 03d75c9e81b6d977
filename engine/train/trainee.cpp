#include "engine/train/trainee.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

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
  for (const Parameter& p : parameters) {
    const Tensor stored = file.tensor(p.name);
    check(stored.shape() == p.value.shape() && stored.dtype() == p.value.dtype(), "{}: {} is {} {}, expected {} {}",
          path.string(), p.name, name(stored.dtype()), stored.shape(), name(p.value.dtype()), p.value.shape());
    std::memcpy(p.value.raw(), stored.raw(), stored.bytes());
  }
}

// `to` may have fewer.
void copy_values(const Parameters& from, const Parameters& to) {
  for (const Parameter& p : to) {
    const Tensor& value = find(from, p.name);
    check(value.shape() == p.value.shape(), "training: {} {} cannot become {}", p.name, value.shape(), p.value.shape());
    std::memcpy(p.value.raw(), value.raw(), value.bytes());
  }
}

// The parameters that are shared out over tp, or the others.
Parameters select(const Parameters& parameters, bool sharded, const Group& tp) {
  Parameters selected;
  for (const Parameter& p : parameters)
    if ((tp.size() > 1 && p.shard != Shard::whole) == sharded) selected.push_back(p);
  return selected;
}

// The parameters that are in one of the two lists.
Parameters in_order_of(const Parameters& all, const Parameters& some, const Parameters& others) {
  std::set<std::string> names;
  for (const Parameters* list : {&some, &others})
    for (const Parameter& p : *list) names.insert(p.name);
  Parameters result;
  for (const Parameter& p : all)
    if (names.contains(p.name)) result.push_back(p);
  return result;
}

}  // namespace

Trainee::Trainee(std::string name, const Parameters& parameters, const OptimizerConfig& config, DType compute,
                 const Replicas& replicas)
    : name_(std::move(name)),
      parameters_(parameters),
      tp_(*replicas.tp),
      whole_(select(parameters, false, tp_), *replicas.whole, replicas.zero_stage),
      sharded_(select(parameters, true, tp_), *replicas.sharded, replicas.zero_stage),
      optimizer_(in_order_of(parameters, whole_.owned(), sharded_.owned()), config, compute, tp_),
      averaged_(config.ema > 0) {}

void Trainee::expect_last_gradients() {
  whole_.expect_last_gradients();
  sharded_.expect_last_gradients();
}

double Trainee::step(double lr_factor) {
  whole_.finish_gradients();
  sharded_.finish_gradients();
  double sharded = sharded_.sum_of_squares();
  tp_.all_reduce(values(std::span(&sharded, 1))).wait();
  const double norm = std::sqrt(whole_.sum_of_squares() + sharded);
  optimizer_.step(lr_factor, norm);
  for (Parameter& p : parameters_) p.value.clear_grad();
  whole_.share_values();
  sharded_.share_values();
  return norm;
}

// From `mine`, tensors called prefix + NAME of parameters that this rank updates, those of all parameters that have
// one.
Parameters Trainee::collect(const std::string& prefix, const Parameters& mine) const {
  std::map<std::string, Tensor> found;
  for (const FlatParameters* part : {&whole_, &sharded_}) {
    std::vector<Tensor> owned;
    for (const Parameter& p : part->owned()) {
      const auto it = std::ranges::find(mine, prefix + p.name, &Parameter::name);
      owned.push_back(it != mine.end() ? it->value : Tensor::zeros(p.value.shape()));
    }
    const std::vector<Tensor> all = part->collect(owned);
    for (size_t i = 0; i < all.size(); ++i) found[part->parameters()[i].name] = all[i];
  }
  Parameters result;
  for (const Parameter& p : parameters_) result.push_back({prefix + p.name, found.at(p.name), p.shard, p.logical});
  return result;
}

Parameters Trainee::averages() const { return averaged_ ? collect("", optimizer_.averages()) : parameters_; }

Parameters Trainee::optimizer_state() const {
  const Parameters mine = optimizer_.state();
  Parameters state;
  for (const char* kind : {"exp_avg", "exp_avg_sq", "momentum"}) {
    const Parameters all = collect(std::string(kind) + ".", mine);
    for (size_t i = 0; i < all.size(); ++i)
      if (optimizer_.keeps(kind, parameters_[i])) state.push_back(all[i]);
  }
  state.push_back(mine.back());  // steps
  return state;
}

void Trainee::save(const Path& folder) const {
  write_safetensors(folder / "weights.safetensors", named(parameters_));
  if (averaged_) write_safetensors(folder / "ema.safetensors", named(averages()));
  write_safetensors(folder / "optimizer.safetensors", named(optimizer_state()));
}

void Trainee::load(const Path& folder) {
  read_into(parameters_, folder / "weights.safetensors");
  if (averaged_) read_into(optimizer_.averages(), folder / "ema.safetensors");
  read_into(optimizer_.state(), folder / "optimizer.safetensors");
}

void Trainee::take(const Parameters& averages, const Parameters& state) {
  if (averaged_) copy_values(averages, optimizer_.averages());
  copy_values(state, optimizer_.state());
}

}  // namespace baton
