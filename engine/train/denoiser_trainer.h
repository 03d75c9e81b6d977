#pragma once

#include <memory>
#include <optional>

#include "engine/diffusion/time_distribution.h"
#include "engine/models/t5_encoder.h"
#include "engine/train/loop.h"
#include "engine/train/mixture.h"
#include "engine/train/trainee.h"
#include "engine/train/validation.h"

namespace baton {

// Trains denoising experts together with their text encoder. Up to step config.experts.branch_at one denoiser learns
// all noise levels; then it is copied, with moving average and optimizer state, to every expert, and each goes on with
// the noise levels that it owns. The text encoder keeps learning from all of them. Up to there the config may still
// change its mind about the experts, their number included: so a single model is continued for comparison.
class DenoiserTrainer : public Trainer {
 public:
  // config.denoiser's sizes that follow from the autoencoder and the tokenizer are filled in.
  // All ranks of the layout train together, each on its samples: those whose noise level its group of experts owns,
  // shared out over the group's replicas.
  DenoiserTrainer(const TrainConfig& config, DenoiserData& data, DType compute, const Layout& layout = {});
  ~DenoiserTrainer() override;

  int64_t step(int64_t step, MetricMeans& means) override;
  Json validate() override;
  Json save(const Path& folder) const override;
  void load(const Path& folder, JsonReader state) override;
  void write_model(const Path& folder, const Path& checkpoint) override;

  const Trainee& text_encoder() const { return *text_state_; }
  int experts() const { return static_cast<int>(experts_.size()); }
  const Trainee* expert(int index) const { return expert_states_[index].get(); }  // null: another group's
  const ExpertRanges& ranges() const { return mixture_.ranges; }

 private:
  void start_from(const Path& pipeline);
  void set_text_encoder(ParameterSource& source);
  void add_expert(ParameterSource& source, int count);
  std::unique_ptr<Trainee> multiply(int count);
  void set_ranges();
  void branch(int64_t step);
  NoiseRange range_of(int64_t step) const;
  int64_t batch_of(int64_t step) const;
  double lr_factor(int64_t step) const;
  std::vector<int64_t> my_share(int64_t first, int64_t end, const std::function<double(int64_t)>& time) const;
  std::vector<NoisySample> my_samples(int64_t first, int64_t end, std::span<const double> times);
  void accumulate(int64_t batch, std::span<const double> times);
  void count_losses(const GatedBatch& pass);
  void update(double lr_factor, MetricMeans& means);
  void report_losses(MetricMeans& means);
  class Pass;
  const WanTransformer& any_expert() const;  // of this rank's
  std::vector<Trainee*> my_trainees() const;
  bool is_mine(int expert, int count) const;

  TrainConfig config_;
  DenoiserData& data_;
  DType compute_;
  Layout layout_;
  TimeDistribution times_;
  Shape latents_;                // of one picture
  ExpertRanges planned_ranges_;  // after the branch
  std::unique_ptr<T5Encoder> text_encoder_;
  std::unique_ptr<Trainee> text_state_;
  std::vector<std::unique_ptr<WanTransformer>> experts_;  // null: another group's
  std::vector<std::unique_ptr<Trainee>> expert_states_;
  Mixture mixture_;                    // the above, as they are now
  std::vector<double> planned_share_;  // of the samples, of each expert
  std::vector<int64_t> seen_;          // samples of each expert in the step at hand, on all ranks
  std::vector<double> losses_;         // their sum, for each expert, on this rank
  ValidationGrid grid_;
  int64_t samples_ = 0;
  struct Branch {
    int64_t step, samples;  // done before it
  };
  std::optional<Branch> branched_;
};

}  // namespace baton
