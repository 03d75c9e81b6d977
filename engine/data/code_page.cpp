#include "engine/data/code_page.h"

#include <charconv>
#include <cstdint>

namespace baton {

CodePage::CodePage(std::string_view name, std::string_view high) : name_(name) {
  const char* at = high.data();
  for (size_t i = 0; i < high_.size(); ++i) {
    uint32_t code_point = 0;
    at = std::from_chars(at, high.data() + high.size(), code_point, 16).ptr + 1;
    high_[i] = code_point;
    bytes_.emplace(code_point, static_cast<char>(0x80 + i));
  }
  if (marks_lost_bytes()) bytes_.emplace(0xfffd, '\x1a');
}

std::optional<std::string> CodePage::encode(std::u32string_view text) const {
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t c : text) {
    if (c < 0x80 && !(c == 0x1a && marks_lost_bytes())) {
      bytes += static_cast<char>(c);
      continue;
    }
    const auto found = bytes_.find(c);
    if (found == bytes_.end()) return std::nullopt;
    bytes += found->second;
  }
  return bytes;
}

const std::vector<CodePage>& code_pages() {
  static const std::vector<CodePage> pages{
#include "engine/data/code_pages.inc"
  };
  return pages;
}

}  // namespace baton
