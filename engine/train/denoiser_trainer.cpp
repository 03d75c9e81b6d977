#include "engine/train/denoiser_trainer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/io/model_config.h"
#include "engine/io/pipeline_directory.h"
#include "engine/io/stored_parameters.h"
#include "engine/train/random_streams.h"
#include "engine/train/schedule.h"
#include "engine/train/write_pipeline.h"

namespace baton {
namespace {

constexpr int64_t validation_batch = 64;

ExpertRanges planned_ranges(const ExpertsConfig& experts, const TimeDistribution& times) {
  if (experts.count > 1 && experts.boundaries.empty()) return equal_shares(static_cast<int>(experts.count), times);
  return ExpertRanges(experts.boundaries);
}

// Up to the last bits of equal shares, which another machine may compute differently.
bool same(std::span<const double> a, std::span<const double> b) {
  return std::ranges::equal(a, b, [](double x, double y) { return std::abs(x - y) < 1e-9; });
}

}  // namespace

DenoiserTrainer::DenoiserTrainer(const TrainConfig& config, DenoiserData& data, DType compute)
    : config_(config),
      data_(data),
      compute_(compute),
      times_(config.t),
      planned_ranges_(planned_ranges(config.experts, times_)) {
  mixture_.max_tokens = config.denoiser.max_tokens;
  if (config.denoiser.start.empty()) {
    RandomParameters random(static_cast<uint64_t>(config.seed));
    set_text_encoder(random);
    add_expert(random);
  } else {
    start_from(config.denoiser.start);
  }
  set_ranges();
  grid_ = make_validation_grid(data, config.validation.items, config.validation.t_bins);
}

DenoiserTrainer::~DenoiserTrainer() = default;

void DenoiserTrainer::start_from(const Path& pipeline) {
  const PipelineDirectory start(pipeline);
  check(start.experts() == 1 || start.experts() == planned_ranges_.count(),
        "model.start: {} has {} experts, experts.count is {}; start from one expert or from as many", pipeline.string(),
        start.experts(), planned_ranges_.count());
  config_.denoiser.transformer = start.expert_configs()[0];
  config_.denoiser.text_encoder = read_t5_config(pipeline / "text_encoder" / "config.json", "UMT5EncoderModel");
  TensorStore text(pipeline / "text_encoder");
  StoredParameters text_source(text, true);
  set_text_encoder(text_source);
  for (int i = 0; i < start.experts(); ++i) {
    TensorStore expert(start.expert_folder(i));
    StoredParameters source(expert, true);
    add_expert(source);
  }
}

void DenoiserTrainer::set_text_encoder(ParameterSource& source) {
  text_encoder_ = std::make_unique<T5Encoder>(config_.denoiser.text_encoder, source, compute_);
  text_state_ = std::make_unique<Trainee>("text_encoder", text_encoder_->parameters(), config_.optimizer, compute_);
  mixture_.text_encoder = text_encoder_.get();
}

void DenoiserTrainer::add_expert(ParameterSource& source) {
  experts_.push_back(std::make_unique<WanTransformer>(config_.denoiser.transformer, source, compute_));
  experts_.back()->set_recompute(config_.recompute);
  expert_states_.push_back(std::make_unique<Trainee>(numbered("transformer", experts() - 1),
                                                     experts_.back()->parameters(), config_.optimizer, compute_));
  mixture_.experts.push_back(experts_.back().get());
}

void DenoiserTrainer::set_ranges() {
  mixture_.ranges = experts() == 1 ? ExpertRanges() : planned_ranges_;
  planned_share_ = expected_shares(mixture_.ranges, times_);
}

void DenoiserTrainer::branch(int64_t step) {
  for (int i = 1; i < planned_ranges_.count(); ++i) {
    CopiedParameters source(experts_[0]->parameters(), true);
    add_expert(source);
    expert_states_.back()->copy_from(*expert_states_[0]);
  }
  branched_ = {step, samples_};
  set_ranges();
  spdlog::info("step {}: branched into {} experts, boundaries {}", step, experts(), mixture_.ranges.boundaries());
}

int64_t DenoiserTrainer::step(int64_t step, MetricMeans& means) {
  if (experts() == 1 && planned_ranges_.count() > 1 && step >= config_.experts.branch_at) branch(step);
  const int64_t batch = batch_of(step);
  const int64_t micro = config_.micro_batch > 0 ? config_.micro_batch : batch;
  const auto seed = static_cast<uint64_t>(config_.seed);
  const std::vector<double> times =
      draw_times(times_, static_cast<int>(batch), seed, random_stream(RandomUse::training_times, step));
  seen_.assign(experts_.size(), 0);
  for (int64_t first = 0; first < batch; first += micro) {
    std::vector<NoisySample> samples;
    for (int64_t i = first; i < std::min(first + micro, batch); ++i) {
      const int64_t number = samples_ + i;
      samples.push_back({data_.sample(number), times[i], random_stream(RandomUse::training_noise, number)});
    }
    accumulate(samples, batch, means);
  }
  update(lr_factor(), means);
  samples_ += batch;
  return batch;
}

int64_t DenoiserTrainer::batch_of(int64_t step) const {
  return step >= config_.experts.branch_at && config_.experts.batch > 0 ? config_.experts.batch : config_.batch;
}

// The rate follows the samples seen, counted in batches of before the branch, as later steps may have more of them.
double DenoiserTrainer::lr_factor() const {
  const int64_t before = std::min(config_.steps, config_.experts.branch_at);
  const int64_t total = before * config_.batch + (config_.steps - before) * batch_of(config_.experts.branch_at);
  const LearningRateSchedule schedule{config_.schedule.warmup, total / config_.batch, config_.schedule.floor};
  return schedule.factor(samples_ / config_.batch);
}

// Adds the gradient of the mean loss over `batch_size` samples.
void DenoiserTrainer::accumulate(std::span<const NoisySample> batch, int64_t batch_size, MetricMeans& means) {
  std::vector<Tensor> losses, gradients;
  for (const ExpertLoss& part : mixture_losses(mixture_, batch, static_cast<uint64_t>(config_.seed))) {
    const std::string& name = expert_states_[part.expert]->name();
    const auto count = static_cast<double>(part.samples.size());
    const std::vector<float> values = part.loss.to_vector();
    const double loss = std::accumulate(values.begin(), values.end(), 0.0) / count;
    if (!std::isfinite(loss)) fail_run("training: the loss of {} is not finite after {} samples", name, samples_);
    means.add("loss", loss, count);
    if (experts() > 1) means.add("loss." + name, loss, count);
    seen_[part.expert] += static_cast<int64_t>(part.samples.size());
    losses.push_back(part.loss);
    gradients.push_back(Tensor::full(part.loss.shape(), 1 / static_cast<float>(batch_size)));
  }
  backward(losses, gradients);
}

void DenoiserTrainer::update(double lr_factor, MetricMeans& means) {
  const int64_t total = std::accumulate(seen_.begin(), seen_.end(), int64_t{0});
  const auto apply = [&](Trainee& part) { means.add("gradient_norm." + part.name(), part.step(lr_factor)); };
  apply(*text_state_);
  for (int i = 0; i < experts(); ++i) {
    const std::string& name = expert_states_[i]->name();
    if (seen_[i] > 0) apply(*expert_states_[i]);
    if (experts() == 1) continue;
    means.add("share." + name, static_cast<double>(seen_[i]) / static_cast<double>(total));
    means.add("planned_share." + name, planned_share_[i]);
  }
  means.add("learning_rate_factor", lr_factor);
}

// The moving averages, which are what is saved as the model.
Json DenoiserTrainer::validate() {
  CopiedParameters text_source(text_state_->averages(), false);
  const T5Encoder text(config_.denoiser.text_encoder, text_source, compute_);
  Mixture averaged{&text, {}, mixture_.ranges, mixture_.max_tokens};
  std::vector<std::unique_ptr<WanTransformer>> experts;
  for (const auto& state : expert_states_) {
    CopiedParameters source(state->averages(), false);
    experts.push_back(std::make_unique<WanTransformer>(config_.denoiser.transformer, source, compute_));
    averaged.experts.push_back(experts.back().get());
  }
  return summarize_validation(grid_, validation_losses(averaged, grid_, validation_batch), planned_ranges_);
}

Json DenoiserTrainer::save(const Path& folder) const {
  const auto store = [&](const Trainee& part) {
    std::filesystem::create_directory(folder / part.name());
    part.save(folder / part.name());
  };
  store(*text_state_);
  for (const auto& state : expert_states_) store(*state);
  Json state{{"experts", experts()}, {"samples", samples_}, {"boundaries", mixture_.ranges.boundaries()}};
  if (branched_) state["branched"] = {{"step", branched_->step}, {"samples", branched_->samples}};
  return state;
}

void DenoiserTrainer::load(const Path& folder, const Json& state) {
  const int stored = state.at("experts").get<int>();
  const auto boundaries = state.at("boundaries").get<std::vector<double>>();
  check(stored == 1 || same(boundaries, planned_ranges_.boundaries()),
        "{}: has {} experts with boundaries {}, the config asks for {} with {}", folder.string(), stored, boundaries,
        planned_ranges_.count(), planned_ranges_.boundaries());
  if (stored > 1) planned_ranges_ = ExpertRanges(boundaries);
  while (experts() < stored) {
    CopiedParameters source(experts_[0]->parameters(), true);
    add_expert(source);
  }
  set_ranges();
  text_state_->load(folder / text_state_->name());
  for (const auto& part : expert_states_) part->load(folder / part->name());
  samples_ = state.at("samples").get<int64_t>();
  if (state.contains("branched"))
    branched_ = {state["branched"].at("step").get<int64_t>(), state["branched"].at("samples").get<int64_t>()};
}

void DenoiserTrainer::write_model(const Path& folder) {
  PipelineParts parts{.vae = config_.denoiser.vae,
                      .tokenizer = config_.denoiser.tokenizer,
                      .text_config = config_.denoiser.text_encoder,
                      .text_encoder = &text_state_->averages(),
                      .transformer = config_.denoiser.transformer,
                      .ranges = mixture_.ranges,
                      .shift = config_.t.shift,
                      .max_tokens = config_.denoiser.max_tokens,
                      .size = config_.data.size,
                      .sampling = config_.sampling};
  for (const auto& state : expert_states_) parts.experts.push_back(&state->averages());
  write_pipeline(folder, parts);
}

}  // namespace baton
