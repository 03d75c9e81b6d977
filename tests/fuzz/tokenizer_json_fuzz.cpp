#include "engine/data/tokenizer.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const baton::fuzz::Folder folder;
  const std::string text = baton::fuzz::stretched(baton::fuzz::text_of(data, size));
  for (const std::string kind : {"T5Tokenizer", "CLIPTokenizer"}) {
    folder.put(kind + "/tokenizer_config.json", "{\"tokenizer_class\": \"" + kind + "\"}");
    folder.put(kind + "/tokenizer.json", text);
    baton::fuzz::run(text.size(), [&] {
      const auto tokenizer = baton::open_tokenizer(folder.path() / kind);
      for (const int32_t id : tokenizer->encode("A red panda</s>, it's 42 ▁ é<|endoftext|>中", 16).ids)
        baton::fuzz::require(id >= 0 && id < tokenizer->size());
    });
  }
  return 0;
}
