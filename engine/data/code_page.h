#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace baton {

// An encoding of one byte a character: ASCII below 0x80, `high` from there on. All 256 bytes mean something.
class CodePage {
 public:
  CodePage(std::string_view name, std::string_view high);  // `high`: 128 hexadecimal code points, each with a blank

  const std::string& name() const { return name_; }
  char32_t high(size_t byte) const { return high_[byte - 0x80]; }  // of a byte from 0x80
  // Web browsers and databases put U+FFFD for bytes that Windows leaves out: there byte 0x1a stands for it.
  bool marks_lost_bytes() const { return name_.starts_with("windows"); }
  // The bytes that this text was, if it was read in this encoding.
  std::optional<std::string> encode(std::u32string_view text) const;

 private:
  std::string name_;
  std::array<char32_t, 128> high_;
  std::unordered_map<char32_t, char> bytes_;
};

// Those that UTF-8 is most often taken for, likeliest first.
const std::vector<CodePage>& code_pages();

}  // namespace baton
