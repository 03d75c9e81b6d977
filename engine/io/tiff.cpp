#include "engine/io/tiff.h"

#include <tiffio.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/io/color_profile.h"

namespace baton {
namespace {

// A file in memory, as libtiff reads it.
struct Source {
  std::string_view file;
  uint64_t at = 0;
  bool complained = false;  // libtiff warned, or found an error
};

tmsize_t read_part(thandle_t handle, void* to, tmsize_t size) {
  Source& source = *static_cast<Source*>(handle);
  const std::string_view part = source.file.substr(std::min<uint64_t>(source.at, source.file.size()), size);
  std::ranges::copy(part, static_cast<char*>(to));
  source.at += part.size();
  return std::ssize(part);
}

toff_t seek(thandle_t handle, toff_t offset, int whence) {
  Source& source = *static_cast<Source*>(handle);
  return source.at = offset + (whence == SEEK_CUR ? source.at : whence == SEEK_END ? source.file.size() : 0);
}

toff_t size_of(thandle_t handle) { return static_cast<Source*>(handle)->file.size(); }

int map(thandle_t handle, void** base, toff_t* size) {
  *base = const_cast<char*>(static_cast<Source*>(handle)->file.data());  // only read
  *size = size_of(handle);
  return 1;
}

int note_complaint(TIFF*, void* source, const char*, const char*, va_list) {
  static_cast<Source*>(source)->complained = true;
  return 1;  // and nothing more is to be done
}

using TiffHandle = std::unique_ptr<TIFF, decltype(&TIFFClose)>;

// `most_bytes`: that libtiff may allocate at once.
TiffHandle open(Source& source, int64_t most_bytes, std::string_view where) {
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                 TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), most_bytes);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), note_complaint, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), note_complaint, &source);
  const auto write = [](thandle_t, void*, tmsize_t) -> tmsize_t { return 0; };
  const auto close = [](thandle_t) { return 0; };
  const auto unmap = [](thandle_t, void*, toff_t) {};
  // "c": strips stay as they are in the file.
  TiffHandle tiff(
      TIFFClientOpenExt("", "rc", &source, read_part, write, seek, close, size_of, map, unmap, options.get()),
      TIFFClose);
  check(tiff != nullptr, "{}: the TIFF file is damaged or cut short", where);
  return tiff;
}

// Tables of strips, and what the tags say; libtiff widens numbers of 2 bytes to 8.
int64_t most_table_bytes(std::string_view file) { return (16 << 20) + 4 * std::ssize(file); }

// libtiff copies what every tag of the directory refers to, and takes n^2 for tags that it does not know: a small file
// whose tags all refer to the same bytes would take gigabytes. Entries are {tag, type, count, value or its offset},
// with 2, 2, 4 and 4 bytes; 2, 2, 8 and 8 in BigTIFF. Whether the extra channels are described is all that is taken
// from here.
bool describes_extra_samples(std::string_view file, std::string_view where) {
  constexpr uint64_t most_entries = 1024;
  constexpr int type_bytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
  const bool big_endian = file.starts_with("MM");
  const auto number = [&](uint64_t at, size_t size) -> uint64_t {
    const auto four = [&](uint64_t from, size_t bytes) -> uint64_t {
      return big_endian ? read_big(file, from, bytes) : read_little(file, from, bytes);
    };
    if (size <= 4) return four(at, size);
    return big_endian ? four(at, 4) << 32 | four(at + 4, 4) : four(at + 4, 4) << 32 | four(at, 4);
  };
  const bool big = number(2, 2) == 43;
  const uint64_t table = big ? number(8, 8) : number(4, 4), word = big ? 8 : 4, head = big ? 8 : 2;
  check(table >= 8 && table < file.size(), "{}: the TIFF file is damaged or cut short", where);
  const uint64_t entries = number(table, head), entry_bytes = 4 + 2 * word;
  check(entries <= most_entries, "{}: a TIFF file of {} tags, at most {} are read", where, entries, most_entries);
  bool found = false;
  uint64_t rest = file.size();
  for (uint64_t at = table + head; at < table + head + entries * entry_bytes; at += entry_bytes) {
    const uint64_t type = number(at + 2, 2), count = number(at + 4, word);
    const uint64_t bytes = type < std::size(type_bytes) ? type_bytes[type] : 0;
    found |= number(at, 2) == TIFFTAG_EXTRASAMPLES;
    if (bytes == 0 || count <= word / bytes) continue;  // the value stands in the entry
    check(count <= rest / bytes, "{}: the TIFF file is damaged: its tags hold more than the whole file", where);
    rest -= count * bytes;
  }
  return found;
}

