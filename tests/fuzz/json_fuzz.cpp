#include <nlohmann/json.hpp>

#include "engine/io/json.h"
#include "tests/fuzz/fuzz.h"

namespace {

// Parses, and reads its own output back.
void parse(const std::string& text) {
  const baton::Json value = baton::parse_json(text, "fuzz");
  try {
    baton::fuzz::require(baton::parse_json(value.dump(), "again") == value);
  } catch (const baton::InputError&) {  // numbers may have grown longer, and with them the values too many
    baton::fuzz::require(value.dump().size() > text.size());
  }
}

// Asks for every key in every type.
void take_apart(const std::string& text) {
  const auto any = [](const auto& body) {
    try {
      body();
    } catch (const baton::InputError&) {
    }
  };
  baton::JsonReader reader = baton::JsonReader::text(text, "fuzz");
  for (const std::string& key : reader.keys()) {
    any([&] { reader.required<bool>(key); });
    any([&] { reader.required<int>(key); });
    any([&] { reader.required<float>(key); });
    any([&] { reader.required<std::string>(key); });
    any([&] { reader.required<std::vector<int64_t>>(key); });
    any([&] { reader.objects(key); });
    any([&] { reader.object(key).finish(); });
  }
  reader.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text = baton::fuzz::stretched(baton::fuzz::text_of(data, size));
  baton::fuzz::run(text.size(), [&] { parse(text); });
  return baton::fuzz::run(text.size(), [&] { take_apart(text); });
}
