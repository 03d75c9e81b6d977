#include <CLI/CLI.hpp>

#include "engine/comm/mpi.h"
#include "engine/config/train_start.h"
#include "engine/config/yaml.h"
#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/core/print.h"
#include "engine/core/utf8.h"
#include "engine/core/version.h"
#include "engine/io/nearest.h"
#include "pipelines/dataset.h"
#include "pipelines/evaluate.h"
#include "pipelines/failure.h"
#include "pipelines/generate.h"
#include "pipelines/inspect.h"
#include "pipelines/picture_file.h"
#include "pipelines/plan.h"
#include "pipelines/runtime.h"
#include "pipelines/train.h"
#include "tools/baton/flags.h"
#include "tools/baton/foreign_flags.h"
#include "tools/baton/last_resort.h"
#include "tools/baton/process.h"

namespace baton {
namespace {

// A subcommand: its flags, and what to run once they are parsed.
struct Command {
  CLI::App* app;
  std::function<int()> run;
};

template <typename Config>
Config configured(const Flags& flags, Config config = {}) {
  read_fields(flags.config_file(), flags.overrides(), [&](ConfigVisitor& v) { visit(v, config); });
  return config;
}

template <typename Config>
std::unique_ptr<Flags> add_flags(CLI::App& app, const std::map<std::string, std::string>& shorts = {}) {
  const auto config = std::make_shared<Config>();
  return std::make_unique<Flags>(
      app, [config](ConfigVisitor& v) { visit(v, *config); }, shorts);
}

// Both structs are filled from the same flags, files and overrides.
template <typename Config>
struct WithRuntime {
  Config config;
  RuntimeConfig runtime;
};
template <typename Config>
void visit(ConfigVisitor& v, WithRuntime<Config>& both) {
  visit(v, both.config);
  visit(v, both.runtime);
}

Command add_generate(CLI::App& program) {
  CLI::App* app = program.add_subcommand("generate", "draw pictures from words");
  using Both = WithRuntime<GenerateConfig>;
  const std::shared_ptr<Flags> flags = add_flags<Both>(*app, {{"out", "-o"}});
  const auto prompt = std::make_shared<std::string>();
  const CLI::Option* option = app->add_option("PROMPT", *prompt, "what to draw, in the languages of the model");
  app->footer(
      "baton generate \"a red panda\" -o panda.png\nbaton generate \"a cat\" --count 8 --batch 4 -o cats --guidance 4 "
      "--steps 24");
  return {app, [flags, prompt, option] {
            Both both = configured<Both>(*flags);
            if (!both.config.like.empty()) {
              const PictureConfig stored = stored_settings(both.config.like);
              both = configured<Both>(*flags, {{no_schedule()}, {}});
              both = configured<Both>(*flags, {{without_overridden(stored, both.config)}, {}});
            }
            const GenerateConfig& c = both.config;
            check(option->count() > 0 ||
                      !(c.prompt.empty() && c.prompt_file.empty() && c.like.empty() && c.from_latents.empty()),
                  "generate: what is to be drawn? baton generate \"a red panda\" -o panda.png");
            if (option->count() > 0) both.config.prompt = *prompt;
            resolve(both.config);
            return run_generate(both.config, start_runtime(both.runtime, stop_on_signals()));
          }};
}

// TrainConfig has too many keys for flags: a config file says what to train, --set changes single keys.
Command add_train(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "train", "train an autoencoder or a denoiser as a config says; goes on from its newest checkpoint");
  const auto runtime = std::make_shared<RuntimeConfig>();
  const auto process = [runtime](ConfigVisitor& v) { visit_process(v, *runtime); };
  const auto flags = std::make_shared<Flags>(*app, process);
  app->get_option("--config")->required()->description("YAML file, for example configs/train/denoiser.yaml");
  app->get_option("--set")->description("set a key of the config, for example optimizer.adamw.lr=1e-3");
  const auto parallel = std::make_shared<std::vector<std::string>>();
  const auto also = [app, parallel](const char* flag, const std::string& key, const char* help, const char* type) {
    app->add_option_function<std::string>(
           flag, [parallel, key](const std::string& value) { parallel->push_back(key + "=" + value); }, help)
        ->type_name(type);
  };
  also("--ranks", "parallel.ranks", "ranks, as threads of this process (default: as many as the mesh takes)", "N");
  also("--mesh", "parallel.mesh", "how they work together, for example tp=2,dp=2 or ep=2", "AXIS=N,…");
  app->add_flag_callback(
      "--sequence-parallel", [parallel] { parallel->push_back("parallel.sequence_parallel=true"); },
      "with tp: ranks hold a share of the tokens between its matrices");
  app->add_flag_callback(
      "--profile", [parallel] { parallel->push_back("parallel.profile=true"); },
      "print at the end what the first rank sent, by axis");
  const auto print_only = std::make_shared<bool>();
  app->add_flag("--print-config", *print_only, "print every key with its meaning and value, then stop");
  return {app, [flags, process, runtime, parallel, print_only] {
            read_fields({}, flags->given(), process);
            std::vector<std::string> overrides = flags->assignments();
            overrides.insert(overrides.end(), parallel->begin(), parallel->end());
            const TrainConfig config = read_train_config(flags->config_file(), overrides);
            if (*print_only) {
              print(print_config(config));
              return exit_done;
            }
            return run_train(config, start_runtime(*runtime, stop_on_signals()));
          }};
}

Command add_dataset(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "dataset", "decode a data set as training would; say what is in it and what is wrong with it");
  const std::shared_ptr<Flags> flags = add_flags<DatasetReportConfig>(*app);
  const auto folder = std::make_shared<std::string>();
  app->add_option("FOLDER", *folder, "folder of pictures with captions, or with a metadata.jsonl")->required();
  return {app, [flags, folder] {
            DatasetReportConfig config = configured<DatasetReportConfig>(*flags);
            config.data.folder = *folder;
            resolve(config);
            return run_dataset(config);
          }};
}

