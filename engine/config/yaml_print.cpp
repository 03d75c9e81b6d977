#include "engine/config/yaml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

class Printer : public ConfigVisitor {
 public:
  std::string take() { return std::move(text_); }

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
    indent_ += 2;
    fields();
    indent_ -= 2;
  }

 protected:
  void choose(std::string_view key, size_t& index, std::span<const std::string_view> words,
              std::string_view help) override {
    line(key, std::string(words[index]), fmt::format("{}: {}", fmt::join(words, " | "), help));
  }

 private:
  void line(std::string_view key, const std::string& value, std::string_view help) {
    std::string text = fmt::format("{:{}}{}:", "", indent_, key);
    if (!value.empty()) text += " " + value;
    constexpr int comment_column = 40;
    if (!help.empty()) text = fmt::format("{:{}} # {}", text, comment_column, help);
    text_ += text + "\n";
  }

  std::string text_;
  int indent_ = 0;
};

}  // namespace

std::string print_fields(const VisitFields& fields) {
  Printer printer;
  fields(printer);
  return printer.take();
}

}  // namespace baton
