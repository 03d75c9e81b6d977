#include "engine/io/tensor_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;

NamedTensors five_kilobytes_each(int count) {
  NamedTensors tensors;
  for (int i = 0; i < count; ++i)
    tensors.emplace_back(fmt::format("blocks.{}.weight", i), Tensor::full({10, 128}, static_cast<float>(i)));
  return tensors;
}

TEST(TensorStore, ReadsOneFile) {
  for (const char* name : {"model.safetensors", "diffusion_pytorch_model.safetensors"}) {
    const Scratch scratch;
    write_safetensors(scratch / name, five_kilobytes_each(3));
    TensorStore store(scratch.path());
    EXPECT_EQ(store.get("blocks.1.weight", {10, 128}).to_vector()[7], 1);
    EXPECT_EQ(store.unused(), (std::vector<std::string>{"blocks.0.weight", "blocks.2.weight"}));
    EXPECT_REFUSED(store.get("blocks.2.weight", {128, 10}),
                   "'blocks.2.weight' has shape [10, 128], the model's config needs [128, 10]");
    EXPECT_REFUSED(store.get("blocks.3.weight"), "has no tensor 'blocks.3.weight'");
    EXPECT_EQ(store.entry("blocks.0.weight").dtype, "F32");
    EXPECT_EQ(TensorStore(scratch / name).names().size(), 3);
  }
}

TEST(TensorStore, ShardsKeepToTheLimitAndReadBack) {
  const Scratch scratch;
  const int64_t limit = 12'000;
  write_safetensors(scratch / "diffusion_pytorch_model.safetensors", five_kilobytes_each(5), {}, limit);
  for (const char* name :
       {"diffusion_pytorch_model-00001-of-00003.safetensors", "diffusion_pytorch_model-00002-of-00003.safetensors",
        "diffusion_pytorch_model-00003-of-00003.safetensors"}) {
    ASSERT_TRUE(std::filesystem::exists(scratch / name)) << name;
    EXPECT_LE(std::filesystem::file_size(scratch / name), limit);
  }
  EXPECT_EQ(scratch.entries(), 4);
  TensorStore store(scratch.path());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(store.get(fmt::format("blocks.{}.weight", i), {10, 128}).to_vector()[3], i);
  EXPECT_TRUE(store.unused().empty());
  store.release_pages();
}

TEST(TensorStore, RefusesPathsThatLeaveTheFolder) {
  const Scratch scratch;
  write_safetensors(scratch / "x.safetensors", five_kilobytes_each(1));
  for (const char* shard : {"../x.safetensors", "/etc/passwd", "a/x.safetensors", "..", ".x.safetensors", "", "x.bin",
                            "a\\\\x.safetensors"}) {
    scratch.put("model.safetensors.index.json", fmt::format(R"({{"weight_map":{{"blocks.0.weight":"{}"}}}})", shard));
    EXPECT_REFUSED(TensorStore(scratch.path()), "is not the plain name of a .safetensors file") << shard;
  }
  scratch.put("model.safetensors.index.json",
              R"({"metadata":{"total_size":5120},"weight_map":{"blocks.0.weight":"x.safetensors"}})");
  EXPECT_NO_THROW(TensorStore{scratch.path()});
}

TEST(TensorStore, RefusesIndexesThatLie) {
  const Scratch scratch;
  write_safetensors(scratch / "x.safetensors", five_kilobytes_each(1));
  write_safetensors(scratch / "y.safetensors", five_kilobytes_each(1));
  const auto with = [&](const char* map) {
    return TensorStore(scratch.put("model.safetensors.index.json", map).parent_path());
  };
  EXPECT_REFUSED(with(R"({"weight_map":{}})"), "the weight_map is empty");
  EXPECT_REFUSED(with(R"({"weight_map":{"a":3}})"), "weight_map.a: expected a text");
  EXPECT_REFUSED(with(R"({"weight_map":{"a":"z.safetensors"}})"), "z.safetensors is missing");
  EXPECT_REFUSED(with(R"({"weight_map":{"a":"x.safetensors"}})"), "'a' is not in x.safetensors");
  EXPECT_REFUSED(with(R"({"weight_map":{"blocks.0.weight":"x.safetensors","b":"y.safetensors"}})"),
                 "is in another shard too");
  EXPECT_REFUSED(with(R"({})"), "weight_map: missing");
}

TEST(TensorStore, SaysWhatIsMissing) {
  const Scratch scratch;
  EXPECT_REFUSED(TensorStore(scratch.path()), "no weights");
  EXPECT_REFUSED(TensorStore(scratch / "gone"), "No such file");
  scratch.put("pytorch_model.bin", "x");
  EXPECT_REFUSED(TensorStore(scratch.path()), "pickle, which is never read");
  write_safetensors(scratch / "model.safetensors", five_kilobytes_each(1));
  EXPECT_NO_THROW(TensorStore{scratch.path()});
  scratch.put("model.safetensors.index.json", "{}");
  EXPECT_REFUSED(TensorStore(scratch.path()), "both model.safetensors and model.safetensors.index.json");
}

}  // namespace
}  // namespace baton
