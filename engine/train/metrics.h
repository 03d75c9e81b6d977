#pragma once

#include "engine/io/json.h"

namespace baton {

// A file of JSON objects, one a line, each written at once. A run that goes on from a checkpoint drops the lines of
// later steps (key "step"): they are written again.
class MetricsFile {
 public:
  MetricsFile(const Path& path, int64_t resumed_step);
  void write(const Json& line);
  void flush();  // to the disk

 private:
  int64_t size_;  // bytes
  Output output_;
};

}  // namespace baton
