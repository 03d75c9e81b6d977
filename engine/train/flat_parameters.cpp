#include "engine/train/flat_parameters.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "kernels/optimizer.h"

namespace baton {

// Consecutive parameters whose gradients are summed together.
struct FlatParameters::Bucket {
  size_t first, last;      // parameters [first, last)
  std::vector<bool> here;  // gradients that have arrived
  Tensor gradients;        // their values while they are summed
  Tensor mine;             // stage 2: this rank's sums
  Pending pending;
};

namespace {

constexpr int64_t bucket_elements = 1 << 20;

Tensor window(const Tensor& flat, const Tensor& like, int64_t offset) {
  return flat.alias(like.shape(), contiguous_stride(like.shape()), offset);
}

// Boundaries at parameters, as near as possible to equal parts.
std::vector<int64_t> cut(const std::vector<int64_t>& offsets, int ranks) {
  std::vector<int64_t> boundaries{0};
  for (int r = 1; r < ranks; ++r) {
    const int64_t wanted = offsets.back() * r / ranks;
    auto after = std::ranges::lower_bound(offsets, wanted);
    if (after != offsets.begin() && *after - wanted > wanted - *(after - 1)) --after;
    boundaries.push_back(std::max(boundaries.back(), *after));
  }
  boundaries.push_back(offsets.back());
  return boundaries;
}

}  // namespace

FlatParameters::FlatParameters(const Parameters& parameters, Group& replicas, int zero_stage)
    : parameters_(parameters),
      group_(replicas.split(0, replicas.name())),
      stage_(replicas.size() == 1 ? 0 : zero_stage),
      offsets_{0} {
  require(zero_stage >= 0 && zero_stage <= 3, "zero: stage {}, expected 0 to 3", zero_stage);
  for (const Parameter& p : parameters_) offsets_.push_back(offsets_.back() + p.value.numel());
  boundaries_ = cut(offsets_, group_->size());
  if (group_->size() == 1) {
    owned_ = parameters_;
    return;
  }
  place_own_values();
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (stage_ == 0 || owns(i)) owned_.push_back(parameters_[i]);
  for (size_t last = parameters_.size(); last > 0;) {
    size_t first = last - 1;
    while (first > 0 && offsets_[last] - offsets_[first - 1] <= bucket_elements) --first;
    buckets_.push_back(std::make_unique<Bucket>(Bucket{first, last, std::vector<bool>(last - first), {}, {}, {}}));
    last = first;
  }
}

bool FlatParameters::owns(size_t parameter) const {
  const int64_t offset = offsets_[parameter];
  return offset >= boundaries_[group_->rank()] && offset < boundaries_[group_->rank() + 1];
}

bool FlatParameters::has(std::string_view name) const {
  const auto it = std::ranges::find_if(parameters_, [&](const Parameter& p) { return p.name == name; });
  return it != parameters_.end() && owns(it - parameters_.begin());
}

namespace {

// Of a parameter whose values are on another rank: its shape, and no memory.
Tensor absent(const Tensor& like) { return Tensor::borrow(nullptr, like.shape(), like.dtype(), nullptr); }

}  // namespace

void FlatParameters::place_own_values() {
  const int64_t begin = stage_ < 3 ? 0 : boundaries_[group_->rank()],
                end = stage_ < 3 ? offsets_.back() : boundaries_[group_->rank() + 1];
  values_ = Tensor::empty({end - begin});
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& value = parameters_[i].value;
    if (stage_ < 3 || owns(i))
      value.move_to(window(values_, value, offsets_[i] - begin));
    else
      value.look_at(absent(value));
  }
}

FlatParameters::~FlatParameters() { hook(false); }

void FlatParameters::hook(bool on) {
  if (group_->size() == 1) return;
  for (size_t i = 0; i < parameters_.size(); ++i)
    parameters_[i].value.slot()->on_ready =
        on ? std::function<void(GradSlot&)>([this, i](GradSlot&) { arrived(i); }) : std::function<void(GradSlot&)>();
}

void FlatParameters::expect_last_gradients() { hook(true); }

void FlatParameters::arrived(size_t parameter) {
  Bucket& bucket = **std::ranges::find_if(buckets_, [&](const auto& b) { return b->first <= parameter; });
  require(!bucket.pending, "training: the gradient of {} changed after it was sent", parameters_[parameter].name);
  bucket.here[parameter - bucket.first] = true;
  start_ready_buckets(false);
}

void FlatParameters::start_ready_buckets(bool all) {
  for (; started_ < buckets_.size(); ++started_) {
    Bucket& bucket = *buckets_[started_];
    if (!all && !std::ranges::all_of(bucket.here, std::identity())) return;
    start(bucket);
  }
}

