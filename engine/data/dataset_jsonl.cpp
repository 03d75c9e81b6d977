#include <nlohmann/json.hpp>

#include "engine/data/dataset_rows.h"

#include <algorithm>

namespace baton {
namespace {

// One line. Exporters write NaN for what is missing.
JsonReader read_line(std::string_view line, const std::string& where) {
  if (line.find("NaN") == line.npos && line.find("Infinity") == line.npos) return JsonReader::text(line, where);
  return JsonReader::text(nulls_for_infinities(line), where);
}

}  // namespace

Dataset read_jsonl_dataset(const Path& file, const DataConfig& config) {
  constexpr int64_t limit = int64_t{1} << 30;
  const std::string text = read_file(file, limit);
  DatasetRows rows(file, config);
  int64_t line_number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::string where = fmt::format("{}:{}", file.filename().string(), ++line_number);
    if (line.find_first_not_of(" \t\r") != line.npos) rows.add(where, [&] { return read_line(line, where); });
  }
  return rows.finish();
}

}  // namespace baton
