#include "engine/data/dataset.h"

#include <algorithm>
#include <cmath>

#include "engine/core/listed_error.h"
#include "engine/core/utf8.h"
#include "engine/data/dataset_source.h"
#include "engine/data/unicode.h"
#include "engine/io/image_header.h"

namespace baton {

namespace fs = std::filesystem;

void Problems::add(std::string problem) {
  constexpr size_t shown = 10;
  if (first_.size() < shown) first_.push_back(std::move(problem));
  ++count_;
}

void Problems::throw_if_any(const Path& folder) const {
  if (count_ == 0) return;
  std::vector<std::string> list = first_;
  if (const int64_t more = count_ - std::ssize(first_)) list.push_back(fmt::format("and {} more", more));
  throw ListedError(fmt::format("{}: {} problem{} in the data set:", folder.string(), count_, count_ == 1 ? "" : "s"),
                    std::move(list));
}

namespace {

// The file, under its name as it is written or with the accents composed or taken apart: systems differ in that.
Path find_file(const Path& folder, const Path& name, std::string_view where) {
  std::error_code error, other;
  const Path found = fs::canonical(folder / name, error);
  if (error == std::errc::no_such_file_or_directory && is_utf8(name.native()))
    for (const std::string& same : {to_nfc(name.native()), to_nfd(name.native())})
      if (const Path there = fs::canonical(folder / same, other); !other) return there;
  check(!error, "{}: {}: {}", where, (folder / name).string(), error.message());
  return found;
}

}  // namespace

bool DatasetFiles::is_inside(const Path& path) const {
  return std::ranges::mismatch(folder_, path).in1 == folder_.end();
}

Path DatasetFiles::text(const Path& name, std::string_view where) {
  check(!name.empty() && name.native().find('\0') == std::string::npos, "{}: '{}' is no name of a file", where,
        name.string());
  check(name.is_absolute() || is_inside((folder_ / name).lexically_normal()), "{}: '{}' leads out of the data set",
        where, name.string());
  const Path found = find_file(folder_, name, where);
  std::error_code error;
  check(fs::is_regular_file(found, error), "{}: '{}' is not a regular file", where, name.string());
  if (!is_inside(found) && outside_++ == 0) first_ = fmt::format("{} ({})", name.string(), found.string());
  return found;
}

Path DatasetFiles::picture(const Path& name, std::string_view where) {
  const Path found = text(name, where);
  check(is_inside(found) || is_picture(found), "{}: '{}' leads out of the data set, to {}, which is no picture", where,
        name.string(), found.string());
  return found;
}

void DatasetFiles::report(std::vector<std::string>& notes) const {
  if (outside_) notes.push_back(fmt::format("{} files lie outside the folder, the first is {}", outside_, first_));
}

void check_caption(std::string_view text, std::string_view where) {
  constexpr size_t longest = 1 << 16;
  check(text.size() <= longest, "{}: the caption has {} bytes, at most {} are accepted", where, text.size(), longest);
  check(is_utf8(text), "{}: the caption is not UTF-8 text", where);
}

std::optional<std::vector<Caption>> replace_missing_caption(MissingCaption rule, std::string_view where,
                                                            int64_t& skipped) {
  check(rule != MissingCaption::error, "{}: no caption; add one, or set data.missing_caption to empty or skip", where);
  if (rule == MissingCaption::empty) return {{Caption{}}};
  ++skipped;
  return std::nullopt;
}

Dataset open_dataset(const DataConfig& config) {
  std::error_code error;
  const Path path = fs::canonical(config.folder, error);
  check(!error, "{}: {}; name a folder of pictures, or a .jsonl or .csv file", config.folder, error.message());
  const bool folder = fs::is_directory(path);
  Dataset dataset;
  if (const Path list = folder ? path / "metadata.jsonl" : path; folder ? fs::exists(list) : list.extension() != ".csv")
    dataset = read_jsonl_dataset(list, config);
  else if (const Path table = folder ? path / "metadata.csv" : path; fs::exists(table))
    dataset = read_csv_dataset(table, config);
  else
    dataset = read_folder_dataset(path, config);
  double sum = 0;
  for (const DataItem& item : dataset.items) sum += item.weight;
  if (dataset.items.empty())
    throw ListedError(fmt::format("{}: no pictures in it{}", config.folder, dataset.notes.empty() ? "" : ":"),
                      dataset.notes);
  check(sum > 0 && std::isfinite(sum), "{}: the weights of the pictures add up to {}, expected a positive number",
        config.folder, sum);
  return dataset;
}

std::string hash_captions(const Dataset& dataset) {
  std::string text;
  for (const DataItem& item : dataset.items) {
    beat();
    text += fmt::format("{}\n", item.weight);
    for (const Caption& caption : item.captions)
      text += fmt::format("{} {} {} {}\n", caption.weight, caption.text.size(), caption.text, caption.tags);
    text = hash_bytes(text);
  }
  return text;
}

}  // namespace baton
