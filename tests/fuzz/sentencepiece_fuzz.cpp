#include "engine/core/utf8.h"
#include "engine/data/character_map.h"
#include "engine/data/sentencepiece_model.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string file = baton::fuzz::stretched(baton::fuzz::text_of(data, size));
  return baton::fuzz::run(file.size(), [&] {
    const baton::UnigramModel model = baton::parse_sentencepiece(file, "fuzz");
    for (const int32_t id : model.set_apart)
      baton::fuzz::require(id >= 0 && static_cast<size_t>(id) < model.pieces.size());
    const baton::CharacterMap map(model.character_map, "fuzz");
    baton::fuzz::require(baton::is_utf8(map.apply("a ﬁ e\u0301 中 1２ \r\n 👩‍👧")));
  });
}
