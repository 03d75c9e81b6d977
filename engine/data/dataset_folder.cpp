#include <algorithm>
#include <map>
#include <set>

#include "engine/data/dataset_source.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_picture(const Path& path) {
  static const std::set<std::string> extensions{".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"};
  return extensions.contains(lower(path.extension().string()));
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

// Names below `folder` relative to it, in the order of their bytes, so that every machine numbers pictures alike.
std::vector<Path> list_files(const Path& folder) {
  std::vector<Path> files;
  for (auto entry = fs::recursive_directory_iterator(folder); entry != fs::recursive_directory_iterator(); ++entry) {
    if (entry->path().filename().native().starts_with('.')) {
      if (entry->is_directory()) entry.disable_recursion_pending();
    } else if (!entry->is_directory()) {
      files.push_back(entry->path().lexically_relative(folder));
    }
  }
  std::ranges::sort(files, {}, [](const Path& path) { return path.native(); });
  return files;
}

// A caption file under an extension that is not the configured one: easy to overlook, so it is an error.
void refuse_other_extension(const std::set<Path>& files, const Path& name, const std::string& extension) {
  for (const char* other : {".txt", ".caption", ".cap", ".text"})
    check(other == extension || !files.contains(Path(name).replace_extension(other)),
          "{}: no caption file {}, but there is one with {}; set data.caption_extension", name.string(), extension,
          other);
}

}  // namespace

Dataset read_folder_dataset(const Path& folder, const DataConfig& config) {
  constexpr int64_t longest_caption_file = 1 << 20;
  Dataset dataset{.folder = folder};
  const std::vector<Path> listed = list_files(folder);
  const std::set<Path> files(listed.begin(), listed.end());
  std::map<std::string, int64_t> ignored;
  std::set<Path> used;
  Problems problems;
  int64_t skipped = 0;

  auto read_item = [&](const Path& name) {
    DataItem item{.picture = resolve_inside(folder, name, name.string()), .where = name.string()};
    const Path caption_name = Path(name).replace_extension(config.caption_extension);
    if (files.contains(caption_name)) {
      used.insert(caption_name);
      const Path caption_file = resolve_inside(folder, caption_name, name.string());
      item.captions.push_back({.text = join_lines(read_file(caption_file, longest_caption_file))});
      check_caption(item.captions[0].text, caption_name.string());
    } else {
      refuse_other_extension(files, name, config.caption_extension);
      auto replaced = replace_missing_caption(config.missing_caption, item.where, skipped);
      if (!replaced) return;
      item.captions = std::move(*replaced);
    }
    dataset.items.push_back(std::move(item));
  };

  for (const Path& name : listed)
    if (is_picture(name)) problems.gather([&] { read_item(name); });
  problems.throw_if_any(folder);
  if (skipped) dataset.notes.push_back(fmt::format("{} pictures left out: no caption (data.missing_caption)", skipped));
  for (const Path& name : listed)
    if (!is_picture(name) && !used.contains(name)) ++ignored[lower(name.extension().string())];
  for (const auto& [extension, count] : ignored)
    dataset.notes.push_back(
        fmt::format("{} files '*{}' left out: {}", count, extension,
                    extension == config.caption_extension ? "no picture of that name" : "no pictures"));
  return dataset;
}

}  // namespace baton