template <typename T>
T field(TIFF* tiff, uint32_t tag) {
  T value{};
  TIFFGetFieldDefaulted(tiff, tag, &value);
  return value;
}

// What stands in the channels.
struct Kind {
  uint16_t colours = 0, photometric = 0, bits = 0, samples = 0, compression = 0;
  std::vector<uint16_t> extra;  // beside the colours: 0 unknown, 1 alpha that they are multiplied by, 2 alpha
  bool described = false;       // the extra channels are what that says
  bool has_alpha() const { return !extra.empty() && extra[0] != EXTRASAMPLE_UNSPECIFIED; }
};

Kind read_kind(TIFF* tiff, bool describes_extra) {
  Kind kind;
  if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &kind.photometric)) kind.photometric = UINT16_MAX;
  kind.colours = kind.photometric == PHOTOMETRIC_RGB || kind.photometric == PHOTOMETRIC_YCBCR ? 3 : 1;
  kind.bits = field<uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE);
  kind.samples = field<uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL);
  kind.compression = field<uint16_t>(tiff, TIFFTAG_COMPRESSION);
  uint16_t count = 0;
  uint16_t* values = nullptr;
  if (TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &count, &values) && values)
    kind.extra.assign(values, values + count);
  // OpenCV writes no word about alpha, and Pillow reads a fourth channel without one as such.
  kind.described = describes_extra || (kind.photometric == PHOTOMETRIC_RGB && kind.extra.size() == 1);
  if (kind.described && !describes_extra) kind.extra[0] = EXTRASAMPLE_UNASSALPHA;
  return kind;
}

std::string_view name_of_photometric(int photometric) {
  switch (photometric) {
    case PHOTOMETRIC_MASK:
      return "a mask instead of colours";
    case PHOTOMETRIC_SEPARATED:
      return "CMYK colours";
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB:
      return "Lab colours";
    case PHOTOMETRIC_CFA:
    case 34892:  // LinearRaw
      return "a camera's raw data";
    case PHOTOMETRIC_LOGL:
    case PHOTOMETRIC_LOGLUV:
      return "LogLuv colours";
    default:
      return "colours of an unknown kind";
  }
}

// Of other grey pictures libtiff mixes the values up, and it does not know other RGB.
bool has_known_layout(const Kind& kind, TIFF* tiff) {
  if (char message[1024]; !TIFFRGBAImageOK(tiff, message)) return false;
  if (kind.colours == 3) return kind.bits >= 8;
  if (kind.samples == 1) return kind.bits <= 8 || !TIFFIsTiled(tiff);
  const bool together = field<uint16_t>(tiff, TIFFTAG_PLANARCONFIG) == PLANARCONFIG_CONTIG;
  return kind.samples == 2 && kind.bits == 8 && kind.photometric == PHOTOMETRIC_MINISBLACK && together &&
         !TIFFIsTiled(tiff);
}

// Refuses what libtiff does not know, or what it makes something else of than the picture.
void check_kind(const Kind& kind, TIFF* tiff, std::string_view where) {
  static const std::set<int> photometrics{PHOTOMETRIC_MINISWHITE, PHOTOMETRIC_MINISBLACK, PHOTOMETRIC_RGB,
                                          PHOTOMETRIC_PALETTE, PHOTOMETRIC_YCBCR};
  static const std::set<int> compressions{COMPRESSION_NONE,          COMPRESSION_CCITTRLE, COMPRESSION_CCITTFAX3,
                                          COMPRESSION_CCITTFAX4,     COMPRESSION_LZW,      COMPRESSION_JPEG,
                                          COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE,  COMPRESSION_PACKBITS};
  const auto refuse = [&](const std::string& what) {
    fail("{}: a TIFF file with {} is not read; save it anew as PNG", where, what);
  };
  const auto format = field<uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT);
  if (!photometrics.contains(kind.photometric)) refuse(std::string(name_of_photometric(kind.photometric)));
  if (format == SAMPLEFORMAT_IEEEFP) refuse("floating-point values");
  if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID) refuse("signed or complex values");
  if (kind.bits != 16 && kind.bits > 8) refuse(fmt::format("values of {} bits", kind.bits));
  if (!compressions.contains(kind.compression)) refuse(fmt::format("compression {}", kind.compression));
  if (field<uint32_t>(tiff, TIFFTAG_SUBFILETYPE) & FILETYPE_REDUCEDIMAGE) refuse("a thumbnail in the first place");
  const bool grey_or_rgb = kind.photometric != PHOTOMETRIC_PALETTE && kind.photometric != PHOTOMETRIC_YCBCR;
  constexpr size_t most_extra = 8;
  if (kind.samples != kind.colours + kind.extra.size() || kind.extra.size() > most_extra ||
      (!kind.extra.empty() && !(grey_or_rgb && kind.described)))
    refuse(fmt::format("{} channels and no word what they are", kind.samples));
  for (size_t i = 1; i < kind.extra.size(); ++i)
    if (kind.extra[i] != EXTRASAMPLE_UNSPECIFIED) refuse("two kinds of transparency");
  if (!has_known_layout(kind, tiff)) refuse("a rare layout of its values");
}

