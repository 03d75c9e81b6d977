#include "pipelines/agreement.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/io/pipeline_directory.h"

namespace baton {
namespace {

// Key and value in turns, each ended by a zero, which no config can hold.
std::string packed(const Terms& terms) {
  std::string text;
  for (const auto& [key, value] : terms) text += key + '\0' + value + '\0';
  return text;
}

Terms unpacked(const std::string& text) {
  auto next = [&, at = size_t{0}]() mutable {
    const size_t start = at, end = text.find('\0', start);
    at = end + 1;
    return text.substr(start, end - start);
  };
  Terms terms;
  for (auto left = std::ranges::count(text, '\0') / 2; left > 0; --left) {
    std::string key = next();
    terms.emplace_back(std::move(key), next());
  }
  return terms;
}

}  // namespace

Terms config_terms(const VisitFields& fields, std::span<const std::string_view> may_differ) {
  Terms terms = list_fields(fields);
  std::erase_if(terms, [&](const auto& term) { return std::ranges::find(may_differ, term.first) != may_differ.end(); });
  return terms;
}

std::string hash_folder(const Path& folder) { return hash_files(folder, {}, {"."}); }

void check_agreement(const char* what, const Terms& mine, Group& ranks) {
  const std::vector<std::string> all = from_all(packed(mine), ranks);
  for (size_t r = 1; r < all.size(); ++r) {
    if (all[r] == all[0]) continue;
    const Terms first = unpacked(all[0]), other = unpacked(all[r]);
    const auto [a, b] = std::mismatch(first.begin(), first.end(), other.begin(), other.end());
    if (a == first.end() || b == other.end() || a->first != b->first)
      fail("ranks 0 and {} have different {}: they have other keys", r, what);
    fail("ranks 0 and {} have different {}: {} is {} and {}", r, what, a->first, a->second, b->second);
  }
}

}  // namespace baton
