#include "engine/io/directory.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const baton::fuzz::Folder folder;
  folder.put("state.json", "{}");
  folder.put("transformer/weights", "x");
  const std::string text = baton::fuzz::stretched(baton::fuzz::text_of(data, size));
  folder.put("manifest.json", text);
  return baton::fuzz::run(text.size(), [&] { baton::check_manifest(folder.path()); });
}
