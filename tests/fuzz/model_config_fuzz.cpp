#include <nlohmann/json.hpp>

#include "engine/io/model_config.h"
#include "engine/io/sampler_config.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

// config.json of every model family and scheduler_config.json; what is written of a config reads back.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const baton::fuzz::Folder folder;
  const std::string text = baton::fuzz::stretched(baton::fuzz::text_of(data, size));
  const auto path = folder.put("config.json", text);
  baton::fuzz::run(text.size(), [&] {
    const auto again = folder.put("again.json", wan_transformer_json(baton::read_wan_transformer_config(path)).dump());
    baton::fuzz::require(wan_transformer_json(baton::read_wan_transformer_config(again)) == baton::read_json(again));
  });
  baton::fuzz::run(text.size(), [&] {
    const auto again = folder.put("again.json", wan_vae_json(baton::read_wan_vae_config(path)).dump());
    baton::fuzz::require(wan_vae_json(baton::read_wan_vae_config(again)) == baton::read_json(again));
  });
  for (const char* architecture : {"T5EncoderModel", "UMT5EncoderModel"})
    baton::fuzz::run(text.size(), [&] { baton::read_t5_config(path, architecture); });
  baton::fuzz::run(text.size(), [&] { baton::read_clip_text_config(path); });
  return baton::fuzz::run(text.size(), [&] { baton::read_sampler_config(path); });
}
