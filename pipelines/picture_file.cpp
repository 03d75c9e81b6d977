#include "pipelines/picture_file.h"

#include <nlohmann/json.hpp>

#include "engine/config/yaml.h"
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
  const PictureConfig& c = info.config;
  std::string text = c.prompt + "\n";
  if (!c.negative.empty()) text += "Negative prompt: " + c.negative + "\n";
  return text + fmt::format(
                    "Steps: {}, Sampler: {}, CFG scale: {}, Seed: {}, Size: {}, Model hash: {}, Model: {}, Experts: "
                    "{}, Version: baton {}",
                    c.steps ? c.steps : std::ssize(c.sigmas), c.sampler, fmt::join(c.guidance, "/"), c.seed, c.size,
                    info.model_hash.substr(0, 10), info.model_name, fmt::join(info.steps_per_expert, "/"), version());
}

std::string record_text(const Path& picture) {
  auto texts = read_png_texts(picture);
  const auto it = texts.find("baton");
  check(it != texts.end(), "{}: this PNG was not made by Baton: it has no text named 'baton'", picture.string());
  return std::move(it->second);
}

JsonReader reader_of(const Path& picture) { return JsonReader::text(record_text(picture), picture.string()); }

// Some PNGs of earlier versions hold paths. They are read along, to be told from keys that mean nothing, and dropped.
GenerateConfig read_settings(const Path& picture, JsonReader& record) {
  record.object("settings");
  GenerateConfig config;
  read_fields_text(record.raw("settings").dump(), picture.string(), [&](ConfigVisitor& v) { visit(v, config); });
  return config;
}

// The name of what the picture was made from under `key`; empty if it was not.
std::string source_name(JsonReader& record, const char* key, const std::string& earlier) {
  const Path name = record.has(key) ? record.object(key).required<std::string>("name") : earlier;
  return name.filename().string();
}

}  // namespace

SourceFile source_file(const Path& path) { return {path.filename().string(), hash_file(path)}; }

std::string encode_picture(const Tensor& picture, const PictureInfo& info) {
  JsonWriter settings;
  PictureConfig config = info.config;
  visit(settings, config);
  Json json{{"settings", settings.object},
            {"model_name", info.model_name},
            {"model_hash", info.model_hash},
            {"steps_per_expert", info.steps_per_expert},
            {"version", version()}};
  const auto add = [&](const char* key, const std::optional<SourceFile>& source) {
    if (source) json[key] = {{"name", source->name}, {"hash", source->hash}};
  };
  add("init_image", info.init_image);
  add("from_latents", info.from_latents);
  return encode_png(to_image(picture), {{"parameters", parameters_line(info)}, {"baton", json_text(json)}}, "picture");
}

Json picture_record(const Path& path) { return parse_json(record_text(path), path.string()); }

PictureConfig stored_settings(const Path& path) {
  JsonReader record = reader_of(path);
  return read_settings(path, record);
}

void find_sources(GenerateConfig& config) {
  const Path picture = config.like;
  JsonReader record = reader_of(picture);
  const GenerateConfig earlier = read_settings(picture, record);
  const std::string latents = source_name(record, "from_latents", earlier.from_latents);
  check(latents.empty() || !config.from_latents.empty(),
        "{}: was decoded from latents, '{}'; name them with --from-latents", picture.string(), latents);
  const std::string start = source_name(record, "init_image", earlier.init_image);
  if (start.empty() || !config.init_image.empty()) return;
  const Path beside = picture.parent_path() / start;
  std::error_code none;
  check(record.has("init_image") && std::filesystem::is_regular_file(beside, none) &&
            hash_file(beside) == record.object("init_image").required<std::string>("hash"),
        "{}: was started from a picture, '{}', which is not {}; name it with --init-image", picture.string(), start,
        beside.string());
  config.init_image = beside.string();
}

}  // namespace baton
