#include "tools/baton/flags.h"

#include <algorithm>

#include "engine/core/error.h"

namespace baton {
namespace {

// A YAML scalar that stands for exactly this text.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + '"';
}

std::string shown(double value) { return fmt::format("{}", value); }

}  // namespace

class Flags::Adder : public ConfigVisitor {
 public:
  Adder(CLI::App& app, std::vector<std::string>& given, const std::map<std::string, std::string>& shorts)
      : app_(app), given_(given), shorts_(shorts) {}

  void operator()(std::string_view key, bool&, std::string_view help) override {
    app_.add_flag_callback(
        names(key), [given = &given_, flag = long_name(key)] { given->push_back(flag + "=true"); }, std::string(help));
  }
  void operator()(std::string_view key, int64_t& value, std::string_view help, Range<int64_t>) override {
    add(key, help, "N", value ? std::to_string(value) : "", [](const std::string& v) { return v; });
  }
  void operator()(std::string_view key, double& value, std::string_view help, Range<double>) override {
    add(key, help, "X", value != 0 ? shown(value) : "", [](const std::string& v) { return v; });
  }
  void operator()(std::string_view key, std::string& value, std::string_view help) override {
    add(key, help, "TEXT", value, quoted);
  }
  void operator()(std::string_view key, std::vector<bool>&, std::string_view help) override { add_list(key, help); }
  void operator()(std::string_view key, std::vector<int64_t>&, std::string_view help, Range<int64_t>) override {
    add_list(key, help);
  }
  void operator()(std::string_view key, std::vector<double>&, std::string_view help, Range<double>) override {
    add_list(key, help);
  }
  void operator()(std::string_view key, std::span<int64_t>, std::string_view help, Range<int64_t>) override {
    add_list(key, help);
  }
  void section(std::string_view, std::string_view, const std::function<void()>&) override {}
  using ConfigVisitor::operator();

 protected:
  void choose(std::string_view key, size_t& index, std::span<const std::string_view> words,
              std::string_view help) override {
    add(key, help, fmt::format("{}", fmt::join(words, "|")), std::string(words[index]),
        [](const std::string& v) { return v; });
  }

 private:
  static std::string long_name(std::string_view key) {
    std::string flag = "--" + std::string(key);
    std::ranges::replace(flag, '_', '-');
    return flag;
  }
  std::string names(std::string_view key) const {
    const auto it = shorts_.find(std::string(key));
    return (it == shorts_.end() ? "" : it->second + ",") + long_name(key);
  }

  void add(std::string_view key, std::string_view help, const std::string& type, const std::string& fallback,
           const std::function<std::string(const std::string&)>& encode) {
    const auto take = [given = &given_, flag = long_name(key), encode](const std::string& v) {
      given->push_back(flag + "=" + encode(v));
    };
    CLI::Option* option = app_.add_option_function<std::string>(names(key), take, std::string(help))->type_name(type);
    if (!fallback.empty()) option->default_str(fallback);
  }
  void add_list(std::string_view key, std::string_view help) {
    add(key, help, "A,B,…", "", [](const std::string& v) { return "[" + v + "]"; });
  }

  CLI::App& app_;
  std::vector<std::string>& given_;
  const std::map<std::string, std::string>& shorts_;
};

Flags::Flags(CLI::App& app, const std::function<void(ConfigVisitor&)>& fields,
             const std::map<std::string, std::string>& shorts) {
  app.add_option("--config", state_->config_file, "read options from this YAML file; flags override")
      ->type_name("FILE");
  app.add_option("--set", state_->assignments, "set a key of the config")->type_name("KEY=VALUE")->take_all();
  Adder adder(app, state_->given, shorts);
  fields(adder);
}

std::vector<std::string> Flags::overrides() const {
  std::vector<std::string> all = state_->assignments;
  all.insert(all.end(), state_->given.begin(), state_->given.end());
  return all;
}

}  // namespace baton
