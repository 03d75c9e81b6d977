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

// The file `name` in `folder` (canonical); refuses absolute names, what ".." or a link leads out to, and what is no
// regular file.
Path resolve_inside(const Path& folder, const Path& name, std::string_view where);

// Throws InputError when `text` is not UTF-8 or longer than any caption.
void check_caption(std::string_view text, std::string_view where);

// The captions of a picture that has none: one empty caption, or nothing to leave the picture out (counted in
// `skipped`).
std::optional<std::vector<Caption>> replace_missing_caption(MissingCaption rule, std::string_view where,
                                                            int64_t& skipped);

Dataset read_jsonl_dataset(const Path& file, const DataConfig& config);
Dataset read_folder_dataset(const Path& folder, const DataConfig& config);

}  // namespace baton
