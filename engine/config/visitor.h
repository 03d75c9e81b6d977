#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

// Closed interval of accepted values.
template <typename T>
struct Range {
  T least, most;
};

// A config struct is described once, by a function `void visit(ConfigVisitor& v, Struct& s)` that names its fields in
// the order in which they are printed: v("steps", s.steps, "optimizer steps", {1, 1'000'000}). Reading, printing and
// help text are visitors over that one description (engine/config/yaml.h).
class ConfigVisitor {
 public:
  virtual ~ConfigVisitor() = default;

  virtual void operator()(std::string_view key, bool& value, std::string_view help) = 0;
  virtual void operator()(std::string_view key, int64_t& value, std::string_view help, Range<int64_t> range) = 0;
  virtual void operator()(std::string_view key, double& value, std::string_view help, Range<double> range) = 0;
  virtual void operator()(std::string_view key, std::string& value, std::string_view help) = 0;
  // Lists; the range is that of each element.
  virtual void operator()(std::string_view key, std::vector<bool>& value, std::string_view help) = 0;
  virtual void operator()(std::string_view key, std::vector<int64_t>& value, std::string_view help,
                          Range<int64_t> range) = 0;
  virtual void operator()(std::string_view key, std::vector<double>& value, std::string_view help,
                          Range<double> range) = 0;

  // As many numbers as the span has.
  virtual void operator()(std::string_view key, std::span<int64_t> values, std::string_view help,
                          Range<int64_t> range) = 0;

  void operator()(std::string_view key, float& value, std::string_view help, Range<double> range);

  // One of a few words: v.choice("kind", s.kind, {"vae", "denoiser"}, "what is trained"). Enumerators count from 0 in
  // the order of the words.
  template <typename Enum>
  void choice(std::string_view key, Enum& value, std::initializer_list<std::string_view> words, std::string_view help) {
    auto index = static_cast<size_t>(value);
    choose(key, index, {words.begin(), words.size()}, help);
    value = static_cast<Enum>(index);
  }

  // A nested struct: v.section("adamw", "…", [&] { visit(v, s.adamw); }).
  virtual void section(std::string_view key, std::string_view help, const std::function<void()>& fields) = 0;

 protected:
  virtual void choose(std::string_view key, size_t& index, std::span<const std::string_view> words,
                      std::string_view help) = 0;
};

}  // namespace baton
