#include "pipelines/relay.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "engine/core/error.h"
#include "engine/ops/view.h"
#include "engine/parallel/region.h"

namespace baton {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The group that has an expert.
int group_of(int expert, const std::vector<int64_t>& parts) {
  int group = 0;
  while (part_start(parts, group + 1) <= expert) ++group;
  return group;
}

}  // namespace

Relay::Relay(const Layout& layout, std::span<const Step> steps, int experts)
    : layout_(layout), steps_(steps.size()), started_(now()) {
  const int groups = layout.mesh().size(Axis::ep, layout.rank()),
            mine = layout.mesh().coordinate(Axis::ep, layout.rank());
  const std::vector<int64_t> parts = even_parts(experts, groups);
  for (size_t i = 0; i < steps.size(); ++i) {
    const int group = group_of(steps[i].expert, parts);
    if (runners_.empty() || runners_.back() != group) runners_.push_back(group);
    if (group != mine) continue;
    if (begin_ == end_) begin_ = i;
    end_ = i + 1;
  }
  const auto place = std::ranges::find(runners_, mine);
  if (place != runners_.end()) place_ = static_cast<int>(place - runners_.begin());
}

int64_t Relay::first_batch() const { return layout_.on(Axis::dp).rank(); }

int64_t Relay::batch_stride() const { return layout_.on(Axis::dp).size(); }

int Relay::last_replicas() const { return layout_.mesh().replicas()[runners_.back()]; }

int Relay::leader(int group, int64_t batch) const {
  return layout_.mesh().first_rank(group, static_cast<int>(batch % layout_.mesh().replicas()[group]));
}

// A message is the number of tensors, zero for a batch that is called off, and then the tensors: latents and history.
std::optional<Trajectory> Relay::receive(int64_t batch, const Shape& latents) {
  const double start = now();
  const int from = leads() ? leader(runners_[place_ - 1], batch) : 0;
  int64_t count = 0;
  const Values head = values(std::span(&count, 1));
  if (leads()) layout_.everyone().receive(head, from).wait();
  layout_.replica().broadcast(head, 0).wait();
  if (count == 0) return std::nullopt;
  Shape shape = latents;
  shape[0] *= count;
  const Tensor all = Tensor::empty(shape);
  if (leads()) layout_.everyone().receive(values(all), from).wait();
  layout_.replica().broadcast(values(all), 0).wait();
  waited_ += now() - start;
  Trajectory run{.next = begin_};
  run.latents = narrow(all, 0, 0, latents[0]);
  for (int64_t i = 1; i < count; ++i) run.history.push_back(narrow(all, 0, i * latents[0], latents[0]));
  return run;
}

void Relay::hand_over(int64_t batch, const Trajectory& run) {
  if (!leads()) return;
  std::vector<Tensor> tensors{run.latents};
  tensors.insert(tensors.end(), run.history.begin(), run.history.end());
  Sent& sent = sent_.emplace_back(Sent{{std::ssize(tensors)}, concat(tensors, 0), {}});
  const int to = leader(runners_[place_ + 1], batch);
  sent.pending[0] = layout_.everyone().send(values(std::span(sent.head)), to);
  sent.pending[1] = layout_.everyone().send(values(sent.values), to);
}

void Relay::call_off(int64_t batch) {
  if (!leads()) return;
  Sent& sent = sent_.emplace_back(Sent{{0}, {}, {}});
  sent.pending[0] = layout_.everyone().send(values(std::span(sent.head)), leader(runners_[place_ + 1], batch));
}

std::string Relay::idle_report() const {
  const std::vector<int>& replicas = layout_.mesh().replicas();
  const double done = now();
  layout_.everyone().barrier();
  const double end = now();
  std::vector<double> shares(replicas.size());
  if (leads() && place_ >= 0)
    shares[runners_[place_]] = (waited_ + end - done) / (end - started_) / replicas[runners_[place_]];
  layout_.everyone().all_reduce(values(std::span(shares))).wait();
  if (runners_.size() == 1) return "";
  std::vector<std::string> words;
  for (int group : runners_) words.push_back(fmt::format("group {} {:.1f} %", group, 100 * shares[group]));
  return fmt::format("relay: idle {}", fmt::join(words, ", "));
}

}  // namespace baton
