#pragma once

#include <optional>

#include "engine/core/error.h"
#include "engine/core/heartbeat.h"
#include "engine/data/dataset.h"

// What the readers of the two layouts share.
namespace baton {

// Gathers errors while a data set is read, so that one message shows them all, or the first ten of them.
class Problems {
 public:
  void add(std::string problem);
  // Runs `body` for a picture; its InputError becomes a problem.
  template <typename Body>
  void gather(const Body& body) {
    beat();  // a data set may have millions
    try {
      body();
    } catch (const InputError& error) {
      add(error.what());
    }
  }
  void throw_if_any(const Path& folder) const;

 private:
  std::vector<std::string> first_;
  int64_t count_ = 0;
};

// Finds the files of a data set, through links and absolute names too. What lies outside the folder is counted, and as
// a picture it must begin as one: a list from a stranger cannot have anything else read.
class DatasetFiles {
 public:
  explicit DatasetFiles(const Path& folder) : folder_(folder) {}  // canonical

  // Throw InputError for what is no regular file, and for ".." that leads out.
  Path picture(const Path& name, std::string_view where);
  Path text(const Path& name, std::string_view where);
  void report(std::vector<std::string>& notes) const;

 private:
  bool is_inside(const Path& path) const;

  Path folder_;
  int64_t outside_ = 0;
  std::string first_;  // of those
};

// Throws InputError when `text` is not UTF-8 or longer than any caption.
void check_caption(std::string_view text, std::string_view where);

// The captions of a picture that has none: one empty caption, or nothing to leave the picture out (counted in
// `skipped`).
std::optional<std::vector<Caption>> replace_missing_caption(MissingCaption rule, std::string_view where,
                                                            int64_t& skipped);

Dataset read_jsonl_dataset(const Path& file, const DataConfig& config);
Dataset read_csv_dataset(const Path& file, const DataConfig& config);
Dataset read_folder_dataset(const Path& folder, const DataConfig& config);

}  // namespace baton