Command add_evaluate(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "evaluate",
      "measure the validation loss of models or checkpoints per noise level and expert, on the same numbers");
  using Both = WithRuntime<EvaluateConfig>;
  const std::shared_ptr<Flags> flags = add_flags<Both>(*app);
  const auto models = std::make_shared<std::vector<std::string>>();
  app->add_option("MODEL", *models,
                  "pipeline folders, or checkpoints of baton train; with --autoencoder also its folders")
      ->required();
  return {app, [flags, models] {
            Both both = configured<Both>(*flags);
            both.config.models = *models;
            return run_evaluate(both.config, start_runtime(both.runtime, stop_on_signals()));
          }};
}

Command add_inspect(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("inspect", "say what is in a model, a .safetensors file or a PNG that Baton made");
  const auto config = std::make_shared<InspectConfig>();
  app->add_option("PATH", config->path, "folder or file");
  app->add_flag("--machine", config->machine, "describe this computer instead");
  app->add_flag("--json", config->json, "as JSON");
  return {app, [config] { return run_inspect(*config); }};
}

Command add_plan(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "plan", "say how much memory and time training takes on a described machine, and on which mesh");
  const std::shared_ptr<Flags> flags = add_flags<PlanConfig>(*app);
  const auto train = std::make_shared<std::string>();
  app->add_option("CONFIG", *train, "a config of baton train, for example configs/train/denoiser.yaml");
  app->footer(
      "baton plan configs/train/denoiser.yaml --machine configs/machines/h100-80g.yaml --ranks 8 --search\n"
      "baton plan --calibrate > here.yaml");
  return {app, [flags, train] {
            PlanConfig config = configured<PlanConfig>(*flags);
            config.train_config = *train;
            resolve(config);
            return run_plan(config);
          }};
}

// CLI11's own messages, and for an unknown word the nearest one that there is.
std::string explain(const CLI::App& program, const CLI::ParseError& error) {
  const auto chosen = program.get_subcommands();
  if (chosen.empty()) {
    std::vector<std::string> known;
    for (const CLI::App* sub : program.get_subcommands({})) known.push_back(sub->get_name());
    if (program.remaining().empty()) return fmt::format("a subcommand is needed: {}", fmt::join(known, ", "));
    const std::string word = program.remaining().front();
    return fmt::format("there is no subcommand '{}'{}; there are {}", word, did_you_mean(word, known),
                       fmt::join(known, ", "));
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : chosen[0]->get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  const std::vector<std::string> words = chosen[0]->remaining();
  if (words.empty()) return fmt::format("{}; baton {} --help shows what there is", error.what(), chosen[0]->get_name());
  std::string hint = explain_foreign_flag(words[0]);
  if (hint.empty() && words[0].starts_with("--")) hint = did_you_mean(words[0], known);
  return fmt::format("'{}' is not known here{}; baton {} --help shows what there is", words[0], hint,
                     chosen[0]->get_name());
}

int run(int argc, char** argv) {
  CLI::App program("Baton draws pictures from words with a relay of denoising experts, and trains them.", "baton");
  program.require_subcommand(1);
  program.set_version_flag("--version", fmt::format("baton {}", version()));
  std::vector<Command> commands{add_generate(program), add_train(program),   add_evaluate(program),
                                add_dataset(program),  add_inspect(program), add_plan(program)};
  for (const Command& command : commands) command.app->allow_extras(false);
  for (int i = 1; i < argc; ++i)
    check(is_utf8(argv[i]), "argument {} is not UTF-8 text; files with such a name must be renamed", i);
  try {
    program.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return program.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return program.exit(version);
  } catch (const CLI::ParseError& error) {
    fail("{}", explain(program, error));
  }
  for (const Command& command : commands)
    if (command.app->parsed()) return command.run();
  return exit_bad_input;
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  using namespace baton;
  prepare_last_resort();
  prepare_process();
  start_log(false);
  if (mpi_rank() > 0) spdlog::set_level(spdlog::level::err);  // the first one says what all would
  use_threads();                                              // of the commands that have no --threads
  try {
    const int code = run(argc, argv);
    check_output_written();
    return code;
  } catch (const std::exception& error) {
    const Failure failure = describe_failure(error);
    log_failure(failure);
    return failure.exit_code;
  }
}
