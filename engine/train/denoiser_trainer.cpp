#include "engine/train/denoiser_trainer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/io/model_config.h"
#include "engine/io/pipeline_directory.h"
#include "engine/io/safetensors.h"
#include "engine/io/stored_parameters.h"
#include "engine/parallel/region.h"
#include "engine/train/random_streams.h"
#include "engine/train/schedule.h"
#include "engine/train/write_pipeline.h"

namespace baton {
namespace {

constexpr int64_t validation_batch = 64;

// Up to the last bits of equal shares, which another machine may compute differently.
bool same(std::span<const double> a, std::span<const double> b) {
  return std::ranges::equal(a, b, [](double x, double y) { return std::abs(x - y) < 1e-9; });
}

}  // namespace

DenoiserTrainer::DenoiserTrainer(const TrainConfig& config, DenoiserData& data, DType compute, const Layout& layout)
    : config_(config),
      data_(data),
      compute_(compute),
      layout_(layout),
      times_(config.t),
      latents_(data.item(0).latents.shape()),
      planned_ranges_(planned_ranges(config)) {
  const int groups = layout.mesh().size(Axis::ep, layout.rank());
  check(groups <= planned_ranges_.count(), "mesh: ep={} for {} experts; at most as many groups as experts", groups,
        planned_ranges_.count());
  check(groups == 1 || !config.experts.turns,
        "mesh: with experts.turns, which trains one expert at a time, all but one of ep={} groups would be idle; "
        "leave experts.turns off or use dp",
        groups);
  mixture_.max_tokens = config.denoiser.max_tokens;
  mixture_.layout = layout;
  if (config.denoiser.start.empty()) {
    RandomParameters random(static_cast<uint64_t>(config.seed));
    set_text_encoder(random);
    add_expert(random, 1);
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
  check(config_.denoiser.text_encoder.d_model == config_.denoiser.transformer.text_dim,
        "model.start: the text encoder of {} gives states of {} channels, its denoiser's text_dim is {}",
        pipeline.string(), config_.denoiser.text_encoder.d_model, config_.denoiser.transformer.text_dim);
  TensorStore text(pipeline / "text_encoder");
  StoredParameters text_source(text, true);
  set_text_encoder(text_source);
  for (int i = 0; i < start.experts(); ++i) {
    TensorStore expert(start.expert_folder(i));
    StoredParameters source(expert, true);
    add_expert(source, start.experts());
  }
}

void DenoiserTrainer::set_text_encoder(ParameterSource& source) {
  text_encoder_ = std::make_unique<T5Encoder>(config_.denoiser.text_encoder, source, compute_);
  text_state_ =
      std::make_unique<Trainee>("text_encoder", text_encoder_->parameters(), config_.optimizer, compute_,
                                Sharing{layout_, Sharing::Holders::ranks, std::min(2, static_cast<int>(config_.zero))});
  mixture_.text_encoder = text_encoder_.get();
}

// The next of `count` experts, if this rank's group serves it.
void DenoiserTrainer::add_expert(ParameterSource& source, int count) {
  std::unique_ptr<WanTransformer> expert;
  std::unique_ptr<Trainee> state;
  if (is_mine(experts(), count)) {
    expert = std::make_unique<WanTransformer>(config_.denoiser.transformer, source, compute_, layout_);
    expert->set_recompute(config_.recompute, config_.recompute_every);
    const auto holders = count > 1 ? Sharing::Holders::group : Sharing::Holders::groups;
    state = std::make_unique<Trainee>(numbered("transformer", experts()), expert->parameters(), config_.optimizer,
                                      compute_, Sharing{layout_, holders, static_cast<int>(config_.zero)});
    if (config_.zero == 3)
      expert->set_around_block([trainee = state.get()](int64_t block) { return trainee->hold_block(block); });
  }
  mixture_.experts.push_back(expert.get());
  experts_.push_back(std::move(expert));
  expert_states_.push_back(std::move(state));
}

// Makes `count` experts of the one that there is, with its values.
std::unique_ptr<Trainee> DenoiserTrainer::multiply(int count) {
  const std::unique_ptr<WanTransformer> shared = std::move(experts_[0]);
  std::unique_ptr<Trainee> state = std::move(expert_states_[0]);
  const Parameters values = state->all_values();
  experts_.clear();
  expert_states_.clear();
  mixture_.experts.clear();
  for (int i = 0; i < count; ++i) {
    CopiedParameters source(values, true);
    add_expert(source, count);
  }
  return state;
}

void DenoiserTrainer::set_ranges() {
  mixture_.ranges = experts() == 1 ? ExpertRanges() : planned_ranges_;
  planned_share_ = expected_shares(mixture_.ranges, times_);
}

void DenoiserTrainer::branch(int64_t step) {
  const std::unique_ptr<Trainee> shared = multiply(planned_ranges_.count());
  const Parameters averages = shared->averages(), state = shared->optimizer_state();
  for (const auto& expert : expert_states_)
    if (expert) expert->take(averages, state);
  branched_ = {step, samples_};
  set_ranges();
  if (layout_.rank() == 0)
    spdlog::info("step {}: branched into {} experts, boundaries {}", step, experts(), mixture_.ranges.boundaries());
}

int64_t DenoiserTrainer::step(int64_t step, MetricMeans& means) {
  if (experts() == 1 && planned_ranges_.count() > 1 && step >= config_.experts.branch_at) branch(step);
  const int64_t batch = batch_of(step);
  const std::vector<double> times = draw_times(times_, static_cast<int>(batch), static_cast<uint64_t>(config_.seed),
                                               random_stream(RandomUse::training_times, step), range_of(step));
  seen_.assign(experts_.size(), 0);
  for (double t : times) ++seen_[mixture_.ranges.expert_of(t)];
  losses_.assign(experts_.size(), 0);
  mixture_.in_step.clear();
  for (int i = 0; i < experts(); ++i)
    if (config_.zero == 3 && seen_[i] > 0 && experts_[i]) mixture_.in_step.insert(i);
  accumulate(batch, times);
  report_losses(means);
  update(lr_factor(step), means);
  samples_ += batch;
  return batch;
}

// The noise levels of a step. Experts that take turns own quantiles of the distribution in turn: multiples of the
// golden ratio, which fill [0, 1) evenly, so that the steps of each expert follow its share without bunching.
NoiseRange DenoiserTrainer::range_of(int64_t step) const {
  if (!config_.experts.turns) return {0, 1};
  const double turns = static_cast<double>(step) / std::numbers::phi;
  return mixture_.ranges.range(mixture_.ranges.expert_of(times_.quantile(turns - std::floor(turns))));
}

int64_t DenoiserTrainer::batch_of(int64_t step) const {
  return step >= config_.experts.branch_at && config_.experts.batch > 0 ? config_.experts.batch : config_.batch;
}

// The rate follows the samples seen, counted in batches of before the branch, as later steps may have more of them. It
// ends with the samples still to come, also where steps had another size before the training was resumed.
double DenoiserTrainer::lr_factor(int64_t step) const {
  const int64_t before = std::clamp<int64_t>(config_.experts.branch_at - step, 0, config_.steps - step);
  const int64_t after = config_.steps - step - before;
  const int64_t total = samples_ + before * config_.batch + after * batch_of(config_.experts.branch_at);
  const LearningRateSchedule schedule{config_.schedule.warmup, total / config_.batch, config_.schedule.floor};
  return schedule.factor(samples_ / config_.batch);
}

// Groups of experts serve consecutive ones.
bool DenoiserTrainer::is_mine(int expert, int count) const {
  if (count == 1) return true;
  const int groups = layout_.mesh().size(Axis::ep, layout_.rank()),
            group = layout_.mesh().coordinate(Axis::ep, layout_.rank());
  const std::vector<int64_t> parts = even_parts(count, groups);
  const int64_t first = part_start(parts, group);
  return expert >= first && expert < first + parts[group];
}

// Of the samples [first, end) those that this rank works on: its group's by their noise level, shared out over the
// group's replicas. Everybody can tell which those are, so nothing needs to be sent.
std::vector<int64_t> DenoiserTrainer::my_share(int64_t first, int64_t end,
                                               const std::function<double(int64_t)>& time) const {
  std::vector<int64_t> of_group;
  for (int64_t i = first; i < end; ++i)
    if (is_mine(mixture_.ranges.expert_of(time(i)), experts())) of_group.push_back(i);
  const Group& replicas = experts() == 1 ? layout_.samples() : layout_.on(Axis::dp);
  const std::vector<int64_t> parts = even_parts(std::ssize(of_group), replicas.size());
  const auto begin = of_group.begin() + part_start(parts, replicas.rank());
  return {begin, begin + parts[replicas.rank()]};
}

std::vector<NoisySample> DenoiserTrainer::my_samples(int64_t first, int64_t end, std::span<const double> times) {
  std::vector<NoisySample> samples;
  for (int64_t i : my_share(first, end, [&](int64_t k) { return times[k]; })) {
    const int64_t number = samples_ + i;
    samples.push_back({data_.sample(number), times[i], random_stream(RandomUse::training_noise, number)});
  }
  return samples;
}

// The loss of a micro-batch on its way through the stages. Texts and noise are made when the first of this rank's
// stages needs them, and let go after its last, so that few micro-batches are in memory at a time.
class DenoiserTrainer::Pass : public StagedPass {
 public:
  Pass(DenoiserTrainer& trainer, std::vector<NoisySample> samples, float weight, bool last)
      : trainer_(trainer), samples_(std::move(samples)), weight_(weight), last_(last) {}

  bool empty() const override { return samples_.empty() && trainer_.mixture_.in_step.empty(); }

  Shape between() const override {
    Shape latents = trainer_.latents_;
    latents.insert(latents.begin(), std::ssize(samples_));
    return trainer_.any_expert().between(latents);
  }

  Tensor forward(int stage, const Tensor& input) override {
    if (!batch_)
      batch_.emplace(trainer_.mixture_, samples_, trainer_.latents_, static_cast<uint64_t>(trainer_.config_.seed),
                     weight_);
    const Tensor out = batch_->forward(stage, input);
    trainer_.count_losses(*batch_);
    return out;
  }

  // With one stage on each rank, passes go backward one after the other.
  void before_backward() override {
    if (!last_ || trainer_.any_expert().stages().pieces() > 1) return;
    for (Trainee* part : trainer_.my_trainees()) part->expect_last_gradients();
  }

  void after_backward() override {
    batch_->after_backward();
    batch_.reset();
  }

 private:
  DenoiserTrainer& trainer_;
  std::vector<NoisySample> samples_;
  float weight_;
  bool last_;
  std::optional<GatedBatch> batch_;
};

// Fills the gradients of the mean loss over the step's samples.
void DenoiserTrainer::accumulate(int64_t batch, std::span<const double> times) {
  const int64_t micro = config_.micro_batch > 0 ? config_.micro_batch : batch;
  std::vector<std::unique_ptr<StagedPass>> passes;
  for (int64_t first = 0; first < batch; first += micro) {
    const int64_t end = std::min(first + micro, batch);
    passes.push_back(
        std::make_unique<Pass>(*this, my_samples(first, end, times), 1 / static_cast<float>(batch), end == batch));
  }
  run_pipeline(any_expert().stages(), config_.pipeline, passes);
}

void DenoiserTrainer::count_losses(const GatedBatch& pass) {
  for (const ExpertLoss& part : pass.losses_seen()) {
    for (const float loss : part.losses) losses_[part.expert] += loss;
    if (!std::isfinite(losses_[part.expert]))
      fail_run("training: the loss of {} is not finite after {} samples", expert_states_[part.expert]->name(),
               samples_);
  }
}

const WanTransformer& DenoiserTrainer::any_expert() const {
  return **std::ranges::find_if(experts_, [](const auto& expert) { return expert != nullptr; });
}

std::vector<Trainee*> DenoiserTrainer::my_trainees() const {
  std::vector<Trainee*> mine{text_state_.get()};
  for (const auto& state : expert_states_)
    if (state) mine.push_back(state.get());
  return mine;
}

void DenoiserTrainer::report_losses(MetricMeans& means) {
  layout_.on(Axis::pp).all_reduce(values(std::span(losses_))).wait();  // the last stage has them
  layout_.samples().all_reduce(values(std::span(losses_))).wait();
  for (int i = 0; i < experts(); ++i) {
    if (seen_[i] == 0) continue;
    const auto count = static_cast<double>(seen_[i]);
    means.add("loss", losses_[i] / count, count);
    if (experts() > 1) means.add("loss." + numbered("transformer", i), losses_[i] / count, count);
  }
}

void DenoiserTrainer::update(double lr_factor, MetricMeans& means) {
  const int64_t total = std::accumulate(seen_.begin(), seen_.end(), int64_t{0});
  const auto apply = [&](Trainee& part) { means.add("gradient_norm." + part.name(), part.step(lr_factor)); };
  apply(*text_state_);
  for (int i = 0; i < experts(); ++i) {
    if (seen_[i] > 0 && expert_states_[i]) apply(*expert_states_[i]);
    if (experts() == 1) continue;
    const std::string name = numbered("transformer", i);
    means.add("share." + name, static_cast<double>(seen_[i]) / static_cast<double>(total));
    means.add("planned_share." + name, planned_share_[i]);
  }
  means.add("learning_rate_factor", lr_factor);
}

// The moving averages, which are what is saved as the model; the grid is shared out like the samples of a step.
Json DenoiserTrainer::validate() {
  const Parameters text_averages = text_state_->averages();
  CopiedParameters text_source(text_averages, false);
  const T5Encoder text(config_.denoiser.text_encoder, text_source, compute_);
  Mixture averaged{&text, {}, mixture_.ranges, mixture_.max_tokens, layout_};
  std::vector<std::unique_ptr<WanTransformer>> experts;
  for (const auto& state : expert_states_) {
    if (state) {
      const Parameters averages = state->averages();
      CopiedParameters source(averages, false);
      experts.push_back(std::make_unique<WanTransformer>(config_.denoiser.transformer, source, compute_, layout_));
    }
    averaged.experts.push_back(state ? experts.back().get() : nullptr);
  }
  std::vector<double> losses(grid_.samples.size());
  const std::vector<int64_t> mine = my_share(0, std::ssize(losses), [&](int64_t i) { return grid_.samples[i].t; });
  ValidationGrid part{{}, grid_.bins};
  for (int64_t i : mine) part.samples.push_back(grid_.samples[i]);
  const std::vector<double> found = validation_losses(averaged, part, validation_batch);
  for (size_t k = 0; k < mine.size(); ++k) losses[mine[k]] = found[k];
  layout_.samples().all_reduce(values(std::span(losses))).wait();
  return summarize_validation(grid_, losses, planned_ranges_);
}

Json DenoiserTrainer::save(const Path& folder) const {
  text_state_->save(folder);
  for (const auto& state : expert_states_)
    if (state) state->save(folder);
  Json state{{"experts", experts()}, {"samples", samples_}, {"boundaries", mixture_.ranges.boundaries()}};
  if (branched_) state["branched"] = {{"step", branched_->step}, {"samples", branched_->samples}};
  return state;
}

void DenoiserTrainer::load(const Path& folder, JsonReader state) {
  const auto stored = static_cast<int>(state.integer("experts", 1, 1024));
  const auto boundaries = state.required<std::vector<double>>("boundaries");
  check(std::ssize(boundaries) + 1 == stored, "{}: {} boundaries for {} experts", state.where("boundaries"),
        boundaries.size(), stored);
  check(stored == 1 || same(boundaries, planned_ranges_.boundaries()),
        "{}: has {} experts with boundaries {}, the config asks for {} with {}", folder.string(), stored, boundaries,
        planned_ranges_.count(), planned_ranges_.boundaries());
  if (stored > 1) planned_ranges_ = ExpertRanges(boundaries);
  if (stored > 1) multiply(stored);
  set_ranges();
  text_state_->load(folder);
  for (const auto& part : expert_states_)
    if (part) part->load(folder);
  samples_ = state.integer("samples", 0, most_samples);
  if (!state.has("branched")) return;
  JsonReader branched = state.object("branched");
  branched_ = {branched.integer("step", 0, most_samples), branched.integer("samples", 0, samples_)};
}

// From the checkpoint, which has everything: this rank may not.
void DenoiserTrainer::write_model(const Path& folder, const Path& checkpoint) {
  const auto averages = [&](const std::string& name) {
    const Path ema = checkpoint / name / "ema.safetensors";
    const SafetensorsFile file(std::filesystem::exists(ema) ? ema : checkpoint / name / "weights.safetensors");
    Parameters parameters;
    for (const std::string& tensor : file.names()) parameters.push_back({tensor, file.tensor(tensor)});
    return parameters;
  };
  const Parameters text_encoder = averages(text_state_->name());
  std::vector<Parameters> experts;
  for (int i = 0; i < this->experts(); ++i) experts.push_back(averages(numbered("transformer", i)));
  PipelineParts parts{.vae = config_.denoiser.vae,
                      .tokenizer = config_.denoiser.tokenizer,
                      .start = config_.denoiser.start,
                      .text_config = config_.denoiser.text_encoder,
                      .text_encoder = &text_encoder,
                      .transformer = config_.denoiser.transformer,
                      .ranges = mixture_.ranges,
                      .shift = config_.sampling.shift > 0 ? config_.sampling.shift : config_.t.shift,
                      .max_tokens = config_.denoiser.max_tokens,
                      .size = config_.data.size,
                      .sampling = config_.sampling};
  for (const Parameters& expert : experts) parts.experts.push_back(&expert);
  write_pipeline(folder, parts);
}

}  // namespace baton
