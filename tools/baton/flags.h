#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/config/visitor.h"

namespace baton {

// Turns the description of a config struct into command-line flags: key init_image becomes --init-image. A flag that is
// given ends up as an override "--init-image=value" behind those of --set, so flags, --set and YAML files share one
// mechanism and one set of checks. Keys in sections have no flag of their own: --set reaches them.
class Flags {
 public:
  // `shorts`: one-letter names, e.g. {{"out", "-o"}}.
  Flags(CLI::App& app, const std::function<void(ConfigVisitor&)>& fields,
        const std::map<std::string, std::string>& shorts = {});

  const std::string& config_file() const { return state_->config_file; }
  // Valid after parsing: those of --set, those of the other flags, and both.
  const std::vector<std::string>& assignments() const { return state_->assignments; }
  const std::vector<std::string>& given() const { return state_->given; }
  std::vector<std::string> overrides() const;

 private:
  class Adder;
  struct State {  // CLI11 keeps references to it
    std::string config_file;
    std::vector<std::string> assignments, given;
  };
  std::unique_ptr<State> state_ = std::make_unique<State>();
};

}  // namespace baton
