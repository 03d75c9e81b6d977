#include "engine/core/utf8.h"
#include "engine/data/prompt.h"
#include "engine/data/tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/test_dir.h"

// Cleans and tokenizes any bytes with both kinds of tokenizer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto t5 = baton::open_tokenizer(baton::test_dir() / "golden/t5_tokenizer");
  static const auto clip = baton::open_tokenizer(baton::test_dir() / "golden/clip_tokenizer");
  const std::string text = baton::fuzz::stretched(baton::fuzz::text_of(data, size), 60 << 10);
  return baton::fuzz::run(text.size(), [&] {
    baton::check_prompt(text, "fuzz");
    const std::string cleaned = baton::clean_prompt(text);
    baton::fuzz::require(baton::is_utf8(cleaned));
    for (const auto* tokenizer : {t5.get(), clip.get()}) {
      const baton::Tokens tokens = tokenizer->encode(cleaned, 32);
      baton::fuzz::require(tokens.ids.size() == 32 && tokens.used >= 1 && tokens.used <= 32 &&
                           (!tokens.cut || tokens.used == 32));
      for (const int32_t id : tokens.ids) baton::fuzz::require(id >= 0 && id < tokenizer->size());
    }
  });
}
