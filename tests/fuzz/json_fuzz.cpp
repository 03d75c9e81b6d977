#include <nlohmann/json.hpp>

#include "engine/io/json.h"
#include "tests/fuzz/fuzz.h"

// Parses, asks for every key in every type, and reads its own output back.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = baton::fuzz::text_of(data, size);
  baton::fuzz::run([&] {
    const baton::Json value = baton::parse_json(text, "fuzz");
    baton::fuzz::require(baton::parse_json(value.dump(), "again") == value);
  });
  return baton::fuzz::run([&] {
    baton::JsonReader reader = baton::JsonReader::text(text, "fuzz");
    for (const std::string& key : reader.keys()) {
      baton::fuzz::run([&] { reader.required<bool>(key); });
      baton::fuzz::run([&] { reader.required<int>(key); });
      baton::fuzz::run([&] { reader.required<float>(key); });
      baton::fuzz::run([&] { reader.required<std::string>(key); });
      baton::fuzz::run([&] { reader.required<std::vector<int64_t>>(key); });
      baton::fuzz::run([&] { reader.object(key).finish(); });
    }
    reader.finish();
  });
}