void FlatParameters::start(Bucket& bucket) {
  const int64_t begin = offsets_[bucket.first], end = offsets_[bucket.last];
  bucket.gradients = Tensor::empty({end - begin});
  for (size_t i = bucket.first; i < bucket.last; ++i) {
    Tensor& value = parameters_[i].value;
    const Tensor to = window(bucket.gradients, value, offsets_[i] - begin);
    const Tensor gradient = value.grad();
    copy_into(gradient ? gradient : Tensor::zeros(value.shape()), to);
    value.clear_grad();
  }
  if (stage_ < 2) {
    bucket.pending = group_->all_reduce(values(bucket.gradients));
  } else {
    const std::vector<int64_t> counts = owned_counts(begin, end);
    bucket.mine = Tensor::empty({counts[group_->rank()]});
    bucket.pending = group_->reduce_scatter(values(bucket.gradients), values(bucket.mine), counts);
  }
}

// How many of the elements [begin, end) each rank owns.
std::vector<int64_t> FlatParameters::owned_counts(int64_t begin, int64_t end) const {
  std::vector<int64_t> counts;
  for (int r = 0; r < group_->size(); ++r)
    counts.push_back(std::max<int64_t>(0, std::min(end, boundaries_[r + 1]) - std::max(begin, boundaries_[r])));
  return counts;
}

void FlatParameters::finish_gradients() {
  if (group_->size() == 1) return;
  hook(false);
  start_ready_buckets(true);
  for (const auto& bucket : buckets_) {
    bucket->pending.wait();
    const bool whole = stage_ < 2;
    const Tensor& sums = whole ? bucket->gradients : bucket->mine;
    const int64_t begin = offsets_[bucket->first], from = whole ? begin : std::max(begin, boundaries_[group_->rank()]),
                  to = whole ? offsets_[bucket->last] : from + sums.numel();
    for (size_t i = bucket->first; i < bucket->last; ++i)
      if (offsets_[i] >= from && offsets_[i] < to)
        parameters_[i].value.slot()->grad = window(sums, parameters_[i].value, offsets_[i] - from);
    bucket->gradients = bucket->mine = {};
    bucket->here.assign(bucket->here.size(), false);
  }
  started_ = 0;
}

double FlatParameters::sum_of_squares() const {
  double sum = 0;
  for (const Parameter& p : stage_ < 2 ? parameters_ : owned_)
    if (const Tensor gradient = p.value.grad()) sum += kernels::cpu::sum_of_squares(gradient.view());
  if (stage_ >= 2) group_->all_reduce(values(std::span(&sum, 1))).wait();
  return sum;
}

// Every rank's interval to all.
void FlatParameters::gather(const Tensor& flat) const {
  const std::vector<int64_t> counts = owned_counts(0, offsets_.back());
  const int rank = group_->rank();
  group_->all_gather(values(flat).part(boundaries_[rank], counts[rank]), values(flat), counts).wait();
}

void FlatParameters::share_values() {
  if (stage_ == 1 || stage_ == 2) gather(values_);
}

std::shared_ptr<void> FlatParameters::hold(std::string_view prefix) {
  if (stage_ < 3) return nullptr;
  size_t first = 0;
  while (first < parameters_.size() && !parameters_[first].name.starts_with(prefix)) ++first;
  size_t last = first;
  while (last < parameters_.size() && parameters_[last].name.starts_with(prefix)) ++last;
  const int64_t begin = offsets_[first], own = boundaries_[group_->rank()];
  const std::vector<int64_t> counts = owned_counts(begin, offsets_[last]);
  const Tensor gathered = Tensor::empty({offsets_[last] - begin});
  group_->all_gather(values(values_).part(std::max(begin, own) - own, counts[group_->rank()]), values(gathered), counts)
      .wait();
  for (size_t i = first; i < last; ++i)
    if (!owns(i)) parameters_[i].value.look_at(window(gathered, parameters_[i].value, offsets_[i] - begin));
  return {nullptr, [this, first, last](void*) {
            for (size_t i = first; i < last; ++i)
              if (!owns(i)) parameters_[i].value.look_at(absent(parameters_[i].value));
          }};
}

std::vector<Tensor> FlatParameters::all_values() const {
  std::vector<Tensor> mine;
  for (const Parameter& p : stage_ < 3 ? parameters_ : owned_) mine.push_back(p.value);
  return stage_ < 3 ? mine : collect(mine);
}

std::vector<Tensor> FlatParameters::collect(const std::vector<Tensor>& mine) const {
  if (stage_ == 0) return mine;
  const Tensor flat = Tensor::empty({offsets_.back()});
  std::vector<Tensor> all;
  for (size_t i = 0; i < parameters_.size(); ++i) all.push_back(window(flat, parameters_[i].value, offsets_[i]));
  size_t next = 0;
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (next < owned_.size() && parameters_[i].name == owned_[next].name) copy_into(mine[next++], all[i]);
  gather(flat);
  return all;
}

}  // namespace baton
