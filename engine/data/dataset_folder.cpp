#include <algorithm>
#include <map>
#include <set>

#include "engine/core/utf8.h"
#include "engine/data/dataset_source.h"
#include "engine/data/unicode.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// By its name.
bool has_picture_name(const Path& path) {
  static const std::set<std::string> extensions{".png",  ".apng", ".jpg", ".jpeg", ".jpe",
                                                ".jfif", ".webp", ".bmp", ".tif",  ".tiff"};
  return extensions.contains(lower(path.extension().string()));
}

// The kind of a picture that is not read, by its name; empty for all other files.
std::string kind_of_other_picture(const Path& path) {
  static const std::map<std::string, std::string> kinds{
      {".gif", "GIF"}, {".avif", "AVIF"},     {".heic", "HEIC"},     {".heif", "HEIC"}, {".jxl", "JPEG XL"},
      {".ico", "ICO"}, {".jp2", "JPEG 2000"}, {".j2k", "JPEG 2000"}, {".psd", "PSD"},   {".svg", "SVG"},
      {".tga", "TGA"}, {".exr", "OpenEXR"},   {".ppm", "PPM"},       {".pgm", "PPM"},   {".pnm", "PPM"},
      {".dng", "raw"}, {".cr2", "raw"},       {".nef", "raw"},       {".arw", "raw"}};
  const auto found = kinds.find(lower(path.extension().string()));
  return found == kinds.end() ? "" : found->second;
}

// One line of text, ends trimmed.
std::string join_lines(const std::string& text) {
  std::string joined;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of("\r\n", begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    const size_t first = line.find_first_not_of(" \t"), last = line.find_last_not_of(" \t");
    if (first != line.npos) {
      if (!joined.empty()) joined += ' ';
      joined += line.substr(first, last - first + 1);
    }
    begin = end + 1;
  }
  return joined;
}

// What systems and file servers keep beside pictures: hidden files, macOS' other halves of files ("._a.png") and what
// it puts into archives, thumbnails and bins.
bool is_of_the_system(const std::string& name) {
  static const std::set<std::string> known{"@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", "lost+found"};
  return name.starts_with('.') || known.contains(name);
}

struct Listing {
  std::vector<Path> files;                 // relative to the folder, in the order of their bytes on every machine
  std::vector<Path> of_the_system, twice;  // left out: these, and folders that a link leads to once more
};

// Follows links to folders, behind all others, and reads no folder twice: a link may lead back up.
Listing list_files(const Path& folder) {
  Listing listing;
  std::set<Path> read;
  std::vector<Path> folders{Path()}, links;
  while (!folders.empty()) {
    const Path here = folders.back();
    folders.pop_back();
    std::error_code error;
    if (!read.insert(fs::canonical(folder / here, error)).second) {
      listing.twice.push_back(here);
    } else {
      fs::directory_iterator entries(folder / here, error);
      check(!error, "{}: {}", (folder / here).string(), error.message());
      for (const auto& entry : entries) {
        const Path name = here / entry.path().filename();
        if (is_of_the_system(name.filename().string()))
          listing.of_the_system.push_back(name);
        else if (!entry.is_directory(error))
          listing.files.push_back(name);
        else
          (entry.is_symlink() ? links : folders).push_back(name);
      }
    }
    if (folders.empty() && !links.empty()) {
      const auto first = std::ranges::min_element(links);
      folders.push_back(*first);
      links.erase(first);
    }
  }
  for (auto* names : {&listing.files, &listing.of_the_system, &listing.twice})
    std::ranges::sort(*names, {}, [](const Path& path) { return path.native(); });
  return listing;
}

void note_left_out(Dataset& dataset, const std::vector<Path>& names, std::string_view what) {
  if (!names.empty())
    dataset.notes.push_back(fmt::format("{} {} left out, the first is {}", names.size(), what, names[0].string()));
}

// A name under which a caption is found: whatever the case of its extension, and however its accents are written.
std::string caption_key(const Path& name) {
  const std::string key = Path(name).replace_extension(lower(name.extension().string())).native();
  return is_utf8(key) ? to_nfc(key) : key;
}

// A caption file under an extension that is not the configured one: easy to overlook, so it is an error.
void refuse_other_extension(const std::map<std::string, Path>& captions, const Path& name,
                            const std::string& extension) {
  for (const char* other : {".txt", ".caption", ".cap", ".text"})
    check(other == lower(extension) || !captions.contains(caption_key(Path(name).replace_extension(other))),
          "{}: no caption file {}, but there is one with {}; set data.caption_extension", name.string(), extension,
          other);
}

}  // namespace

Dataset read_folder_dataset(const Path& folder, const DataConfig& config) {
  constexpr int64_t longest_caption_file = 1 << 20;
  Dataset dataset{.folder = folder};
  const auto [listed, of_the_system, twice] = list_files(folder);
  DatasetFiles files(folder);
  std::map<std::string, Path> captions;  // by caption_key(); a name that is its own key comes before others
  for (const Path& name : listed)
    if (const std::string key = caption_key(name); name.native() == key || !captions.contains(key))
      captions[key] = name;
  std::map<std::string, int64_t> ignored;
  std::map<std::string, std::vector<Path>> not_read;  // pictures by their kind
  std::set<Path> used;
  Problems problems;
  int64_t skipped = 0;

  auto read_item = [&](const Path& name) {
    DataItem item{.picture = files.picture(name, name.string()), .where = name.string()};
    const auto found = captions.find(caption_key(Path(name).replace_extension(config.caption_extension)));
    if (found != captions.end()) {
      used.insert(found->second);
      const Path caption_file = files.text(found->second, name.string());
      item.captions.push_back({.text = join_lines(read_file(caption_file, longest_caption_file))});
      check_caption(item.captions[0].text, found->second.string());
    } else {
      refuse_other_extension(captions, name, config.caption_extension);
      auto replaced = replace_missing_caption(config.missing_caption, item.where, skipped);
      if (!replaced) return;
      item.captions = std::move(*replaced);
    }
    dataset.items.push_back(std::move(item));
  };

  for (const Path& name : listed)
    if (has_picture_name(name)) {
      problems.gather([&] { read_item(name); });
    } else if (const std::string kind = kind_of_other_picture(name); !kind.empty()) {
      not_read[kind].push_back(name);
      const auto caption = captions.find(caption_key(Path(name).replace_extension(config.caption_extension)));
      if (caption != captions.end()) used.insert(caption->second);
    }
  problems.throw_if_any(folder);
  files.report(dataset.notes);
  note_left_out(dataset, of_the_system, "files or folders of the system");
  note_left_out(dataset, twice, "links to folders that are read under another name");
  if (skipped) dataset.notes.push_back(fmt::format("{} pictures left out: no caption (data.missing_caption)", skipped));
  for (const auto& [kind, names] : not_read)
    note_left_out(dataset, names, fmt::format("{} pictures, a kind that is not read (convert them to PNG),", kind));
  for (const Path& name : listed)
    if (!has_picture_name(name) && kind_of_other_picture(name).empty() && !used.contains(name))
      ++ignored[lower(name.extension().string())];
  for (const auto& [extension, count] : ignored)
    dataset.notes.push_back(
        fmt::format("{} files '*{}' left out: {}", count, extension,
                    extension == config.caption_extension ? "no picture of that name" : "no pictures"));
  return dataset;
}

}  // namespace baton
