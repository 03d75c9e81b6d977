#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace baton {

// What a picture file says before its pixels are decoded.
struct ImageHeader {
  int64_t width = 0, height = 0;  // as stored, not yet turned
  int orientation = 1;            // EXIF's 1 … 8: which way up; 1 where nothing or nonsense is said
  int64_t transparent_grey = -1;  // in a grey PNG: the value (of 8 or 16 bits) that stands for transparent
  int64_t bytes_per_pixel = 4;    // at most, that a decoder holds at one time: its output, and what it needs beside
  bool premultiplied = false;     // by its alpha
  bool first_of_several = false;  // frames or pages, whose others are not read
  bool other_colours = false;     // than sRGB's, says its colour profile
};

// Reads the header of a PNG, JPEG, WebP, TIFF or BMP file. InputError when it is of another kind, which is named where
// it is known, cut short, or a JPEG of more than 256 scans (each costs a pass over all pixels, however small the file).
// `file` is the whole file; messages start with `where`.
ImageHeader read_image_header(std::string_view file, std::string_view where);

// Whether a file that starts with these bytes (16 or more) is of one of these kinds.
bool is_picture_start(std::string_view start);
// Whether the file starts so.
bool is_picture(const std::filesystem::path& path);

// The number at `at` of 1 to 4 bytes, big-endian or little-endian; 0 where the bytes end before.
uint32_t read_big(std::string_view bytes, size_t at, size_t size);
uint32_t read_little(std::string_view bytes, size_t at, size_t size);

}  // namespace baton
