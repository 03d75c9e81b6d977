#include "engine/train/loop.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/config/yaml.h"
#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/io/mapped_file.h"
#include "engine/io/writable.h"
#include "engine/train/checkpoint.h"
#include "engine/train/metrics.h"

namespace baton {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// A resumed run may go on longer, elsewhere, with other learning rates and noise levels; data and networks must be
// the same.
void check_same_run(const TrainConfig& now, const std::string& config, const std::string& where) {
  auto before = read_config_text<TrainConfig>(config, where);
  before.steps = now.steps;
  before.log_every = now.log_every;
  before.checkpoint = now.checkpoint;
  before.validation = now.validation;
  before.optimizer = now.optimizer;
  before.schedule = now.schedule;
  before.t = now.t;
  before.experts = now.experts;  // as far as the trainer's load() allows
  before.sampling = now.sampling;
  before.parallel = now.parallel;
  before.pipeline = now.pipeline;
  before.recompute = now.recompute;
  before.recompute_every = now.recompute_every;
  before.zero = now.zero;
  before.data.folder = now.data.folder;
  before.data.memory_mb = now.data.memory_mb;
  before.denoiser.vae = now.denoiser.vae;
  before.denoiser.tokenizer = now.denoiser.tokenizer;
  before.denoiser.start = now.denoiser.start;
  const auto fields = [](TrainConfig c) { return list_fields([&](ConfigVisitor& v) { visit(v, c); }); };
  const auto made_with = fields(before), given = fields(now);
  const auto [a, b] = std::ranges::mismatch(made_with, given);
  if (a == made_with.end() || b == given.end()) return;
  fail("{}: this checkpoint was made with {} {}, the config has {}; choose another checkpoint.folder", where, a->first,
       a->second, b->second);
}

// Progress and bookkeeping of one run.
class Loop {
 public:
  Loop(Trainer& trainer, const TrainConfig& config, ProgressMode mode, Group& ranks)
      : trainer_(trainer),
        config_(config),
        ranks_(ranks),
        checkpoints_(config.checkpoint.folder, config.checkpoint.keep, config.checkpoint.keep_every, ranks),
        step_(resume()),
        progress_(is_first() ? mode : ProgressMode::none, "train", config.steps, step_) {
    if (is_first()) metrics_.emplace(Path(config.checkpoint.folder) / "metrics.jsonl", step_);
  }

  Outcome run(const std::atomic<bool>& stop) {
    while (step_ < config_.steps) {
      ranks_.set_step(step_);
      const auto start = Clock::now();
      const int64_t samples = train_step();
      ++step_;
      samples_ += samples;
      report(samples, seconds_since(start));
      if (due(config_.validation.every)) validate();
      const auto [interrupted, checkpoint] = decide(stop);
      if (interrupted) {
        save();
        if (is_first()) spdlog::info("stopped after step {}; the same command goes on from there", step_);
        return Outcome::interrupted;
      }
      if (checkpoint && step_ < config_.steps) save();
    }
    if (saved_step_ != step_) save();
    if (is_first()) trainer_.write_model(Path(config_.checkpoint.folder) / "model", checkpoint_);
    ranks_.barrier();
    return Outcome::finished;
  }

 private:
  // Data are read before any weight changes, so what a single rank has learnt so far can be saved when they are lost.
  // With several, the others wait in a collective for this one.
  int64_t train_step() try { return trainer_.step(step_, means_); } catch (const LostData&) {
    if (ranks_.size() == 1 && saved_step_ != step_) save();
    throw;
  }

  // Returns the step to go on from.
  int64_t resume() {
    if (is_first()) make_folder(config_.checkpoint.folder);
    const std::optional<Path> latest = checkpoints_.latest();
    if (!latest) return 0;
    const Path file = *latest / "state.json";
    JsonReader state = JsonReader::file(file);
    check_same_run(config_, state.required<std::string>("config"), file.string());
    trainer_.load(*latest, state.object("trainer"));
    samples_ = state.integer("samples", 0, most_samples);
    saved_step_ = state.integer("step", 0, most_samples);
    check(latest->filename() == Checkpoints::name(saved_step_), "{}: step: {} in the folder {}", file.string(),
          saved_step_, latest->filename().string());
    checkpoint_ = *latest;
    if (is_first()) spdlog::info("going on from {}", latest->string());
    return saved_step_;
  }

  bool is_first() const { return ranks_.rank() == 0; }

  // Whether to stop, and whether to save: what the first rank sees of clock and signals counts for all.
  std::array<bool, 2> decide(const std::atomic<bool>& stop) {
    int64_t decision[] = {stop, checkpoint_due()};
    ranks_.broadcast(values(std::span<int64_t>(decision)), 0).wait();
    return {decision[0] != 0, decision[1] != 0};
  }

  bool due(int64_t every) const { return every > 0 && step_ % every == 0; }

  bool checkpoint_due() const {
    const double minutes = config_.checkpoint.minutes;
    return due(config_.checkpoint.every) || (minutes > 0 && seconds_since(saved_at_) > 60 * minutes);
  }

  void report(int64_t samples, double seconds) {
    means_.add("samples_per_second", static_cast<double>(samples) / seconds, seconds);
    progress_.update(step_, {{"loss", means_.mean("loss")}});
    if (!due(config_.log_every) && step_ < config_.steps) return;
    Json line = means_.take();
    line["step"] = step_;
    line["samples"] = samples_;
    if (metrics_) metrics_->write(line);
  }

  void validate() {
    const Json validation = trainer_.validate();
    if (metrics_) metrics_->write({{"step", step_}, {"samples", samples_}, {"validation", validation}});
  }

  void save() {
    if (metrics_) metrics_->flush();  // the lines up to this step must not be younger than the checkpoint
    checkpoint_ = checkpoints_.save(step_, [&](const Path& folder) {
      const Json trainer = trainer_.save(folder);
      if (!is_first()) return;
      write_json(folder / "state.json",
                 {{"step", step_}, {"samples", samples_}, {"config", print_config(config_)}, {"trainer", trainer}});
    });
    saved_step_ = step_;
    saved_at_ = Clock::now();
  }

  Trainer& trainer_;
  const TrainConfig& config_;
  Group& ranks_;
  Checkpoints checkpoints_;
  Path checkpoint_;  // the latest
  int64_t samples_ = 0, saved_step_ = -1;
  Clock::time_point saved_at_ = Clock::now();
  int64_t step_;
  std::optional<MetricsFile> metrics_;  // of the first rank
  Progress progress_;
  MetricMeans means_;
};

}  // namespace

void MetricMeans::add(const std::string& name, double value, double weight) {
  Sum& sum = sums_[name];
  sum.value += weight * value;
  sum.weight += weight;
}

double MetricMeans::mean(const std::string& name) const {
  const auto it = sums_.find(name);
  return it == sums_.end() || it->second.weight == 0 ? 0 : it->second.value / it->second.weight;
}

std::map<std::string, double> MetricMeans::take() {
  std::map<std::string, double> means;
  for (const auto& [name, sum] : sums_) means[name] = mean(name);
  sums_.clear();
  return means;
}

Outcome run_loop(Trainer& trainer, const TrainConfig& config, ProgressMode progress, const std::atomic<bool>& stop,
                 Group& ranks) {
  return Loop(trainer, config, progress, ranks).run(stop);
}

}  // namespace baton
