#pragma once

#include <string_view>

#include "engine/io/image_header.h"

// TIFF files, classic and BigTIFF, read by libtiff: the first picture of those that hold several. Grey, palette, RGB
// and YCbCr of up to 8 or of 16 bits, in strips or tiles, plain or compressed as programs for pictures do.
namespace baton {

bool is_tiff(std::string_view start);

// What libtiff takes from the file, before it decodes anything. InputError when that is damaged, cut short, or of a
// kind that would not come out right, by its name (CMYK, floating point, ...). Messages start with `where`.
ImageHeader read_tiff_header(std::string_view file, std::string_view where);

// Fills the header's width x height pixels of BGRA, 8 bits, rows from top to bottom as stored.
void decode_tiff(std::string_view file, const ImageHeader& header, std::string_view where, uint8_t* bgra);

}  // namespace baton
