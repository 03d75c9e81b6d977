#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/image.h"

namespace baton {

// Keyword and UTF-8 text; keywords have 1 to 79 Latin-1 characters.
using PngTexts = std::vector<std::pair<std::string, std::string>>;

// Writes the picture with text chunks before its pixels (tEXt for ASCII, iTXt for anything else); the file appears only
// when complete.
void write_png(const Path& path, const Image& image, const PngTexts& texts = {});

// The uncompressed text chunks of a PNG from anywhere: the signature, all lengths and the checksums of text chunks are
// checked, pixels are not decoded, compressed texts are skipped. InputError if the file is no PNG, is cut short or
// damaged, or has more than 16 MB of text.
std::map<std::string, std::string> read_png_texts(const Path& path);

}  // namespace baton
