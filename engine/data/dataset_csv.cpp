#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/core/utf8.h"
#include "engine/data/dataset_rows.h"

namespace baton {
namespace {

// RFC 4180: values are parted by commas, lines by LF or CRLF; a value in quotes may hold both, and quotes twice.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : rest_(text) {
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);  // spreadsheets put a byte order mark there
  }

  // The values of the next line that is not blank, nothing at the end.
  std::optional<std::vector<std::string>> next() {
    while (!rest_.empty()) {
      begin_ = line_;
      std::vector<std::string> values = read_values();
      if (values.size() > 1 || !values[0].empty()) return values;
    }
    return std::nullopt;
  }
  int64_t line() const { return begin_; }  // of the file, where the values began

 private:
  std::vector<std::string> read_values() {
    std::vector<std::string> values(1);
    bool quoted = false;
    while (!rest_.empty()) {
      const char c = rest_[0];
      rest_.remove_prefix(1);
      line_ += c == '\n';
      if (quoted && c == '"' && !rest_.starts_with('"')) {
        quoted = false;
      } else if (quoted) {
        values.back() += c;
        if (c == '"') rest_.remove_prefix(1);
      } else if (c == '"' && values.back().empty()) {
        quoted = true;
      } else if (c == ',') {
        values.emplace_back();
      } else if (c == '\n') {
        return values;
      } else if (c != '\r' || !rest_.starts_with('\n')) {
        values.back() += c;
      }
    }
    check(!quoted, "line {}: a quote that is never closed", begin_);
    return values;
  }

  std::string_view rest_;
  int64_t line_ = 1, begin_ = 1;
};

// A name that stands there twice would leave open which column counts. Columns without names are not read.
std::vector<std::string> check_names(std::vector<std::string> names) {
  check(std::ranges::count(names, "file_name") || std::ranges::count(names, "image_path"),
        "the first line names no column file_name; values are parted by commas");
  for (const std::string& name : names)
    check(name.empty() || std::ranges::count(names, name) == 1, "two columns are named {}; which of them counts?",
          name);
  return names;
}

// The number that is all of a text. From far beyond a double's range nothing is made, lest a weight become another.
std::optional<double> parse_weight(const std::string& text, const std::string& where) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, number);
  check(error != std::errc::result_out_of_range, "{}: weight: {} is out of range", where, text);
  return error == std::errc() && read == end ? std::optional(number) : std::nullopt;
}

// An empty value is one that is not there.
Json row_object(const std::vector<std::string>& names, const std::vector<std::string>& values,
                const std::string& where) {
  check(values.size() == names.size(), "{}: {} values under {} names", where, values.size(), names.size());
  Json object = Json::object();
  for (size_t i = 0; i < names.size(); ++i) {
    if (values[i].empty() || names[i].empty()) continue;
    const auto weight = names[i] == "weight" ? parse_weight(values[i], where) : std::nullopt;
    object[names[i]] = weight ? Json(*weight) : Json(values[i]);
  }
  return object;
}

}  // namespace

Dataset read_csv_dataset(const Path& file, const DataConfig& config) {
  constexpr int64_t limit = int64_t{1} << 30;
  const std::string text = read_file(file, limit);
  check(is_utf8(text), "{}: not UTF-8 text; save it as UTF-8", file.string());
  CsvReader reader(text);
  DatasetRows rows(file, config);
  try {
    const auto names = check_names(reader.next().value_or(std::vector<std::string>{}));
    while (const auto values = reader.next()) {
      const std::string where = fmt::format("{}:{}", file.filename().string(), reader.line());
      rows.add(where, [&] { return JsonReader::value(row_object(names, *values, where), where); });
    }
  } catch (const InputError& error) {
    fail("{}: {}", file.string(), error.what());
  }
  return rows.finish();
}

}  // namespace baton
