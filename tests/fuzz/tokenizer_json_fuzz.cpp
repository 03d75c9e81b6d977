#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/data/tokenizer.h"
#include "tests/fuzz/fuzz.h"

namespace {

// Two folders that differ in the class of the tokenizer, removed at the end.
class Folders {
 public:
  Folders() {
    std::string name = (std::filesystem::temp_directory_path() / "baton_fuzz_XXXXXX").string();
    if (!::mkdtemp(name.data())) std::abort();
    root_ = name;
    for (const char* kind : {"T5Tokenizer", "CLIPTokenizer"}) {
      std::filesystem::create_directory(root_ / kind);
      std::ofstream(root_ / kind / "tokenizer_config.json") << "{\"tokenizer_class\": \"" << kind << "\"}";
    }
  }
  ~Folders() { std::filesystem::remove_all(root_); }
  std::filesystem::path of(const char* kind) const { return root_ / kind; }

 private:
  std::filesystem::path root_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Folders folders;
  for (const char* kind : {"T5Tokenizer", "CLIPTokenizer"})
    baton::fuzz::run([&] {
      std::ofstream(folders.of(kind) / "tokenizer.json", std::ios::binary) << baton::fuzz::text_of(data, size);
      const auto tokenizer = baton::open_tokenizer(folders.of(kind));
      for (const int32_t id : tokenizer->encode("A red panda</s>, it's 42 ▁ é<|endoftext|>中", 16).ids)
        baton::fuzz::require(id >= 0 && id < tokenizer->size());
    });
  return 0;
}
