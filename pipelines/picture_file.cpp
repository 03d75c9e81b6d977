#include "pipelines/picture_file.h"

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/version.h"
#include "engine/io/png.h"

namespace baton {
namespace {

// The fields of a config struct as a JSON object, which is YAML as well.
class JsonWriter : public ConfigVisitor {
 public:
  Json object = Json::object();

  void operator()(std::string_view key, bool& value, std::string_view) override { object[std::string(key)] = value; }
  void operator()(std::string_view key, int64_t& value, std::string_view, Range<int64_t>) override {
    object[std::string(key)] = value;
  }
  void operator()(std::string_view key, double& value, std::string_view, Range<double>) override {
    object[std::string(key)] = value;
  }
  void operator()(std::string_view key, std::string& value, std::string_view) override {
    object[std::string(key)] = value;
  }
  void operator()(std::string_view key, std::vector<bool>& value, std::string_view) override {
    object[std::string(key)] = value;
  }
  void operator()(std::string_view key, std::vector<int64_t>& value, std::string_view, Range<int64_t>) override {
    object[std::string(key)] = value;
  }
  void operator()(std::string_view key, std::vector<double>& value, std::string_view, Range<double>) override {
    object[std::string(key)] = value;
  }
  void operator()(std::string_view key, std::span<int64_t> values, std::string_view, Range<int64_t>) override {
    object[std::string(key)] = std::vector<int64_t>(values.begin(), values.end());
  }
  void section(std::string_view key, std::string_view, const std::function<void()>& fields) override {
    Json outer = std::exchange(object, Json::object());
    fields();
    outer[std::string(key)] = object;
    object = std::move(outer);
  }
  using ConfigVisitor::operator();

 protected:
  void choose(std::string_view key, size_t& index, std::span<const std::string_view> words, std::string_view) override {
    object[std::string(key)] = words[index];
  }
};

// "prompt / Negative prompt: … / Steps: 24, Sampler: unipc, …", as AUTOMATIC1111's web UI writes it and other tools
// read it.
std::string parameters_line(const PictureInfo& info) {
  const GenerateConfig& c = info.config;
  std::string text = c.prompt + "\n";
  if (!c.negative.empty()) text += "Negative prompt: " + c.negative + "\n";
  return text + fmt::format(
                    "Steps: {}, Sampler: {}, CFG scale: {}, Seed: {}, Size: {}, Model hash: {}, Model: {}, Experts: "
                    "{}, Version: baton {}",
                    c.steps ? c.steps : std::ssize(c.sigmas), c.sampler, fmt::join(c.guidance, "/"), c.seed, c.size,
                    info.model_hash.substr(0, 10), info.model_name, fmt::join(info.steps_per_expert, "/"), version());
}

}  // namespace

void write_picture(const Path& path, const Tensor& picture, const PictureInfo& info) {
  JsonWriter settings;
  GenerateConfig config = info.config;
  visit(settings, config);
  const Json json{{"settings", settings.object},
                  {"model_name", info.model_name},
                  {"model_hash", info.model_hash},
                  {"steps_per_expert", info.steps_per_expert},
                  {"version", version()}};
  write_png(path, to_image(picture), {{"parameters", parameters_line(info)}, {"baton", json.dump()}});
}

Json picture_record(const Path& path) {
  const auto texts = read_png_texts(path);
  const auto it = texts.find("baton");
  check(it != texts.end(), "{}: this PNG was not made by Baton: it has no text named 'baton'", path.string());
  return parse_json(it->second, path.string());
}

std::string stored_settings(const Path& path) {
  const Json record = picture_record(path);
  check(record.is_object() && record.contains("settings"), "{}: the text 'baton' has no settings", path.string());
  return record["settings"].dump();
}

}  // namespace baton
