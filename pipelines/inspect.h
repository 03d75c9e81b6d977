#pragma once

#include <string>

namespace baton {

struct InspectConfig {
  std::string path;
  bool machine = false;
  bool json = false;
};

// `baton inspect`: prints what a pipeline folder, a .safetensors file or a PNG of ours contains, or what this computer
// is. Returns an exit code.
int run_inspect(const InspectConfig& config);

}  // namespace baton
