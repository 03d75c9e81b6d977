#include "pipelines/inspect.h"

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/print.h"
#include "engine/io/image_header.h"
#include "engine/io/pipeline_directory.h"
#include "engine/io/tensor_store.h"
#include "kernels/machine.h"
#include "pipelines/picture_file.h"
#include "pipelines/runtime.h"

namespace baton {

namespace fs = std::filesystem;

namespace {

Json describe_machine() {
  const kernels::Machine m = kernels::cpu::machine();
  return {{"device", "cpu"}, {"processor", m.processor}, {"threads", m.threads},
          {"simd", m.simd},  {"gemm", m.gemm},           {"dtype auto", m.bf16 ? "bf16" : "f32"}};
}

Json describe_tensors(const Path& path) {
  const TensorStore store(path);
  Json tensors = Json::object();
  int64_t elements = 0;
  for (const std::string& name : store.names()) {
    const auto& entry = store.entry(name);
    tensors[name] = fmt::format("{} {}", entry.dtype, entry.shape);
    elements += numel(entry.shape);
  }
  return {{"elements", elements}, {"metadata", store.metadata()}, {"tensors", tensors}};
}

int64_t count_elements_in(const Path& folder) {
  const TensorStore store(folder);
  int64_t elements = 0;
  for (const std::string& name : store.names()) elements += numel(store.entry(name).shape);
  return elements;
}

Json describe_pipeline(const Path& path) {
  const PipelineDirectory model(path);
  Json experts = Json::array();
  for (int i = 0; i < model.experts(); ++i) {
    const NoiseRange range = model.ranges().range(i);
    const WanTransformerConfig& c = model.expert_configs()[i];
    experts.push_back({{"folder", model.expert_folder(i).filename().string()},
                       {"noise levels", fmt::format("{} <= t {} {}", range.low, i == 0 ? "<=" : "<", range.high)},
                       {"parameters", count_elements_in(model.expert_folder(i))},
                       {"layers", c.num_layers},
                       {"width", c.inner_dim()},
                       {"heads", c.num_attention_heads}});
  }
  Json encoders = Json::array();
  for (int i = 0; i < model.text_encoders(); ++i)
    encoders.push_back({{"folder", numbered("text_encoder", i)},
                        {"parameters", count_elements_in(path / numbered("text_encoder", i))}});
  return {{"experts", experts},
          {"boundaries", model.ranges().boundaries()},
          {"text encoders", encoders},
          {"vae",
           {{"parameters", count_elements_in(path / "vae")},
            {"pixels per latent", model.vae_config().scale_factor_spatial},
            {"channels", model.vae_config().z_dim}}},
          {"sizes", fmt::format("multiples of {} pixels", model.size_multiple())},
          {"hash", model.hash()}};
}

// JSON as indented text for people: one line a value.
void print_tree(const Json& value, const std::string& indent) {
  for (const auto& [key, item] : value.items()) {
    const std::string label = value.is_array() ? "-" : printable_line(key) + ":";
    if (item.is_structured() && !item.empty()) {
      print(indent + label + "\n");
      print_tree(item, indent + "  ");
    } else {
      const std::string value = item.is_string() ? item.get<std::string>() : json_text(item);
      print(indent + label + " " + printable_line(value) + "\n");
    }
  }
}

}  // namespace

int run_inspect(const InspectConfig& config) {
  check(config.machine != !config.path.empty(), "inspect: give a path or --machine");
  Json found;
  const Path path = config.path;
  if (config.machine)
    found = describe_machine();
  else if (fs::exists(path / "model_index.json"))
    found = describe_pipeline(path);
  else if (is_picture(path))
    found = picture_record(path);
  else
    found = describe_tensors(path);
  if (config.json)
    print(json_text(found, 2) + "\n");
  else
    print_tree(found, "");
  return exit_done;
}

}  // namespace baton
