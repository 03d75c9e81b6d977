#include "pipelines/picture_model.h"

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/pipeline_directory.h"
#include "pipelines/picture_file.h"

namespace baton {

void check_drawn_by(const Path& picture, const Path& model) {
  JsonReader record = JsonReader::text(json_text(picture_record(picture)), picture.string());
  const auto hash = record.required<std::string>("model_hash");
  const Path manifest = model / "manifest.json";
  std::error_code none;
  const bool by_manifest =
      !record.has("version") && std::filesystem::is_regular_file(manifest, none) && hash == hash_file(manifest);
  check(by_manifest || hash == PipelineDirectory(model).hash(),
        "{}: was drawn by another model, '{}' with hash {}, not by {}; name it with --model", picture.string(),
        record.optional("model_name", ""), hash, model.string());
}

}  // namespace baton
