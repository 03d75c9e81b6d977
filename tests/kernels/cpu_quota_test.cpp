#include "kernels/cpu/cpu_quota.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace baton::kernels::cpu {
namespace {

using Path = std::filesystem::path;

class CpuQuota : public testing::Test {
 protected:
  CpuQuota() : root_(Path(testing::TempDir()) / "cpu_quota") { std::filesystem::remove_all(root_); }
  ~CpuQuota() override { std::filesystem::remove_all(root_); }
  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  std::optional<int> quota(const std::string& groups) const {
    write("groups", groups);
    return cpu_quota(root_ / "groups", root_);
  }
  const Path root_;
};

TEST_F(CpuQuota, IsTheSmallestOnTheWayToTheRoot) {
  write("a/cpu.max", "300000 100000\n");
  write("a/b/cpu.max", "max 100000\n");
  write("a/b/c/cpu.max", "800000 100000\n");
  EXPECT_EQ(quota("0::/a/b/c\n"), 3);
  EXPECT_EQ(quota("0::/a/b/c/not-visible\n"), 3);
}

TEST_F(CpuQuota, PartsOfACoreCountAsOne) {
  write("cpu.max", "150000 100000\n");
  EXPECT_EQ(quota("0::/\n"), 2);
  write("cpu.max", "10000 100000\n");
  EXPECT_EQ(quota("0::/\n"), 1);
}

TEST_F(CpuQuota, OfVersionOne) {
  write("cpu,cpuacct/docker/cpu.cfs_quota_us", "400000\n");
  write("cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
  write("cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota("5:memory:/docker\n4:cpu,cpuacct:/docker\n0::/\n"), 4);
  EXPECT_EQ(quota("4:cpuacct:/docker\n"), std::nullopt);
}

TEST_F(CpuQuota, NoneWhereNoneIsSet) {
  EXPECT_EQ(quota(""), std::nullopt);
  EXPECT_EQ(quota("nonsense\n0::/a\n"), std::nullopt);
  write("a/cpu.max", "max 100000\n");
  EXPECT_EQ(quota("0::/a\n"), std::nullopt);
  EXPECT_EQ(cpu_quota(root_ / "absent", root_), std::nullopt);
}

}  // namespace
}  // namespace baton::kernels::cpu
