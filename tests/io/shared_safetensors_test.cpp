#include "engine/io/shared_safetensors.h"

#include <gtest/gtest.h>

#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/io/safetensors.h"
#include "engine/ops/view.h"
#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;

Tensor random(Shape shape, uint64_t seed) {
  Tensor t = Tensor::empty(std::move(shape));
  random_normal({t.data<float>(), static_cast<size_t>(t.numel())}, seed, 0);
  return t;
}

TEST(SharedSafetensors, HasTheBytesOfOneWriter) {
  const Scratch scratch;
  const Tensor rows = random({5, 3}, 1), columns = random({4, 6}, 2), steps = Tensor::empty({1}, DType::i64);
  *steps.data<int64_t>() = 12;
  write_safetensors(scratch.path() / "one.safetensors", {{"rows", rows}, {"columns", columns}, {"steps", steps}});

  const std::vector<TensorEntry> entries{
      {"columns", DType::f32, {4, 6}}, {"rows", DType::f32, {5, 3}}, {"steps", DType::i64, {1}}};
  const Path path = scratch.path() / "shared.safetensors";
  SharedSafetensors first(path, entries, true), second(path, entries, false);
  second.write("rows", contiguous(narrow(rows, 0, 2, 3)), 0, 2);
  first.write("rows", contiguous(narrow(rows, 0, 0, 2)), 0, 0);
  first.write("columns", contiguous(narrow(columns, 1, 0, 3)), 1, 0);
  second.write("columns", contiguous(narrow(columns, 1, 3, 3)), 1, 3);
  first.write("steps", steps);
  first.flush();
  second.flush();
  EXPECT_EQ(read_file(path, 1 << 20), read_file(scratch.path() / "one.safetensors", 1 << 20));
}

TEST(SharedSafetensors, RefusesWhatIsNoPart) {
  const Scratch scratch;
  SharedSafetensors file(scratch.path() / "x.safetensors", {{"a", DType::f32, {2, 2}}}, true);
  EXPECT_THROW(file.write("b", random({2, 2}, 1)), InputError);
  EXPECT_THROW(file.write("a", random({4}, 1)), InputError);
  EXPECT_THROW(SharedSafetensors(scratch.path() / "x.safetensors", {}, true), RunError);  // it is there already
}

}  // namespace
}  // namespace baton
