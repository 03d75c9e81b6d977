#include "engine/config/yaml_node.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <sstream>

#include "engine/core/error.h"

namespace baton {
namespace {

// Builds the tree from yaml-cpp's events: nothing is expanded, and what is refused is refused as soon as it is read.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& name) : name_(name) {}

  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { put(begin(mark, "?", anchor)); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { fail("{}: aliases are not accepted", where(mark)); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = begin(mark, tag, anchor);
    node.kind = YamlNode::Kind::scalar;
    node.text = value;
    put(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(begin(mark, tag, anchor), YamlNode::Kind::list);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(begin(mark, tag, anchor), YamlNode::Kind::map);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    std::map<std::string, std::string> keys;  // of a map: where each stands
    std::string key;                          // of the value that comes next
    bool has_key = false;
  };

  std::string where(const YAML::Mark& mark) const { return fmt::format("{}:{}", name_, mark.line + 1); }

  YamlNode begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    constexpr int64_t most = 100'000;
    check(++nodes_ <= most, "{}: more than {} keys and values", where(mark), most);
    check(anchor == 0, "{}: anchors are not accepted", where(mark));
    check(tag.empty() || tag == "?" || tag == "!", "{}: tags are not accepted ({})", where(mark), tag);
    return {.where = where(mark)};
  }

  void open(YamlNode node, YamlNode::Kind kind) {
    constexpr size_t deepest = 16;
    check(open_.size() < deepest, "{}: nested more than {} levels deep", node.where, deepest);
    node.kind = kind;
    open_.push_back({.node = std::move(node)});
  }

  void close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    put(std::move(node));
  }

  void put(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::list) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.has_key) {
      check(node.kind == YamlNode::Kind::scalar, "{}: a key must be a word", node.where);
      const auto [earlier, is_new] = parent.keys.emplace(node.text, node.where);
      check(is_new, "{}: the key '{}' stands here a second time, first at {}", node.where, node.text, earlier->second);
      parent.key = std::move(node.text);
      parent.has_key = true;
    } else {
      parent.node.entries.push_back({std::move(parent.key), std::move(node)});
      parent.has_key = false;
    }
  }

  std::string name_;
  int64_t nodes_ = 0;
  YamlNode root_;
  std::vector<Open> open_;
};

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto entry = std::ranges::find(entries, key, &YamlEntry::key);
  return entry == entries.end() ? nullptr : &entry->node;
}

YamlNode parse_yaml(const std::string& text, const std::string& name) {
  check(text.find('\0') == std::string::npos, "{}: has a NUL byte, so it is no YAML text", name);
  std::istringstream stream(text);
  TreeBuilder builder(name);
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    TreeBuilder second(name);
    check(!parser.HandleNextDocument(second), "{}: more than one document", name);
  } catch (const YAML::Exception& error) {
    fail("{}:{}: {}", name, error.mark.line + 1, error.msg);
  }
  return builder.take();
}

std::string shown(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null:
      return "no value";
    case YamlNode::Kind::scalar:
      return fmt::format("'{}'", node.text.substr(0, 80));
    case YamlNode::Kind::list:
      return "a list";
    default:
      return "a group of keys";
  }
}

void override_yaml(YamlNode& root, const std::string& assignment) {
  const bool is_flag = assignment.starts_with("--");
  const std::string name = is_flag ? assignment : "--set " + assignment;
  const size_t equals = assignment.find('=');
  check(equals != std::string::npos && equals > 0, "{}: expected key=value or key.sub=value", name);
  YamlNode value = parse_yaml(assignment.substr(equals + 1), name);
  value.where = name;

  std::string keys = assignment.substr(0, equals);
  if (is_flag) {
    keys.erase(0, 2);
    std::ranges::replace(keys, '-', '_');
  }
  YamlNode* node = &root;
  std::string so_far;  // the keys that lead to it
  std::istringstream path(keys);
  for (std::string key; std::getline(path, key, '.');) {
    check(!key.empty(), "{}: empty key", name);
    if (node->kind == YamlNode::Kind::null) *node = {.kind = YamlNode::Kind::map, .where = name};
    check(node->kind == YamlNode::Kind::map, "{}: {}{}, expected keys and values, of which {} sets one", node->where,
          so_far.empty() ? "" : so_far + " is ", shown(*node), name);
    auto entry = std::ranges::find(node->entries, key, &YamlEntry::key);
    if (entry == node->entries.end()) entry = node->entries.insert(entry, {key, {.where = name}});
    node = &entry->node;
    so_far += (so_far.empty() ? "" : ".") + key;
  }
  *node = std::move(value);
}

}  // namespace baton
