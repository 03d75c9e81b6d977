#include "pipelines/generate.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/core/print.h"
#include "engine/data/prompt.h"
#include "engine/diffusion/guidance.h"
#include "engine/diffusion/objective.h"
#include "engine/io/image.h"
#include "engine/io/stream.h"
#include "engine/io/tensor_store.h"
#include "engine/ops/view.h"
#include "pipelines/draw_plan.h"
#include "pipelines/picture_file.h"
#include "pipelines/picture_model.h"
#include "pipelines/picture_output.h"
#include "pipelines/ranks.h"
#include "pipelines/relay.h"

namespace baton {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Of all ranks the first one's, where the user leaves it to chance.
int64_t choose_seed(const GenerateConfig& config, Group& ranks) {
  if (config.seed >= 0) return config.seed;
  int64_t seed = std::random_device()();
  ranks.broadcast(values(std::span(&seed, 1)), 0).wait();
  if (ranks.rank() == 0) spdlog::info("seed {}", seed);
  return seed;
}

std::string read_prompt(const std::string& file) {
  std::string text = read_stream(file, 1 << 20);
  for (const char end : {'\n', '\r'})  // of the last line
    if (text.ends_with(end)) text.pop_back();
  return text;
}

// Strength 0: the start image as its latents give it back.
bool keeps_picture(const GenerateConfig& config) { return !config.init_image.empty() && config.strength == 0; }
bool denoises(const GenerateConfig& config) {
  return !config.dry_run && config.from_latents.empty() && !keeps_picture(config);
}

// Latents from a file, [B, C, 1, h, w] f32, as --latents-out wrote them.
Tensor read_latents(const Path& path, const PipelineDirectory& model) {
  TensorStore store(path);
  check(store.contains("latents"), "{}: there is no tensor 'latents'", path.string());
  const Tensor latents = store.get("latents");
  check(latents.dtype() == DType::f32 && latents.rank() == 5 && latents.dim(1) == model.vae_config().z_dim &&
            latents.dim(2) == 1 && latents.numel() > 0,
        "{}: latents are {} {}, expected f32 [B, {}, 1, h, w]", path.string(), name(latents.dtype()), latents.shape(),
        model.vae_config().z_dim);
  const int64_t most = most_pixels_a_side / model.vae_config().scale_factor_spatial;
  check(latents.numel() > 0 && latents.dim(3) <= most && latents.dim(4) <= most,
        "{}: latents of shape {}: no size may be 0, and h and w at most {}", path.string(), latents.shape(), most);
  return latents;
}

// The start image as a picture [1, 3, 1, H, W] in [0, 1] of the plan's size.
Tensor read_init_image(const std::string& path, const DrawPlan& plan) {
  const Image image = read_image(path);
  if (image.first_of_several) warn_once(fmt::format("{}: the first of several frames or pages is taken", path));
  if (image.other_colours)
    warn_once(fmt::format("{}: its colour profile is not sRGB; its values are taken as sRGB", path));
  return to_tensor(resize_image(image, plan.width, plan.height)).alias({1, 3, 1, plan.height, plan.width});
}

// Also of "model/", "." and a link.
std::string name_of(const Path& model) { return printable_line(fs::canonical(model).filename().string()); }

struct Seconds {
  double encode = 0, denoise = 0, decode = 0, start_to_first_step = 0;
};

std::vector<std::string> texts_of(const GenerateConfig& config) { return {config.prompt, config.negative}; }

class Generation {
 public:
  // `text`: ranks that encode texts for this one; null: it does so itself.
  Generation(GenerateConfig config, const Runtime& runtime, const Layout& layout, TextRanks* text)
      : start_(Clock::now()),
        config_(std::move(config)),
        runtime_(runtime),
        layout_(layout),
        text_(text),
        model_(config_.model),
        plan_(make_draw_plan(config_, model_)),
        engine_(model_, runtime.compute, config_.count > config_.batch, layout),
        relay_(layout, plan_.steps, model_.experts()) {
    check(config_.latents_out.empty() || !denoises(config_) || relay_.last_replicas() == 1,
          "latents_out: one replica must see all pictures; leave dp out of the mesh");
  }

  int run() {
    if (config_.dry_run) {
      if (layout_.rank() == 0) print(describe(plan_, model_, std::min(config_.batch, config_.count), runtime_.compute));
      return exit_done;
    }
    if (!denoises(config_)) return layout_.rank() == 0 ? decode_only() : exit_done;
    config_.seed = choose_seed(config_, layout_.everyone());
    if (!config_.init_image.empty()) start_file_ = source_file(config_.init_image);
    if (!config_.init_image.empty()) init_ = engine_.encode_pictures(read_init_image(config_.init_image, plan_));
    const auto encode_start = Clock::now();
    texts_ = text_ ? text_->receive(0) : engine_.encode(texts_of(config_));
    seconds_.encode = seconds_since(encode_start) / static_cast<double>(config_.count);
    draw_my_batches();
    const std::string idle = relay_.idle_report();
    if (layout_.rank() == 0 && !idle.empty()) spdlog::info("{}", idle);
    int64_t written = written_;
    layout_.everyone().all_reduce(values(std::span(&written, 1))).wait();
    if (written == config_.count) return exit_done;
    if (layout_.rank() == 0) spdlog::info("stopped: {} of {} pictures are drawn", written, config_.count);
    return exit_interrupted;
  }

