#include <nlohmann/json.hpp>

#include "engine/io/png.h"
#include "pipelines/picture_file.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

// The text 'baton' of a PNG, as --like reads it: no path comes out of it but that of a start picture beside it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const baton::fuzz::Folder folder;
  const std::string text = baton::fuzz::stretched(baton::fuzz::text_of(data, size));
  const auto picture = folder.path() / "a.png";
  baton::fuzz::run(size, [&] { baton::write_png(picture, {1, 1, std::vector<uint8_t>(3)}, {{"baton", text}}); });
  if (!std::filesystem::exists(picture)) return 0;
  baton::fuzz::run(text.size(), [&] { baton::picture_record(picture); });
  baton::fuzz::run(text.size(), [&] {
    baton::GenerateConfig config;
    static_cast<baton::PictureConfig&>(config) = baton::stored_settings(picture);
    config.like = picture.string();
    baton::find_sources(config);
    baton::fuzz::require(config.out.empty() && config.latents_out.empty() && config.prompt_file.empty() &&
                         config.from_latents.empty() && config.model.empty());
    const baton::Path start = config.init_image;
    baton::fuzz::require(start.empty() || start.parent_path() == folder.path());
  });
  std::filesystem::remove(picture);
  return 0;
}
