#include "engine/config/yaml_node.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return baton::fuzz::run([&] { baton::parse_yaml(std::string(baton::fuzz::text_of(data, size)), "fuzz"); });
}
