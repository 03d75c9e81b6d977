#include "pipelines/dataset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/core/print.h"
#include "engine/core/utf8.h"
#include "engine/data/draw_sequence.h"
#include "engine/data/pictures.h"
#include "engine/io/json.h"
#include "pipelines/runtime.h"

namespace baton {
namespace {

Json describe_pictures(const Dataset& dataset, const std::vector<PictureCheck>& checks, const DataConfig& config) {
  std::map<std::pair<int64_t, int64_t>, int64_t> count_of_size;
  std::set<std::string> different;
  int64_t readable = 0, enlarged = 0;
  double cut_sum = 0;
  std::vector<std::pair<double, size_t>> cuts;
  Json problems = Json::array();
  for (size_t i = 0; i < checks.size(); ++i) {
    const PictureCheck& check = checks[i];
    if (!check.error.empty()) {
      problems.push_back(fmt::format("{}: {}", dataset.items[i].where, check.error));
      continue;
    }
    const auto [short_side, long_side] = std::minmax({check.width, check.height});
    const double cut = 1 - static_cast<double>(short_side) / static_cast<double>(long_side);
    ++readable;
    ++count_of_size[{check.width, check.height}];
    different.insert(check.hash);
    enlarged += short_side < config.size;
    cut_sum += cut;
    cuts.emplace_back(cut, i);
  }
  constexpr size_t most_crops = 10;
  std::ranges::sort(cuts, std::greater{}, [](const auto& entry) { return entry.first; });
  Json crops = Json::array();
  for (const auto& [cut, i] : std::span(cuts).first(std::min(most_crops, cuts.size())))
    if (cut > 0)
      crops.push_back(
          fmt::format("{:.1f} % of {} ({}x{})", 100 * cut, dataset.items[i].where, checks[i].width, checks[i].height));
  std::vector<std::pair<int64_t, std::string>> sizes;  // commonest first
  for (const auto& [size, count] : count_of_size)
    sizes.emplace_back(-count, fmt::format("{}x{}", size.first, size.second));
  std::ranges::sort(sizes);
  Json listed = Json::array();
  for (const auto& [count, size] : sizes) listed.push_back({{"size", size}, {"pictures", -count}});
  return {{"pictures", dataset.items.size()},
          {"readable", readable},
          {"different", different.size()},
          {"smaller_than_size", enlarged},
          {"cut_off_mean", readable ? cut_sum / static_cast<double>(readable) : 0},
          {"cut_off_most", cuts.empty() ? 0 : cuts.front().first},
          {"worst_crops", crops},
          {"sizes", listed},
          {"problems", problems}};
}

Json describe_captions(const Dataset& dataset) {
  std::set<std::string> texts;
  std::string longest;
  int64_t alternatives = 0, sometimes_empty = 0;
  double empty = 0, all = 0;  // chance of a draw without a caption, times weights
  for (const DataItem& item : dataset.items) {
    double sum = 0, without = 0;
    for (const Caption& caption : item.captions) {
      const std::string text = caption.tags.empty() ? caption.text : fmt::format("{}", fmt::join(caption.tags, ", "));
      sum += caption.weight;
      if (text.empty()) without += caption.weight;
      if (text.size() > longest.size()) longest = text;
      texts.insert(text);
      ++alternatives;
    }
    sometimes_empty += without > 0;
    empty += item.weight * without / sum;
    all += item.weight;
  }
  return {{"alternatives", alternatives}, {"different", texts.size()}, {"pictures_with_empty", sometimes_empty},
          {"empty_share", empty / all},   {"longest", longest},        {"longest_bytes", longest.size()}};
}

Json describe_draws(const Dataset& dataset, const DataConfig& config) {
  const auto [least, most] = std::ranges::minmax_element(dataset.items, {}, &DataItem::weight);
  return {{"epoch", DrawSequence(dataset, config, 0).epoch_size()},
          {"least_weight", least->weight},
          {"most_weight", most->weight}};
}

void print_list(const Json& lines, std::string_view title) {
  constexpr size_t shown = 20;
  if (!lines.empty()) print(fmt::format("{}\n", title));
  for (size_t i = 0; i < std::min(lines.size(), shown); ++i)
    print(fmt::format("  {}\n", printable_line(lines[i].get<std::string>())));
  if (lines.size() > shown) print(fmt::format("  and {} more; --json lists all\n", lines.size() - shown));
}

void print_report(const Json& report, int64_t size) {
  const Json &pictures = report["pictures"], &captions = report["captions"], &draws = report["draws"];
  std::vector<std::string> sizes;
  for (const Json& entry : pictures["sizes"]) {
    constexpr size_t shown = 5;
    if (sizes.size() == shown) {
      sizes.push_back(fmt::format("and {} other sizes", pictures["sizes"].size() - shown));
      break;
    }
    sizes.push_back(fmt::format("{} of {}", entry["pictures"].get<int64_t>(), entry["size"].get<std::string>()));
  }
  const std::string longest = captions["longest"];
  print(fmt::format("folder    {}\n", printable_line(report["folder"].get<std::string>())));
  print(fmt::format("pictures  {}: {} readable, {} different\n", pictures["pictures"].get<int64_t>(),
                    pictures["readable"].get<int64_t>(), pictures["different"].get<int64_t>()));
  print(fmt::format("sizes     {}\n", fmt::join(sizes, ", ")));
  print(fmt::format("at {:<6} {} enlarged; cut off at the edges {:.1f} % on average, {:.1f} % at most\n", size,
                    pictures["smaller_than_size"].get<int64_t>(), 100 * pictures["cut_off_mean"].get<double>(),
                    100 * pictures["cut_off_most"].get<double>()));
  print(fmt::format("draws     {} in an epoch; weights {} to {}\n", draws["epoch"].get<int64_t>(),
                    draws["least_weight"].get<double>(), draws["most_weight"].get<double>()));
  print(fmt::format("captions  {}, {} different; {:.1f} % of draws have an empty one\n",
                    captions["alternatives"].get<int64_t>(), captions["different"].get<int64_t>(),
                    100 * captions["empty_share"].get<double>()));
  print(fmt::format("longest   {} bytes: {}\n", longest.size(), printable_line(utf8_excerpt(longest))));
  print_list(pictures["worst_crops"], "most is cut off");
  print_list(report["notes"], "notes");
  print_list(pictures["problems"], "problems");
}

}  // namespace

void visit(ConfigVisitor& v, DatasetReportConfig& c) {
  v("size", c.data.size, "side that training would use, pixels", {8, 8192});
  v("background", c.data.background, "colour behind transparent pixels, #rrggbb");
  v.choice("missing_caption", c.data.missing_caption, {"error", "empty", "skip"},
           "what to do with a picture that has none");
  v("caption_extension", c.data.caption_extension, "of the text files beside the pictures, where there is no list");
  v("skip_unreadable", c.data.skip_unreadable, "leave out pictures that cannot be read, with a note");
  v("json", c.json, "print one JSON object");
}

void resolve(DatasetReportConfig& config) { resolve(config.data); }

int run_dataset(const DatasetReportConfig& config) {
  Dataset dataset = open_dataset(config.data);
  if (config.data.skip_unreadable) drop_unreadable(dataset, config.data);
  const std::vector<PictureCheck> checks = check_pictures(dataset, config.data);
  std::ranges::move(notes_of(dataset, checks), std::back_inserter(dataset.notes));
  const Json report{{"folder", config.data.folder},
                    {"pictures", describe_pictures(dataset, checks, config.data)},
                    {"captions", describe_captions(dataset)},
                    {"draws", describe_draws(dataset, config.data)},
                    {"notes", dataset.notes}};
  if (config.json)
    print(json_text(report, 2) + "\n");
  else
    print_report(report, config.data.size);
  return report["pictures"]["problems"].empty() ? exit_done : exit_bad_input;
}

}  // namespace baton
