#include "engine/data/dataset_source.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

// metadata.jsonl of a folder with one picture, a.png.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const baton::fuzz::Folder folder;
  folder.put("a.png", "not decoded here");
  const std::string text = baton::fuzz::stretched(baton::fuzz::text_of(data, size));
  const auto file = std::filesystem::canonical(folder.put("metadata.jsonl", text));
  baton::DataConfig config;
  config.missing_caption = baton::MissingCaption::empty;
  return baton::fuzz::run(text.size(), [&] {
    for (const baton::DataItem& item : baton::read_jsonl_dataset(file, config).items) {
      baton::fuzz::require(item.picture == file.parent_path() / "a.png");
      baton::fuzz::require(!item.captions.empty() && item.weight >= 0);
    }
  });
}
