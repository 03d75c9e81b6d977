#pragma once

#include "engine/config/train_config.h"

namespace baton {

struct DatasetReportConfig {
  DataConfig data;
  bool json = false;
};
void visit(ConfigVisitor& v, DatasetReportConfig& config);  // all but data.folder, which is the command's argument
void resolve(DatasetReportConfig& config);

// `baton dataset`: decodes a whole data set as training would and prints what is in it and what is wrong with it.
// Returns exit_bad_input if a picture cannot be read.
int run_dataset(const DatasetReportConfig& config);

}  // namespace baton
