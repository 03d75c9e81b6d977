#include "engine/data/dataset.h"

#include <algorithm>
#include <cmath>

#include "engine/core/utf8.h"
#include "engine/data/dataset_source.h"

namespace baton {

namespace fs = std::filesystem;

void Problems::add(std::string problem) {
  constexpr size_t shown = 10;
  if (first_.size() < shown) first_.push_back(std::move(problem));
  ++count_;
}

void Problems::throw_if_any(const Path& folder) const {
  if (count_ == 0) return;
  const int64_t more = count_ - static_cast<int64_t>(first_.size());
  fail("{}: {} problems in the data set:\n  {}{}", folder.string(), count_, fmt::join(first_, "\n  "),
       more ? fmt::format("\n  and {} more", more) : "");
}

Path resolve_inside(const Path& folder, const Path& name, std::string_view where) {
  check(!name.empty() && name.is_relative() && name.native().find('\0') == std::string::npos,
        "{}: '{}', expected a path relative to {}", where, name.string(), folder.string());
  std::error_code error;
  const Path found = fs::canonical(folder / name, error);
  check(!error, "{}: {}: {}", where, (folder / name).string(), error.message());
  const auto [end, rest] = std::mismatch(folder.begin(), folder.end(), found.begin(), found.end());
  check(end == folder.end(), "{}: '{}' leads out of the data set", where, name.string());
  check(fs::is_regular_file(found, error), "{}: '{}' is not a regular file", where, name.string());
  return found;
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
  check(!error, "{}: {}; name a folder of pictures or a .jsonl file", config.folder, error.message());
  Dataset dataset;
  if (fs::is_directory(path))
    dataset = fs::exists(path / "metadata.jsonl") ? read_jsonl_dataset(path / "metadata.jsonl", config)
                                                  : read_folder_dataset(path, config);
  else
    dataset = read_jsonl_dataset(path, config);
  double sum = 0;
  for (const DataItem& item : dataset.items) sum += item.weight;
  check(!dataset.items.empty(), "{}: no pictures in it", config.folder);
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
