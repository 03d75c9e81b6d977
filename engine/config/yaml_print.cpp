#include "engine/config/yaml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace baton {
namespace {

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\x{:02x}", c);
    else
      out += c;
  }
  return out + '"';
}

// A field, or the line above the fields of a section.
struct Line {
  std::string section;  // that it is in: "" or "optimizer.adamw."
  std::string key, value, help;
};

class Lister : public ConfigVisitor {
 public:
  const std::vector<Line>& lines() const { return lines_; }

  void operator()(std::string_view key, bool& value, std::string_view help) override {
    line(key, fmt::format("{}", value), help);
  }
  void operator()(std::string_view key, int64_t& value, std::string_view help, Range<int64_t>) override {
    line(key, fmt::format("{}", value), help);
  }
  void operator()(std::string_view key, double& value, std::string_view help, Range<double>) override {
    line(key, fmt::format("{}", value), help);
  }
  void operator()(std::string_view key, std::string& value, std::string_view help) override {
    line(key, in_quotes(value), help);
  }
  void operator()(std::string_view key, std::vector<bool>& value, std::string_view help) override {
    line(key, fmt::format("[{}]", fmt::join(value, ", ")), help);
  }
  void operator()(std::string_view key, std::vector<int64_t>& value, std::string_view help, Range<int64_t>) override {
    line(key, fmt::format("[{}]", fmt::join(value, ", ")), help);
  }
  void operator()(std::string_view key, std::vector<double>& value, std::string_view help, Range<double>) override {
    line(key, fmt::format("[{}]", fmt::join(value, ", ")), help);
  }
  void operator()(std::string_view key, std::span<int64_t> values, std::string_view help, Range<int64_t>) override {
    line(key, fmt::format("[{}]", fmt::join(values, ", ")), help);
  }
  using ConfigVisitor::operator();

  void section(std::string_view key, std::string_view help, const std::function<void()>& fields) override {
    line(key, "", help);
    const std::string outer = section_;
    section_ += fmt::format("{}.", key);
    fields();
    section_ = outer;
  }

 protected:
  void choose(std::string_view key, size_t& index, std::span<const std::string_view> words,
              std::string_view help) override {
    line(key, std::string(words[index]), fmt::format("{}: {}", fmt::join(words, " | "), help));
  }

 private:
  void line(std::string_view key, const std::string& value, std::string_view help) {
    lines_.push_back({section_, std::string(key), value, std::string(help)});
  }

  std::vector<Line> lines_;
  std::string section_;
};

}  // namespace

std::string print_fields(const VisitFields& fields) {
  Lister lister;
  fields(lister);
  std::string text;
  for (const Line& line : lister.lines()) {
    const auto indent = 2 * std::ranges::count(line.section, '.');
    std::string printed = fmt::format("{:{}}{}:", "", indent, line.key);
    if (!line.value.empty()) printed += " " + line.value;
    constexpr int comment_column = 40;
    if (!line.help.empty()) printed = fmt::format("{:{}} # {}", printed, comment_column, line.help);
    text += printed + "\n";
  }
  return text;
}

std::vector<std::pair<std::string, std::string>> list_fields(const VisitFields& fields) {
  Lister lister;
  fields(lister);
  std::vector<std::pair<std::string, std::string>> found;
  for (const Line& line : lister.lines())
    if (!line.value.empty()) found.emplace_back(line.section + line.key, line.value);
  return found;
}

}  // namespace baton
