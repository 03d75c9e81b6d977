#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/io/image.h"

namespace baton {

// Keyword (1 to 79 printable ASCII characters) and UTF-8 text without NUL.
using PngTexts = std::vector<std::pair<std::string, std::string>>;

// The picture as a PNG file with text chunks before its pixels (tEXt for ASCII, iTXt for anything else). Messages start
// with `where`.
std::string encode_png(const Image& image, const PngTexts& texts, const std::string& where);
// Writes it as a file, which appears only when complete.
void write_png(const Path& path, const Image& image, const PngTexts& texts = {});

// The texts of a PNG from anywhere, as UTF-8: tEXt, zTXt and iTXt; of equal keywords the first. Signature, lengths and
// the checksums of all chunks are checked; pixels are not decoded. InputError if the file is no PNG, is cut short or
// damaged, or has more than 4 MB of text, unpacked.
std::map<std::string, std::string> read_png_texts(const Path& path);
// The same from memory; messages start with `where`.
std::map<std::string, std::string> parse_png_texts(std::string_view file, std::string_view where);

}  // namespace baton