 private:
  void draw_my_batches() {
    const int64_t steps = static_cast<int64_t>(relay_.end() - relay_.begin()), stride = relay_.batch_stride();
    const int64_t batches = steps == 0 ? 0 : (config_.count + config_.batch - 1) / config_.batch;
    const int64_t mine = (batches - relay_.first_batch() + stride - 1) / stride;
    Progress progress(layout_.rank() == 0 ? runtime_.progress : ProgressMode::none, "generate", steps * mine);
    bool drawing = true;
    for (int64_t batch = relay_.first_batch(); batch < batches; batch += stride) {
      drawing = drawing && draw_batch(batch, progress);
      if (!drawing && !relay_.is_last()) relay_.call_off(batch);
    }
  }

  // Ctrl-C as the first rank of the replica sees it: all must agree.
  bool stopped() {
    int64_t stop = runtime_.stop;
    layout_.replica().broadcast(values(std::span(&stop, 1)), 0).wait();
    return stop != 0;
  }

  // False if the run was stopped.
  bool draw_batch(int64_t batch, Progress& progress) {
    const int64_t first = batch * config_.batch, size = std::min(config_.batch, config_.count - first);
    layout_.everyone().set_step(first);
    std::vector<PictureRequest> pictures;
    for (int64_t i = 0; i < size; ++i) pictures.push_back({0, 1, static_cast<uint64_t>(config_.seed + first + i)});
    engine_.load(plan_.steps[relay_.begin()].expert);
    std::optional<Trajectory> run = relay_.is_first() ? start(pictures) : relay_.receive(batch, shape_of(pictures));
    if (!run) return false;
    const auto denoise_start = Clock::now();
    if (seconds_.start_to_first_step == 0) seconds_.start_to_first_step = seconds_since(start_);
    engine_.denoise(plan_, texts_, pictures, *run, relay_.end(), [&](const Step& step) {
      Progress::Fields fields{{"step", step.index + 1.0}, {"expert", step.expert}};
      if (config_.count > 1) fields.insert(fields.begin(), {"picture", static_cast<double>(first + size)});
      progress.update(++steps_done_, fields);
    });
    seconds_.denoise = seconds_since(denoise_start) / static_cast<double>(size);
    if (!relay_.is_last())
      relay_.hand_over(batch, *run);
    else if (layout_.replica().rank() == 0)
      finish_batch(first, run->latents);
    return true;
  }

  std::optional<Trajectory> start(const std::vector<PictureRequest>& pictures) {
    if (stopped()) return std::nullopt;
    Tensor latents = engine_.noise(plan_, pictures);
    if (init_) latents = noised(expand(init_, latents.shape()), latents, plan_.steps[0].sigma);
    return Trajectory{latents, {}, 0};
  }

  Shape shape_of(const std::vector<PictureRequest>& pictures) const {
    return engine_.latents_shape(plan_, std::ssize(pictures));
  }

  void finish_batch(int64_t first, const Tensor& latents) {
    const auto decode_start = Clock::now();
    const Tensor pictures = engine_.decode(latents, plan_.tile);
    seconds_.decode = seconds_since(decode_start) / static_cast<double>(latents.dim(0));
    for (int64_t i = 0; i < latents.dim(0); ++i) write(first + i, narrow(pictures, 0, i, 1));
    if (!config_.latents_out.empty()) keep_latents(first, latents);
  }

  void keep_latents(int64_t first, const Tensor& latents) {
    all_latents_.push_back(latents);
    if (first + latents.dim(0) == config_.count || !config_.from_latents.empty())
      spdlog::info("latents: {}", save_latents(config_, concat(all_latents_, 0)).string());
  }

  void write(int64_t index, const Tensor& picture) {
    PictureInfo info{config_, name_of(model_.path()), model_hash(), steps_per_expert(), start_file_, latents_file_};
    info.config.seed = config_.seed + index;
    const std::string png = encode_picture(reshape(picture, {3, plan_.height, plan_.width}), info);
    report(save_picture(config_, index, png), index);
    ++written_;
  }

  void report(const Path& path, int64_t index) const {
    if (!config_.json) return print(printable_line(path.string()) + "\n");
    const double total = seconds_.encode + seconds_.denoise + seconds_.decode;
    const Json line{{"path", path.string()},
                    {"seed", config_.seed + index},
                    {"width", plan_.width},
                    {"height", plan_.height},
                    {"steps", plan_.steps.size()},
                    {"steps_per_expert", steps_per_expert()},
                    {"model_hash", model_hash()},
                    {"seconds_start_to_first_step", seconds_.start_to_first_step},
                    {"seconds_encode", seconds_.encode},
                    {"seconds_denoise", seconds_.denoise},
                    {"seconds_decode", seconds_.decode},
                    {"seconds_total", total}};
    print(json_text(line) + "\n");
  }

