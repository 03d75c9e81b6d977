#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "engine/config/yaml.h"
#include "engine/config/yaml_node.h"
#include "engine/core/error.h"
#include "engine/io/nearest.h"

namespace baton {
namespace {

using Kind = YamlNode::Kind;

std::optional<double> parse_number(std::string_view text) {
  double value;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<int64_t> parse_integer(std::string_view text) {
  int64_t value;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  const std::optional<double> number = parse_number(text);  // 1e6
  if (number && *number == std::floor(*number) && std::abs(*number) < 0x1p53) return static_cast<int64_t>(*number);
  return std::nullopt;
}

class Reader : public ConfigVisitor {
 public:
  explicit Reader(const YamlNode& root) : map_(&root) { expect_map(root); }

  void operator()(std::string_view key, bool& value, std::string_view) override {
    if (const YamlNode* node = find(key)) value = boolean(*node, key);
  }
  void operator()(std::string_view key, int64_t& value, std::string_view, Range<int64_t> range) override {
    if (const YamlNode* node = find(key)) value = integer(*node, key, range);
  }
  void operator()(std::string_view key, double& value, std::string_view, Range<double> range) override {
    if (const YamlNode* node = find(key)) value = number(*node, key, range);
  }
  void operator()(std::string_view key, std::string& value, std::string_view) override {
    const YamlNode* node = find(key);
    if (!node) return;
    if (node->kind != Kind::null) expect_scalar(*node, key, "a text");
    value = node->text;
  }
  void operator()(std::string_view key, std::vector<bool>& value, std::string_view) override {
    read_list(key, value, [&](const YamlNode& node) { return boolean(node, key); });
  }
  void operator()(std::string_view key, std::vector<int64_t>& value, std::string_view, Range<int64_t> range) override {
    read_list(key, value, [&](const YamlNode& node) { return integer(node, key, range); });
  }
  void operator()(std::string_view key, std::vector<double>& value, std::string_view, Range<double> range) override {
    read_list(key, value, [&](const YamlNode& node) { return number(node, key, range); });
  }
  void operator()(std::string_view key, std::span<int64_t> values, std::string_view, Range<int64_t> range) override {
    const YamlNode* node = find(key);
    if (!node) return;
    std::vector<int64_t> list;
    read_list(key, list, [&](const YamlNode& item) { return integer(item, key, range); });
    check(list.size() == values.size(), "{}: {} values, expected {}", at(*node, key), list.size(), values.size());
    std::copy(list.begin(), list.end(), values.begin());
  }
  using ConfigVisitor::operator();

  void section(std::string_view key, std::string_view, const std::function<void()>& fields) override {
    const YamlNode* node = find(key);
    if (!node || node->kind == Kind::null) return;
    Reader inner(*node, path_ + std::string(key) + ".");
    std::swap(inner, *this);  // `fields` visits *this
    fields();
    finish();
    std::swap(inner, *this);
  }

  // Every key of the current map must have been asked for.
  void finish() const {
    for (const auto& [key, node] : map_->entries)
      check(std::ranges::find(known_, key) != known_.end(), "{}: no such key{}; here are known: {}", at(node, key),
            did_you_mean(key, known_), fmt::join(known_, ", "));
  }

 protected:
  void choose(std::string_view key, size_t& index, std::span<const std::string_view> words, std::string_view) override {
    const YamlNode* node = find(key);
    if (!node) return;
    const auto word = std::ranges::find(words, std::string_view(node->text));
    check(node->kind == Kind::scalar && word != words.end(), "{}: {}, expected one of {}", at(*node, key), shown(*node),
          fmt::join(words, ", "));
    index = word - words.begin();
  }

 private:
  Reader(const YamlNode& map, std::string path) : map_(&map), path_(std::move(path)) { expect_map(map); }

  // "train.yaml:12: optimizer.clip", the start of every message.
  std::string at(const YamlNode& node, std::string_view key) const {
    return fmt::format("{}: {}{}", node.where, path_, key);
  }

  void expect_map(const YamlNode& node) const {
    check(node.kind == Kind::map || node.kind == Kind::null, "{}: {}{}, expected keys and values", node.where,
          path_.empty() ? "" : path_.substr(0, path_.size() - 1) + " is ", shown(node));
  }
  void expect_scalar(const YamlNode& node, std::string_view key, std::string_view what) const {
    check(node.kind == Kind::scalar, "{}: {}, expected {}", at(node, key), shown(node), what);
  }

  const YamlNode* find(std::string_view key) {
    if (std::ranges::find(known_, key) == known_.end()) known_.emplace_back(key);
    return map_->find(key);
  }

  bool boolean(const YamlNode& node, std::string_view key) const {
    check(node.kind == Kind::scalar && (node.text == "true" || node.text == "false"), "{}: {}, expected true or false",
          at(node, key), shown(node));
    return node.text == "true";
  }
  int64_t integer(const YamlNode& node, std::string_view key, Range<int64_t> range) const {
    expect_scalar(node, key, "an integer");
    const std::optional<int64_t> value = parse_integer(node.text);
    check(value.has_value(), "{}: {}, expected an integer", at(node, key), shown(node));
    check_range(node, key, *value, range);
    return *value;
  }
  double number(const YamlNode& node, std::string_view key, Range<double> range) const {
    expect_scalar(node, key, "a number");
    const std::optional<double> value = parse_number(node.text);
    check(value.has_value(), "{}: {}, expected a number", at(node, key), shown(node));
    check_range(node, key, *value, range);
    return *value;
  }
  template <typename T>
  void check_range(const YamlNode& node, std::string_view key, T value, Range<T> range) const {
    check(value >= range.least && value <= range.most, "{}: {} is out of range, expected {} to {}", at(node, key),
          value, range.least, range.most);
  }

  template <typename T, typename Parse>
  void read_list(std::string_view key, std::vector<T>& value, const Parse& parse) {
    const YamlNode* node = find(key);
    if (!node) return;
    const bool single = node->kind == Kind::scalar;  // a list of one
    check(single || node->kind == Kind::list, "{}: {}, expected a list [a, b, …]", at(*node, key), shown(*node));
    value.clear();
    for (const YamlNode& item : single ? std::span(node, 1) : std::span(node->items)) value.push_back(parse(item));
  }

  const YamlNode* map_;
  std::string path_;  // "optimizer.adamw." before the keys of this map
  std::vector<std::string> known_;
};

void read_tree(const YamlNode& root, const VisitFields& fields) {
  Reader reader(root);
  fields(reader);
  reader.finish();
}

}  // namespace

constexpr int64_t most_bytes = 1 << 20;

void read_fields(const Path& file, std::span<const std::string> overrides, const VisitFields& fields) {
  YamlNode root{.where = "--set"};
  if (!file.empty()) root = parse_yaml(read_file(file, most_bytes), file.string());
  for (const std::string& assignment : overrides) override_yaml(root, assignment);
  read_tree(root, fields);
}

void read_fields_text(const std::string& yaml, const std::string& name, const VisitFields& fields) {
  check(std::ssize(yaml) <= most_bytes, "{}: {} bytes of settings, at most {} are accepted", name, yaml.size(),
        most_bytes);
  read_tree(parse_yaml(yaml, name), fields);
}

}  // namespace baton
