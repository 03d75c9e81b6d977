#include "engine/plan/machine.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "engine/config/yaml.h"
#include "engine/core/error.h"
#include "engine/plan/calibrate.h"
#include "engine/plan/collective.h"
#include "engine/plan/cost.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class MachineFile : public testing::Test {
 protected:
  ~MachineFile() override { std::filesystem::remove(path_); }

  Machine read(const std::string& text) {
    std::ofstream(path_) << text;
    return read_machine(path_);
  }
  void expect_refused(const std::string& text, const char* message) {
    EXPECT_THAT([&] { read(text); }, ThrowsMessage<InputError>(HasSubstr(message))) << text;
  }

  Path path_ = std::filesystem::temp_directory_path() / fmt::format("machine-{}.yaml", getpid());
};

constexpr const char* small = "{memory: 1e9, matrix_16bit: 2e12, matrix_f32: 1e12, bandwidth: 1e11}";

TEST_F(MachineFile, TheShippedOnesRead) {
  for (const char* name : {"a100-80g", "h100-80g"}) {
    const Machine m = read_machine(test_dir() / "../configs/machines" / (std::string(name) + ".yaml"));
    EXPECT_EQ(m.memory, 80 * 0x1p30);
    EXPECT_EQ(m.devices, 8);
  }
}

TEST_F(MachineFile, ReadsWhatIsGiven) {
  const Machine m = read(small);
  EXPECT_EQ(m.peak(DType::f32), 1e12);
  EXPECT_EQ(m.peak(DType::bf16), 2e12);
  EXPECT_EQ(m.devices, 1);
}

TEST_F(MachineFile, HostileOnesAreRefusedWithOneClearError) {
  expect_refused("", "memory: missing; a machine file gives it as a number above 0");
  expect_refused("memory: 1e9", "matrix_16bit: missing");
  expect_refused("memory: -1", "memory: -1 is out of range");
  expect_refused("memory: much", "memory: 'much', expected a number");
  expect_refused("memory: .nan", "expected a number");
  expect_refused("memory: 1e999", "expected a number");
  expect_refused("memori: 1", "no such key");
  expect_refused("gemm_efficiency: 2", "out of range");
  expect_refused("host: {kernel: 2}", "host.kernel: 2 is out of range");
  expect_refused("host: {kernels: 1e-6}", "no such key");
  expect_refused("inside: 5", "expected keys and values");
  expect_refused("[1, 2]", "expected keys and values");
  expect_refused("memory: &a 1", "");
  expect_refused("{memory: 1e9, matrix_16bit: 2e12, matrix_f32: 1e12, bandwidth: 1e11, devices: 8}",
                 "inside.bandwidth: missing");
  EXPECT_THROW(read_machine("/nowhere/machine.yaml"), InputError);
}

TEST_F(MachineFile, RanksThatNothingConnectsAreRefused) {
  const Machine alone = read(small);
  EXPECT_EQ(all_reduce_seconds(alone, {}, 1e9), 0);
  EXPECT_THAT(
      [&] {
        all_reduce_seconds(alone, {2, 1}, 1e9);
      },
      ThrowsMessage<InputError>(HasSubstr("needs between.bandwidth")));
}

TEST(Place, GroupsOfNeighboursStayOnANode) {
  const MeshSpec mesh = parse_mesh("pp=4,dp=4,ulysses=2,tp=4");
  const auto expect = [&](std::initializer_list<Axis> axes, double ranks, double in_node) {
    const Place place = place_of(mesh, axes, 8);
    EXPECT_EQ(place.ranks, ranks);
    EXPECT_EQ(place.in_node, in_node);
  };
  expect({Axis::tp}, 4, 4);
  expect({Axis::ulysses}, 2, 2);
  expect({Axis::dp}, 4, 1);
  expect({Axis::dp, Axis::ulysses}, 8, 2);
  expect({Axis::pp}, 4, 1);
}

TEST(Collective, MovesTheBytesOfARing) {
  Machine m{.devices = 4, .inside = {.bandwidth = 100}, .between = {.bandwidth = 10}};
  EXPECT_DOUBLE_EQ(all_reduce_seconds(m, {4, 4}, 1000), 2 * 750 / 100.0);
  EXPECT_DOUBLE_EQ(gather_seconds(m, {4, 4}, 1000), 750 / 100.0);
  EXPECT_DOUBLE_EQ(gather_seconds(m, {8, 4}, 1000), 875 / 40.0);  // four links out of each node
  EXPECT_DOUBLE_EQ(all_to_all_seconds(m, {8, 4}, 1000), 500 / 10.0);
  m.overlap = 0.5;
  EXPECT_DOUBLE_EQ(exposed(m, 10, 100), 5);
  EXPECT_DOUBLE_EQ(exposed(m, 10, 2), 8);
}

TEST(Calibration, GivesAMachineFileThatReads) {
  Machine m = measure_machine(1);
  EXPECT_GT(m.matrix_f32, 1e8);
  EXPECT_GT(m.matrix_16bit, 1e7);
  EXPECT_GT(m.bandwidth, 1e8);
  const std::string text = print_fields([&](ConfigVisitor& v) { visit(v, m); });
  Machine again;
  read_fields_text(text, "printed", [&](ConfigVisitor& v) { visit(v, again); });
  EXPECT_EQ(again.matrix_f32, m.matrix_f32);
}

}  // namespace
}  // namespace baton