  // Without a denoiser: what --from-latents or the start image of strength 0 give.
  int decode_only() {
    config_.seed = std::max<int64_t>(config_.seed, 0);  // nothing is left to chance
    if (keeps_picture(config_)) return keep_picture();
    latents_file_ = source_file(config_.from_latents);
    const Tensor latents = read_latents(config_.from_latents, model_);
    const int64_t factor = model_.vae_config().scale_factor_spatial;
    plan_.width = latents.dim(4) * factor;
    plan_.height = latents.dim(3) * factor;
    config_.size = fmt::format("{}x{}", plan_.width, plan_.height);
    config_.count = latents.dim(0);
    check_output(config_);
    finish_batch(0, latents);
    return exit_done;
  }

  int keep_picture() {
    start_file_ = source_file(config_.init_image);
    const Tensor latents = engine_.encode_pictures(read_init_image(config_.init_image, plan_));
    for (int64_t i = 0; i < config_.count && !runtime_.stop; ++i) finish_batch(i, latents);
    return written_ == config_.count ? exit_done : exit_interrupted;
  }

  std::vector<int> steps_per_expert() const {
    std::vector<int> counts(model_.experts(), 0);
    for (const Step& step : plan_.steps) ++counts[step.expert];
    return counts;
  }

  const std::string& model_hash() const {
    if (hash_.empty()) hash_ = model_.hash();
    return hash_;
  }

  Clock::time_point start_;
  GenerateConfig config_;
  const Runtime& runtime_;
  Layout layout_;
  TextRanks* text_;
  PipelineDirectory model_;
  DrawPlan plan_;
  TextToImage engine_;
  Relay relay_;
  TextStates texts_;
  Tensor init_;  // latents of the start image, [1, C, 1, h, w]
  std::optional<SourceFile> start_file_, latents_file_;
  std::vector<Tensor> all_latents_;
  int64_t steps_done_ = 0, written_ = 0;
  Seconds seconds_;
  mutable std::string hash_;
};

}  // namespace

std::string default_model() {
  if (const char* chosen = std::getenv("BATON_MODEL")) return chosen;
  std::error_code none;  // the working folder may be gone
  // build/<preset>/libexec/baton stands three folders below the source tree
  const Path folder = fs::read_symlink("/proc/self/exe", none).parent_path();
  for (const Path& base : {fs::current_path(none), folder.parent_path().parent_path().parent_path()})
    if (const Path model = base / "assets" / "model"; fs::exists(model / "model_index.json", none)) return model;
  fail("no model: give --model FOLDER or set BATON_MODEL");
}

// Forward passes that each expert has to do for a picture.
static std::vector<double> loads_of_experts(GenerateConfig config) {
  const PipelineDirectory model(config.model);
  const DrawPlan plan = make_draw_plan(config, model);
  std::vector<double> loads(model.experts());
  for (const Step& step : plan.steps) loads[step.expert] += guided(step.guidance) ? 2 : 1;
  return loads;
}

// What all ranks must have alike. The prompt of a file stands in the prompt.
static Terms terms_of(GenerateConfig config, const Runtime& runtime) {
  constexpr std::string_view may_differ[] = {"model", "init_image", "from_latents", "like"};
  ParallelConfig parallel = runtime.parallel;
  Terms terms = config_terms([&](ConfigVisitor& v) { visit(v, config), visit(v, parallel); }, may_differ);
  terms.emplace_back("dtype of the products", name(runtime.compute));
  terms.emplace_back("hash of the model", PipelineDirectory(config.model).fingerprint());
  for (const std::string& file : {config.init_image, config.from_latents})
    terms.emplace_back("hash of init_image or from_latents", file.empty() ? "none" : hash_file(file));
  return terms;
}

int run_generate(const GenerateConfig& given, const Runtime& runtime) {
  GenerateConfig config = given;
  if (config.model.empty()) config.model = default_model();
  check_output(config);
  if (!config.like.empty()) {
    if (given.model.empty()) check_drawn_by(config.like, config.model);
    find_sources(config);
  }
  if (!config.prompt_file.empty()) config.prompt = read_prompt(config.prompt_file);
  check_prompt(config.prompt, config.prompt_file.empty() ? "prompt" : config.prompt_file);
  check_prompt(config.negative, "negative");
  config.prompt_file.clear();
  std::atomic<int> code = exit_done;
  const auto draw = [&](const Layout& layout, TextRanks* text) {
    if (const int mine = Generation(config, runtime, layout, text).run(); mine != exit_done) code = mine;
  };
  const auto encode = [&](TextRanks& text) {
    const int64_t tasks = denoises(config) ? 1 : 0;
    const PipelineDirectory model(config.model);
    text.serve(tasks, [&](int64_t) { return PromptEncoder(model, runtime.compute).encode(texts_of(config)); });
  };
  const auto terms = [&] { return terms_of(config, runtime); };
  on_ranks(runtime.parallel, runtime, loads_of_experts(config), terms, Roles{draw, encode});
  return code;
}

}  // namespace baton
