#include "engine/config/generate_config.h"
#include "engine/config/yaml.h"
#include "engine/config/yaml_node.h"
#include "tests/fuzz/fuzz.h"

// As a tree, and as the settings of a picture.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text = baton::fuzz::stretched(baton::fuzz::text_of(data, size));
  baton::fuzz::run(text.size(), [&] { baton::parse_yaml(text, "fuzz"); });
  return baton::fuzz::run(text.size(), [&] { baton::read_config_text<baton::GenerateConfig>(text, "fuzz"); });
}
