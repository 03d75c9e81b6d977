#include "engine/train/trainee.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/core/error.h"
#include "engine/core/require.h"
#include "engine/io/json.h"
#include "engine/io/safetensors.h"
#include "engine/io/shared_safetensors.h"
#include "engine/io/writable.h"

namespace baton {
namespace {

// `to` may have fewer.
void copy_values(const Parameters& from, const Parameters& to) {
  for (const Parameter& p : to) {
    const Tensor& value = find(from, p.name);
    require(value.shape() == p.value.shape(), "training: {} {} cannot become {}", p.name, value.shape(),
            p.value.shape());
    std::memcpy(p.value.raw(), value.raw(), value.bytes());
  }
}

}  // namespace

struct Trainee::Part {
  Holding holding;
  bool held_by_block;  // there only while a block is held
  FlatParameters flat;
};

Trainee::Trainee(std::string name, const Parameters& parameters, const OptimizerConfig& config, DType compute,
                 const Sharing& sharing)
    : name_(std::move(name)),
      parameters_(parameters),
      sharing_(sharing),
      tp_(sharing.holders == Sharing::Holders::ranks ? alone() : sharing.layout.on(Axis::tp)),
      pp_(sharing.holders == Sharing::Holders::ranks ? alone() : sharing.layout.on(Axis::pp)),
      all_(sharing.holders == Sharing::Holders::group ? sharing.layout.expert_group() : sharing.layout.everyone()),
      averaged_(config.ema > 0) {
  make_parts(sharing.zero_stage);
  optimizer_ = std::make_unique<Optimizer>(owned(), config, compute, tp_);
}

Trainee::~Trainee() = default;

Holding Trainee::holding_of(const Parameter& p) const {
  return {.shard = tp_.size() > 1 && p.shard != Shard::whole ? Shard::column : Shard::whole,
          .every_stage = pp_.size() == 1 || p.every_stage,
          .every_group = sharing_.holders != Sharing::Holders::group};
}

Group& Trainee::replicas(const Holding& holding) const {
  return sharing_.holders == Sharing::Holders::ranks ? all_ : sharing_.layout.replicas(holding);
}

void Trainee::make_parts(int zero_stage) {
  for (Shard shard : {Shard::whole, Shard::column})
    for (const auto& [every_stage, by_block] : {std::pair{true, false}, {true, true}, {false, false}, {false, true}}) {
      const Holding holding{shard, every_stage, sharing_.holders != Sharing::Holders::group};
      Parameters held;
      for (const Parameter& p : parameters_)
        if (holding_of(p) == holding && (zero_stage == 3 && p.name.starts_with("blocks.")) == by_block)
          held.push_back(p);
      const int stage = by_block ? 3 : std::min(zero_stage, 2);
      if (!held.empty())
        parts_.push_back(std::unique_ptr<Part>(new Part{holding, by_block, {held, replicas(holding), stage}}));
    }
}

// The parameters that this rank updates, in the network's order.
Parameters Trainee::owned() const {
  std::set<std::string> names;
  for (const auto& part : parts_)
    for (const Parameter& p : part->flat.owned()) names.insert(p.name);
  Parameters owned;
  std::ranges::copy_if(parameters_, std::back_inserter(owned),
                       [&](const Parameter& p) { return names.contains(p.name); });
  return owned;
}

void Trainee::expect_last_gradients() {
  for (const auto& part : parts_) part->flat.expect_last_gradients();
}

std::shared_ptr<void> Trainee::hold_block(int64_t block) {
  auto held = std::make_shared<std::vector<std::shared_ptr<void>>>();
  for (const auto& part : parts_)
    if (part->held_by_block) held->push_back(part->flat.hold(fmt::format("blocks.{}.", block)));
  return held;
}

// Of all the network's gradients, on whatever ranks they are.
double Trainee::norm() const {
  double everywhere = 0, here = 0;  // sums of squares: of what every stage has, and of this stage
  for (const auto& part : parts_) {
    double sum = part->flat.sum_of_squares();
    if (part->holding.shard != Shard::whole) tp_.all_reduce(values(std::span(&sum, 1))).wait();
    (part->holding.every_stage ? everywhere : here) += sum;
  }
  pp_.all_reduce(values(std::span(&here, 1))).wait();
  return std::sqrt(everywhere + here);
}

double Trainee::step(double lr_factor) {
  for (const auto& part : parts_) part->flat.finish_gradients();
  const double norm = this->norm();
  optimizer_->step(lr_factor, norm);
  for (Parameter& p : parameters_) p.value.clear_grad();
  for (const auto& part : parts_) part->flat.share_values();
  return norm;
}

// From `mine`, tensors called prefix + NAME of parameters that this rank updates, those of all parameters that have
// one.
Parameters Trainee::collect(const std::string& prefix, const Parameters& mine) const {
  std::map<std::string, Tensor> found;
  for (const auto& part : parts_) {
    std::vector<Tensor> owned;
    for (const Parameter& p : part->flat.owned()) {
      const auto it = std::ranges::find(mine, prefix + p.name, &Parameter::name);
      owned.push_back(it != mine.end() ? it->value : Tensor::zeros(p.value.shape()));
    }
    const std::vector<Tensor> all = part->flat.collect(owned);
    for (size_t i = 0; i < all.size(); ++i) found[part->flat.parameters()[i].name] = all[i];
  }
  Parameters result;
  for (const Parameter& p : parameters_) result.push_back({prefix + p.name, found.at(p.name), p.shard, p.logical});
  return result;
}

Parameters Trainee::all_values() const {
  std::map<std::string, Tensor> found;
  for (const auto& part : parts_) {
    const std::vector<Tensor> all = part->flat.all_values();
    for (size_t i = 0; i < all.size(); ++i) found[part->flat.parameters()[i].name] = all[i];
  }
  Parameters values = parameters_;
  for (Parameter& p : values) p.value = found.at(p.name);
  return values;
}

Parameters Trainee::averages() const { return averaged_ ? collect("", optimizer_->averages()) : all_values(); }

Parameters Trainee::optimizer_state() const {
  const Parameters mine = optimizer_->state();
  Parameters state;
  for (const char* kind : {"exp_avg", "exp_avg_sq", "momentum"}) {
    const Parameters all = collect(std::string(kind) + ".", mine);
    for (size_t i = 0; i < all.size(); ++i)
      if (optimizer_->keeps(kind, parameters_[i])) state.push_back(all[i]);
  }
  state.push_back(mine.back());  // steps
  return state;
}

namespace {

std::vector<TensorEntry> entries_of(const Parameters& parameters) {
  std::vector<TensorEntry> entries;
  for (const Parameter& p : parameters) entries.push_back({p.name, DType::f32, logical_shape(p)});
  return entries;
}

// What any rank of the group has: stages of a pipeline have different tensors.
std::vector<TensorEntry> of_all(const std::vector<TensorEntry>& mine, Group& group) {
  if (group.size() == 1) return mine;
  Json list = Json::array();
  for (const TensorEntry& e : mine) list.push_back({e.name, static_cast<int>(e.dtype), e.shape});
  std::vector<TensorEntry> all;
  std::set<std::string> names;
  for (const std::string& text : from_all(list.dump(), group))
    for (const Json& e : Json::parse(text))
      if (names.insert(e[0]).second) all.push_back({e[0], static_cast<DType>(e[1].get<int>()), e[2].get<Shape>()});
  return all;
}

// Where this rank's share of a parameter lies in the whole.
struct Offset {
  int dim;
  int64_t start;
};
Offset offset_of(const Parameter& p, const Group& tp) {
  if (tp.size() == 1 || p.shard == Shard::whole) return {0, 0};
  const int dim = p.shard == Shard::column ? 0 : 1;
  return {dim, tp.rank() * p.value.dim(dim)};
}

}  // namespace

std::vector<TensorEntry> Trainee::optimizer_entries() const {
  std::vector<TensorEntry> entries;
  for (const char* kind : {"exp_avg", "exp_avg_sq", "momentum"})
    for (const Parameter& p : parameters_)
      if (optimizer_->keeps(kind, p))
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
  const bool has_whole = sharing_.layout.sequence_parallel() || tp_.rank() == 0;  // of several that hold the same
  return std::ranges::any_of(parts_, [&](const auto& part) {
    return part->flat.has(parameter) && (part->holding.shard != Shard::whole || has_whole);
  });
}

// `mine`: what this rank has, each tensor a share of the whole like the parameter that it belongs to.
void Trainee::write_shared(const Path& path, std::vector<TensorEntry> entries, const Parameters& mine) const {
  entries = of_all(entries, pp_);
  std::optional<SharedSafetensors> file;
  if (all_.rank() == 0) file.emplace(path, entries, true);
  all_.barrier();
  if (!file) file.emplace(path, std::move(entries), false);
  for (const Parameter& p : mine) {
    if (!writes(p.name)) continue;
    const Offset share = offset_of(p, tp_);
    file->write(p.name, p.value, share.dim, share.start);
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
  if (all_.rank() == 0) make_folder(own);
  all_.barrier();
  write_shared(own / "weights.safetensors", entries_of(parameters_), parameters_);
  if (averaged_) write_shared(own / "ema.safetensors", entries_of(parameters_), optimizer_->averages());
  write_shared(own / "optimizer.safetensors", optimizer_entries(), optimizer_->state());
}

// The parameters whose values this rank keeps.
Parameters Trainee::present() const {
  Parameters present;
  for (const Parameter& p : parameters_)
    if (p.value.raw() || p.value.numel() == 0) present.push_back(p);
  return present;
}

void Trainee::load(const Path& folder) {
  const Path own = folder / name_;
  read_shared(own / "weights.safetensors", present());
  if (averaged_) read_shared(own / "ema.safetensors", optimizer_->averages());
  read_shared(own / "optimizer.safetensors", optimizer_->state());
  check(optimizer_->steps() >= 0 && optimizer_->steps() < int64_t{1} << 53, "{}: steps is {}",
        (own / "optimizer.safetensors").string(), optimizer_->steps());
}

void Trainee::take(const Parameters& averages, const Parameters& state) {
  if (averaged_) copy_values(averages, optimizer_->averages());
  copy_values(state, optimizer_->state());
}

}  // namespace baton
