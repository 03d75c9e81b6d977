#include "engine/train/trainee.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "engine/core/error.h"
#include "engine/io/safetensors.h"
#include "engine/io/shared_safetensors.h"

namespace baton {
namespace {

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
      all_(*replicas.all),
      whole_(select(parameters, false, tp_), *replicas.whole, replicas.zero_stage),
      sharded_(select(parameters, true, tp_), *replicas.sharded, replicas.zero_stage),
      optimizer_(in_order_of(parameters, whole_.owned(), sharded_.owned()), config, compute, tp_),
      averaged_(config.ema > 0),
      whole_is_first_(replicas.whole_is_first) {}

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

namespace {

std::vector<TensorEntry> entries_of(const Parameters& parameters, const std::string& prefix = "") {
  std::vector<TensorEntry> entries;
  for (const Parameter& p : parameters) entries.push_back({prefix + p.name, DType::f32, logical_shape(p)});
  return entries;
}

// Where this rank's share of a parameter lies in the whole.
struct Place {
  int dim;
  int64_t start;
};
Place place_of(const Parameter& p, const Group& tp) {
  if (tp.size() == 1 || p.shard == Shard::whole) return {0, 0};
  const int dim = p.shard == Shard::column ? 0 : 1;
  return {dim, tp.rank() * p.value.dim(dim)};
}

}  // namespace

std::vector<TensorEntry> Trainee::optimizer_entries() const {
  std::vector<TensorEntry> entries;
  for (const char* kind : {"exp_avg", "exp_avg_sq", "momentum"})
    for (const Parameter& p : parameters_)
      if (optimizer_.keeps(kind, p))
        entries.push_back({fmt::format("{}.{}", kind, p.name), DType::f32, logical_shape(p)});
  entries.push_back({"steps", DType::i64, {1}});
  return entries;
}

// Whether this rank writes a tensor that is called like a parameter, or KIND.PARAMETER.
bool Trainee::writes(const std::string& name) const {
  if (name == "steps") return all_.rank() == 0;
  std::string parameter = name;
  for (const std::string kind : {"exp_avg.", "exp_avg_sq.", "momentum."})
    if (name.starts_with(kind)) parameter = name.substr(kind.size());
  return sharded_.has(parameter) || (whole_is_first_ && whole_.has(parameter));
}

// `mine`: what this rank has, each tensor a share of the whole like the parameter that it belongs to.
void Trainee::write_shared(const Path& path, std::vector<TensorEntry> entries, const Parameters& mine) const {
  std::optional<SharedSafetensors> file;
  if (all_.rank() == 0) file.emplace(path, entries, true);
  all_.barrier();
  if (!file) file.emplace(path, std::move(entries), false);
  for (const Parameter& p : mine) {
    if (!writes(p.name)) continue;
    const Place place = place_of(p, tp_);
    file->write(p.name, p.value, place.dim, place.start);
  }
  file->flush();
  all_.barrier();
}

// Overwrites the values in place: models hold the same tensors.
void Trainee::read_shared(const Path& path, const Parameters& mine) const {
  const SafetensorsFile file(path);
  for (const Parameter& p : mine) {
    const Tensor whole = file.tensor(p.name);
    const Shape shape = logical_shape(p);
    check(whole.shape() == shape && whole.dtype() == p.value.dtype(), "{}: {} is {} {}, expected {} {}", path.string(),
          p.name, baton::name(whole.dtype()), whole.shape(), baton::name(p.value.dtype()), shape);
    const Tensor share = share_of(whole, p.shard, tp_);
    std::memcpy(p.value.raw(), share.raw(), share.bytes());
  }
}

void Trainee::save(const Path& folder) const {
  const Path own = folder / name_;
  if (all_.rank() == 0) std::filesystem::create_directory(own);
  all_.barrier();
  write_shared(own / "weights.safetensors", entries_of(parameters_), parameters_);
  if (averaged_) write_shared(own / "ema.safetensors", entries_of(parameters_), optimizer_.averages());
  write_shared(own / "optimizer.safetensors", optimizer_entries(), optimizer_.state());
}

void Trainee::load(const Path& folder) {
  const Path own = folder / name_;
  read_shared(own / "weights.safetensors", parameters_);
  if (averaged_) read_shared(own / "ema.safetensors", optimizer_.averages());
  read_shared(own / "optimizer.safetensors", optimizer_.state());
}

void Trainee::take(const Parameters& averages, const Parameters& state) {
  if (averaged_) copy_values(averages, optimizer_.averages());
  copy_values(state, optimizer_.state());
}

}  // namespace baton