// At most, what decoding holds: the pixels as RGBA, one strip or tile of all channels, and the coefficients of a JPEG.
int64_t bytes_per_pixel(const ImageHeader& header, const Kind& kind, TIFF* tiff, std::string_view where) {
  constexpr uint64_t small = 1 << 20;
  const uint64_t width = header.width, height = header.height, pixels = std::max<uint64_t>(1, width * height);
  uint64_t part = width * std::min<uint64_t>(height, field<uint32_t>(tiff, TIFFTAG_ROWSPERSTRIP));
  if (TIFFIsTiled(tiff))
    part = uint64_t{field<uint32_t>(tiff, TIFFTAG_TILEWIDTH)} * field<uint32_t>(tiff, TIFFTAG_TILELENGTH);
  check(part <= std::max(pixels, small), "{}: the TIFF file is damaged: a tile is larger than the picture", where);
  const int each =
      kind.samples * (kind.bits == 16 ? 2 : 1) + (kind.compression == COMPRESSION_JPEG ? 2 * kind.samples : 0);
  return 4 + static_cast<int64_t>((part + pixels - 1) / pixels) * each;
}

}  // namespace

bool is_tiff(std::string_view start) {
  using namespace std::string_view_literals;
  for (const std::string_view signature : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv})
    if (start.starts_with(signature)) return true;
  return false;
}

ImageHeader read_tiff_header(std::string_view file, std::string_view where) {
  const bool describes_extra = describes_extra_samples(file, where);  // before libtiff sees the file
  Source source{file};
  const TiffHandle tiff = open(source, most_table_bytes(file), where);
  ImageHeader header{field<uint32_t>(tiff.get(), TIFFTAG_IMAGEWIDTH), field<uint32_t>(tiff.get(), TIFFTAG_IMAGELENGTH)};
  const Kind kind = read_kind(tiff.get(), describes_extra);
  check_kind(kind, tiff.get(), where);
  header.bytes_per_pixel = bytes_per_pixel(header, kind, tiff.get(), where);
  const auto orientation = field<uint16_t>(tiff.get(), TIFFTAG_ORIENTATION);
  if (orientation >= 1 && orientation <= 8) header.orientation = orientation;
  header.premultiplied = kind.has_alpha() && kind.extra[0] == EXTRASAMPLE_ASSOCALPHA;
  header.first_of_several = !TIFFLastDirectory(tiff.get());
  uint32_t bytes = 0;
  const char* profile = nullptr;
  if (TIFFGetField(tiff.get(), TIFFTAG_ICCPROFILE, &bytes, &profile) && profile)
    header.other_colours = !is_srgb_profile({profile, bytes});
  return header;
}

void decode_tiff(std::string_view file, const ImageHeader& header, std::string_view where, uint8_t* bgra) {
  Source source{file};
  const int64_t pixels = header.width * header.height;
  const TiffHandle tiff = open(source, most_table_bytes(file) + pixels * header.bytes_per_pixel, where);
  const Kind kind = read_kind(tiff.get(), describes_extra_samples(file, where));
  // libtiff would multiply colours by alpha, in some kinds: let it believe that they are.
  std::vector<uint16_t> extra(kind.extra.size(), EXTRASAMPLE_UNSPECIFIED);
  if (kind.has_alpha()) extra[0] = EXTRASAMPLE_ASSOCALPHA;
  if (!extra.empty()) TIFFSetField(tiff.get(), TIFFTAG_EXTRASAMPLES, static_cast<int>(extra.size()), extra.data());
  source.complained = false;
  const bool decoded =
      TIFFReadRGBAImageOriented(tiff.get(), static_cast<uint32_t>(header.width), static_cast<uint32_t>(header.height),
                                reinterpret_cast<uint32_t*>(bgra), header.orientation, 1);
  check(decoded && !source.complained, "{}: the TIFF file is damaged or cut short", where);
  for (uint8_t* pixel = bgra; pixel < bgra + 4 * pixels; pixel += 4) {
    std::swap(pixel[0], pixel[2]);
    if (!kind.has_alpha()) pixel[3] = 255;
  }
}

}  // namespace baton
