#include "engine/io/image_header.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include "engine/core/error.h"
#include "engine/io/color_profile.h"
#include "engine/io/tiff.h"

namespace baton {
namespace {

constexpr std::string_view png_signature("\x89PNG\r\n\x1a\n", 8);
constexpr std::string_view jpeg_signature = "\xff\xd8\xff", bmp_signature = "BM";
constexpr std::string_view exif_prefix("Exif\0\0", 6);
// Of a profile in several segments, the first, which holds what is looked at.
constexpr std::string_view profile_prefix("ICC_PROFILE\0\1", 13);

bool is_webp(std::string_view file) { return file.starts_with("RIFF") && file.substr(8, 4) == "WEBP"; }

// EXIF is a TIFF file in small: byte order, 42, and the offset of a table of 12-byte entries {tag, type, count, value}.
int exif_orientation(std::string_view exif) {
  if (exif.starts_with(exif_prefix)) exif.remove_prefix(exif_prefix.size());
  const bool big = exif.starts_with("MM");
  if (!big && !exif.starts_with("II")) return 1;
  const auto number = [&](size_t at, size_t size) {
    return big ? read_big(exif, at, size) : read_little(exif, at, size);
  };
  const size_t table = number(4, 4);
  const size_t count = number(table, 2);
  constexpr uint32_t orientation_tag = 0x112, type_short = 3;
  for (size_t entry = table + 2; entry < table + 2 + 12 * count && entry + 12 <= exif.size(); entry += 12)
    if (number(entry, 2) == orientation_tag && number(entry + 2, 2) == type_short) {
      const uint32_t value = number(entry + 8, 2);
      return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
  return 1;
}

// The profile in iCCP: name NUL method packed. What is looked at stands at its start.
std::string png_profile(std::string_view data) {
  data.remove_prefix(std::min(data.find('\0') + 2, data.size()));
  std::string profile(1 << 16, '\0');
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(profile.data());
  stream.avail_out = static_cast<uInt>(profile.size());
  inflate(&stream, Z_SYNC_FLUSH);
  inflateEnd(&stream);
  profile.resize(profile.size() - stream.avail_out);
  return profile;
}

// Chunks {length, type, data, checksum}; IHDR holds width, height, bits and colour type (0: grey).
ImageHeader read_png(std::string_view file, std::string_view where) {
  ImageHeader header;
  uint32_t depth = 0;
  bool grey = false, profiled = false;  // one profile is looked at: a small chunk may unpack to much
  std::string_view rest = file.substr(png_signature.size());
  for (std::string_view type; type != "IEND";) {
    const uint32_t length = read_big(rest, 0, 4);
    check(rest.size() >= 12 && length <= rest.size() - 12, "{}: the PNG file is cut short", where);
    type = rest.substr(4, 4);
    const std::string_view data = rest.substr(8, length);
    check((type == "IHDR") == (header.width == 0), "{}: the PNG file is damaged: IHDR is not its first chunk alone",
          where);
    if (type == "IHDR") header.width = read_big(data, 0, 4), header.height = read_big(data, 4, 4);
    if (type == "IHDR") depth = read_big(data, 8, 1), grey = data.size() == 13 && data[9] == 0;
    if (depth == 16) header.bytes_per_pixel = 8;
    if (type == "tRNS" && grey && depth >= 1 && depth <= 16)  // decoders scale fewer bits to 8
      header.transparent_grey = read_big(data, 0, 2) * (depth < 8 ? 255 / ((1u << depth) - 1) : 1);
    if (type == "acTL") header.first_of_several = read_big(data, 0, 4) > 1;
    if (type == "iCCP" && !profiled) header.other_colours = !is_srgb_profile(png_profile(data)), profiled = true;
    if (type == "eXIf") header.orientation = exif_orientation(data);
    rest.remove_prefix(12 + length);
  }
  return header;
}

// `rest`: what follows the head of the first scan. The end marker is looked for here, as a thumbnail in the EXIF data
// has one of its own.
void check_jpeg_scans(std::string_view rest, std::string_view where) {
  constexpr int most_scans = 256;
  check(rest.rfind("\xff\xd9") != rest.npos, "{}: the JPEG file is cut short", where);
  int scans = 1;  // a scan's data never contains its marker FF DA
  for (size_t at = 0; (at = rest.find("\xff\xda", at)) != rest.npos; at += 2)
    check(++scans <= most_scans, "{}: a JPEG file of more than {} scans", where, most_scans);
}

// Segments {FF, marker, length with itself, data}; SOF0 … SOF15 hold the size, APP1 the EXIF data.
ImageHeader read_jpeg(std::string_view file, std::string_view where) {
  ImageHeader header;
  constexpr uint32_t start_of_scan = 0xda, app1 = 0xe1, app2 = 0xe2, tem = 0x01, rst0 = 0xd0, rst7 = 0xd7;
  uint32_t components = 0;
  bool progressive = false;
  for (size_t at = 2;;) {
    while (at + 1 < file.size() && file[at] == '\xff' && file[at + 1] == '\xff') ++at;  // fill bytes
    check(at + 4 <= file.size() && file[at] == '\xff', "{}: the JPEG file is cut short or damaged", where);
    const uint32_t marker = read_big(file, at + 1, 1), length = read_big(file, at + 2, 2);
    if (marker == tem || (marker >= rst0 && marker <= rst7)) {  // these have no length
      at += 2;
      continue;
    }
    check(length >= 2 && at + 2 + length <= file.size(), "{}: the JPEG file is cut short or damaged", where);
    const std::string_view data = file.substr(at + 4, length - 2);
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
      check(components == 0, "{}: the JPEG file is damaged: two frame headers", where);
      header.height = read_big(data, 1, 2), header.width = read_big(data, 3, 2), components = read_big(data, 5, 1);
      progressive = marker % 4 == 2;  // SOF2, 6, 10, 14
    }
    if (marker == app1 && data.starts_with(exif_prefix)) header.orientation = exif_orientation(data);
    if (marker == app2 && data.starts_with(profile_prefix))
      header.other_colours = !is_srgb_profile(data.substr(profile_prefix.size() + 1));
    at += 2 + length;
    if (marker != start_of_scan) continue;
    // A picture that arrives in several scans is gathered as coefficients, of 16 bits, before its pixels are computed.
    const bool gathered = progressive || read_big(data, 0, 1) < components;
    header.bytes_per_pixel = gathered ? 4 + 2 * 4 : 3;
    check_jpeg_scans(file.substr(at), where);
    return header;
  }
}

// RIFF chunks {type, length, data, padding to even}: VP8X (extended), "VP8 " (lossy) or VP8L (lossless), and EXIF.
ImageHeader read_webp(std::string_view file, std::string_view where) {
  ImageHeader header;
  header.bytes_per_pixel = 8;  // the lossless decoder unpacks to a buffer of its own
  check(read_little(file, 4, 4) <= file.size() - 8, "{}: the WebP file is cut short", where);
  int frames = 0;
  for (size_t at = 12; at + 8 <= file.size();) {
    const std::string_view type = file.substr(at, 4), data = file.substr(at + 8, read_little(file, at + 4, 4));
    if (header.width == 0 && type == "VP8X")
      header.width = read_little(data, 4, 3) + 1, header.height = read_little(data, 7, 3) + 1;
    else if (header.width == 0 && type == "VP8 ")
      header.width = read_little(data, 6, 2) & 0x3fff, header.height = read_little(data, 8, 2) & 0x3fff;
    else if (header.width == 0 && type == "VP8L")  // 14 bits each, less one
      header.width = (read_little(data, 1, 4) & 0x3fff) + 1,
      header.height = (read_little(data, 1, 4) >> 14 & 0x3fff) + 1;
    else if (type == "EXIF")
      header.orientation = exif_orientation(data);
    else if (type == "ICCP")
      header.other_colours = !is_srgb_profile(data);
    else if (type == "ANMF")
      header.first_of_several = ++frames > 1;
    at += 8 + data.size() + data.size() % 2;
  }
  return header;
}

ImageHeader read_bmp(std::string_view file, std::string_view where) {
  check(read_little(file, 2, 4) <= file.size(), "{}: the BMP file is cut short", where);
  const bool old = read_little(file, 14, 4) == 12;  // OS/2's header has 16-bit sizes
  if (old) return {read_little(file, 18, 2), read_little(file, 20, 2)};
  const auto height = static_cast<int32_t>(read_little(file, 22, 4));  // negative: rows from top to bottom
  return {static_cast<int32_t>(read_little(file, 18, 4)), std::abs(int64_t{height})};
}

// The name of a kind of pictures that is not read; empty for what is no picture that we know.
std::string_view name_of_other_kind(std::string_view file) {
  using namespace std::string_view_literals;
  static constexpr struct {
    size_t at;
    std::string_view bytes, name;
  } kinds[] = {{0, "GIF8"sv, "GIF"},
               {8, "avif"sv, "AVIF"},
               {8, "avis"sv, "AVIF"},
               {8, "hei"sv, "HEIC"},
               {8, "hev"sv, "HEIC"},
               {8, "mif1"sv, "HEIC"},
               {8, "msf1"sv, "HEIC"},
               {0, "\xff\x0a"sv, "JPEG XL"},
               {0, "\0\0\0\x0cJXL "sv, "JPEG XL"},
               {0, "\0\0\0\x0cjP  "sv, "JPEG 2000"},
               {0, "\xff\x4f\xff\x51"sv, "JPEG 2000"},
               {0, "\0\0\x01\0"sv, "ICO"},
               {0, "8BPS"sv, "PSD"},
               {0, "\x76\x2f\x31\x01"sv, "OpenEXR"},
               {0, "<svg"sv, "SVG"}};
  for (const auto& kind : kinds)
    if (file.size() > kind.at && file.substr(kind.at).starts_with(kind.bytes) &&
        (kind.at == 0 || file.substr(4, 4) == "ftyp"))
      return kind.name;
  return {};
}

}  // namespace

uint32_t read_big(std::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  if (at > bytes.size() || size > bytes.size() - at) return 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

uint32_t read_little(std::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  if (at > bytes.size() || size > bytes.size() - at) return 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

bool is_picture_start(std::string_view start) {
  return start.starts_with(png_signature) || start.starts_with(jpeg_signature) || start.starts_with(bmp_signature) ||
         is_tiff(start) || (start.size() >= 12 && is_webp(start));
}

bool is_picture(const std::filesystem::path& path) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return false;  // a FIFO would hold us up
  std::string start(16, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(start.data(), std::ssize(start));
  return is_picture_start(start);
}

ImageHeader read_image_header(std::string_view file, std::string_view where) {
  const std::string_view other = name_of_other_kind(file);
  check(other.empty(), "{}: a picture of the kind {}, which is not read; convert it to PNG", where, other);
  ImageHeader header;
  if (file.starts_with(png_signature))
    header = read_png(file, where);
  else if (file.starts_with(jpeg_signature))
    header = read_jpeg(file, where);
  else if (file.size() >= 12 && is_webp(file))
    header = read_webp(file, where);
  else if (is_tiff(file))
    header = read_tiff_header(file, where);
  else if (file.starts_with(bmp_signature))
    header = read_bmp(file, where);
  else
    fail("{}: not a picture that can be read; PNG, JPEG, WebP, TIFF and BMP can", where);
  constexpr int64_t most = INT32_MAX;  // of every one of these formats; products of both stay below 2^62
  check(header.width > 0 && header.height > 0 && header.width <= most && header.height <= most,
        "{}: a picture without pixels, or damaged", where);
  return header;
}

}  // namespace baton
