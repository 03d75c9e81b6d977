#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/config/visitor.h"
#include "engine/io/file.h"

// Config files: YAML -> the typed structs that a visit() describes (engine/config/visitor.h), and back. A value stands
// in the override ("key.sub=value"), else in the file, else in the struct's default. Unknown keys, wrong types and
// values out of range are InputErrors with file, line and key.
namespace baton {

using VisitFields = std::function<void(ConfigVisitor&)>;

// `file` may be empty (overrides over defaults). The text form is for configs from checkpoints; `name` stands for the
// file in messages.
void read_fields(const Path& file, std::span<const std::string> overrides, const VisitFields& fields);
void read_fields_text(const std::string& yaml, const std::string& name, const VisitFields& fields);

// Every key with its value, each with its help as a comment: reads back to the same struct.
std::string print_fields(const VisitFields& fields);
// Every key, with those of the sections that it is in ("optimizer.adamw.lr"), and its value as it is printed.
std::vector<std::pair<std::string, std::string>> list_fields(const VisitFields& fields);

template <typename Config>
Config read_config(const Path& file, std::span<const std::string> overrides = {}) {
  Config config;
  read_fields(file, overrides, [&](ConfigVisitor& v) { visit(v, config); });
  resolve(config);
  return config;
}

template <typename Config>
Config read_config_text(const std::string& yaml, const std::string& name) {
  Config config;
  read_fields_text(yaml, name, [&](ConfigVisitor& v) { visit(v, config); });
  resolve(config);
  return config;
}

template <typename Config>
std::string print_config(Config config) {
  return print_fields([&](ConfigVisitor& v) { visit(v, config); });
}

}  // namespace baton
