#pragma once

#include <map>
#include <string>

#include "engine/data/dataset_source.h"
#include "engine/io/json.h"

namespace baton {

// Gathers the pictures that a list names, one object a picture (engine/data/dataset.h says the keys), for the formats
// that such a list may have.
class DatasetRows {
 public:
  DatasetRows(const Path& list, const DataConfig& config) : list_(list), config_(config) {}

  // What is wrong with a row becomes a problem. `row` gives the object.
  template <typename Row>
  void add(const std::string& where, const Row& row) {
    problems_.gather([&] { read(row(), where); });
  }
  // Throws InputError if there were problems.
  Dataset finish();

 private:
  void read(JsonReader object, const std::string& where);

  Path list_;
  const DataConfig& config_;
  Dataset dataset_{.folder = list_.parent_path()};
  DatasetFiles files_{list_.parent_path()};
  Problems problems_;
  std::map<std::string, int64_t> unused_keys_;
  int64_t skipped_ = 0;
};

}  // namespace baton
