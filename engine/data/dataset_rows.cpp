#include "engine/data/dataset_rows.h"

#include <cmath>
#include <set>

namespace baton {
namespace {

const std::set<std::string> known_keys{"file_name", "image_path", "caption", "text", "captions", "weight"};

double read_weight(JsonReader& object) {
  const double weight = object.optional("weight", 1.0);
  check(std::isfinite(weight) && weight >= 0, "{}: {}, expected a number from 0", object.where("weight"), weight);
  return weight;
}

Caption read_alternative(JsonReader object) {
  Caption caption;
  check(object.has("text") != object.has("tags"), "{}: expected either text or tags", object.where("text"));
  if (object.has("text")) {
    caption.text = object.required<std::string>("text");
    check_caption(caption.text, object.where("text"));
  } else {
    constexpr size_t most = 1024;
    caption.tags = object.required<std::vector<std::string>>("tags");
    check(!caption.tags.empty() && caption.tags.size() <= most, "{}: {} tags, expected 1 to {}", object.where("tags"),
          caption.tags.size(), most);
    for (const std::string& tag : caption.tags) check_caption(tag, object.where("tags"));
  }
  caption.weight = read_weight(object);
  object.finish();
  return caption;
}

// The one of two names under which a text stands; empty when under neither.
std::optional<std::string> read_either(JsonReader& object, const char* name, const char* other) {
  const bool first = object.has(name), second = object.has(other);
  check(!first || !second, "{}: stands beside {}; which of them counts?", object.where(name), other);
  if (!first && !second) return std::nullopt;
  return object.required<std::string>(first ? name : other);
}

std::vector<Caption> read_captions(JsonReader& object) {
  std::vector<Caption> captions;
  const std::optional<std::string> single = read_either(object, "caption", "text");
  if (!object.has("captions")) {
    if (single) check_caption(*single, object.where("caption"));
    if (single) captions.push_back({.text = *single});
    return captions;
  }
  double sum = 0;
  for (JsonReader& alternative : object.objects("captions")) {
    captions.push_back(read_alternative(alternative));
    sum += captions.back().weight;
  }
  check(captions.empty() || (sum > 0 && std::isfinite(sum)), "{}: the weights add up to {}, expected a positive number",
        object.where("captions"), sum);
  return captions;
}

}  // namespace

void DatasetRows::read(JsonReader object, const std::string& where) {
  const std::optional<std::string> name = read_either(object, "file_name", "image_path");
  check(name.has_value(), "{}: neither file_name nor image_path", where);
  DataItem item{.picture = files_.picture(*name, where), .weight = read_weight(object), .where = where};
  item.captions = read_captions(object);
  for (const std::string& key : object.keys())
    if (!known_keys.contains(key)) ++unused_keys_[key];
  if (item.captions.empty()) {
    auto replaced = replace_missing_caption(config_.missing_caption, where, skipped_);
    if (!replaced) return;
    item.captions = std::move(*replaced);
  }
  dataset_.items.push_back(std::move(item));
}

Dataset DatasetRows::finish() {
  problems_.throw_if_any(list_);
  files_.report(dataset_.notes);
  if (skipped_)
    dataset_.notes.push_back(fmt::format("{} pictures left out: no caption (data.missing_caption)", skipped_));
  for (const auto& [key, count] : unused_keys_)
    dataset_.notes.push_back(fmt::format("key '{}' on {} lines: not used", key, count));
  return std::move(dataset_);
}

}  // namespace baton
