#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace baton {

struct YamlEntry;

// A YAML document from a stranger as a plain tree. Scalars stay text until a field of known type asks for them, so
// `off`, `1e3` and `0x10` mean what the field says.
struct YamlNode {
  enum class Kind { null, scalar, list, map } kind = Kind::null;
  std::string where;               // "file.yaml:12", for messages
  std::string text;                // scalar
  std::vector<YamlNode> items;     // list
  std::vector<YamlEntry> entries;  // map, in the order of the file

  const YamlNode* find(std::string_view key) const;
};
struct YamlEntry {
  std::string key;
  YamlNode node;
};

// One document. Refused: anchors, aliases and tags, duplicate or non-scalar keys, NUL bytes, nesting beyond 16 levels,
// more than 100,000 keys and values. `name` stands before the line numbers in messages. An empty document is null.
YamlNode parse_yaml(const std::string& text, const std::string& name);

// What a node holds, for messages: "'text'", "a list", "no value".
std::string shown(const YamlNode& node);

// Applies "key.sub=value" (value in YAML, e.g. "t.shift=3" or "experts.boundaries=[0.8, 0.5]"), in place of what stands
// under that key. What leads there must be maps or nulls, lest a value be thrown away unread. A flag,
// "--init-image=value", stands for "init_image=value" and is what messages say.
void override_yaml(YamlNode& root, const std::string& assignment);

}  // namespace baton
