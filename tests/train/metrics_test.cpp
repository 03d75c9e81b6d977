#include "engine/train/metrics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace baton {
namespace {

TEST(MetricsFile, DropsWhatIsWrittenAgain) {
  const Path path = Path(testing::TempDir()) / "baton_metrics_test.jsonl";
  std::filesystem::remove(path);
  {
    MetricsFile metrics(path, 0);
    for (int step : {1, 2, 3}) metrics.write({{"step", step}, {"loss", 0.5}});
  }
  write_file(path, read_file(path, 1000) + "{\"step\":4,\"lo");  // cut short by a crash
  {
    MetricsFile metrics(path, 2);
    metrics.write({{"step", 3}, {"loss", 0.25}});
  }
  EXPECT_EQ(read_file(path, 1000),
            "{\"loss\":0.5,\"step\":1}\n{\"loss\":0.5,\"step\":2}\n{\"loss\":0.25,\"step\":3}\n");
}

}  // namespace
}  // namespace baton
