#include "engine/io/tensor_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/io/stored_parameters.h"
#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;
using ::testing::HasSubstr;

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
  scratch.put("diffusion_pytorch_model.safetensors.index.json", "{}");
  EXPECT_REFUSED(TensorStore(scratch.path()),
                 "both diffusion_pytorch_model.safetensors.index.json and model.safetensors are there");
}

// As save_pretrained(variant="fp16") of diffusers and transformers names files.
TEST(TensorStore, ReadsTheOnlyVariantThatIsThere) {
  for (const char* name : {"model.fp16.safetensors", "diffusion_pytorch_model.bf16.safetensors"}) {
    const Scratch scratch;
    write_safetensors(scratch / name, five_kilobytes_each(2));
    const std::string warned =
        test::warnings_of([&] { EXPECT_EQ(TensorStore(scratch.path()).names().size(), 2) << name; });
    EXPECT_THAT(warned, HasSubstr(fmt::format("{} is read, there is no other", name)));
  }
  for (const char* index :
       {"diffusion_pytorch_model.safetensors.index.fp16.json", "diffusion_pytorch_model.fp16.safetensors.index.json"}) {
    const Scratch scratch;
    write_safetensors(scratch / "diffusion_pytorch_model.fp16-00001-of-00001.safetensors", five_kilobytes_each(1));
    scratch.put(index,
                R"({"weight_map":{"blocks.0.weight":"diffusion_pytorch_model.fp16-00001-of-00001.safetensors"}})");
    EXPECT_EQ(TensorStore(scratch.path()).names().size(), 1) << index;
  }
  const Scratch scratch;
  write_safetensors(scratch / "model.fp16.safetensors", five_kilobytes_each(1));
  write_safetensors(scratch / "model.bf16.safetensors", five_kilobytes_each(1));
  EXPECT_REFUSED(TensorStore(scratch.path()), "weights in several variants (bf16, fp16)");
  write_safetensors(scratch / "model.safetensors", five_kilobytes_each(3));
  EXPECT_EQ(TensorStore(scratch.path()).names().size(), 3) << "no variant is asked for";
}

// diffusers takes the index where there is a single file too, transformers the file.
TEST(TensorStore, OneFileBesideAnIndex) {
  for (const auto& [stem, expected] : {std::pair{"diffusion_pytorch_model", 3}, std::pair{"model", 1}}) {
    const Scratch scratch;
    const std::string name = std::string(stem) + ".safetensors";
    write_safetensors(scratch / name, five_kilobytes_each(3), {}, 6'000);
    write_safetensors(scratch / name, five_kilobytes_each(1));
    const std::string warned =
        test::warnings_of([&] { EXPECT_EQ(TensorStore(scratch.path()).names().size(), expected); });
    EXPECT_THAT(warned, HasSubstr("the other weights there are not"));
  }
}

TEST(StoredParameters, CastWhatNothingComputesIn) {
  const Scratch scratch;
  Tensor wide = Tensor::empty({2, 2}, DType::f64), small = Tensor::empty({1}, DType::u8);
  for (int i = 0; i < 4; ++i) wide.data<double>()[i] = 1.0 / 3 * i;
  small.data<uint8_t>()[0] = 1;
  write_safetensors(scratch / "model.safetensors", {{"wide", wide}, {"small", small}});
  TensorStore store(scratch.path());
  StoredParameters parameters(store);
  const Tensor read = parameters.provide("wide", {2, 2}, {});
  EXPECT_EQ(read.dtype(), DType::f32);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(read.data<float>()[i], static_cast<float>(1.0 / 3 * i));
  EXPECT_REFUSED(parameters.provide("small", {1}, {}), "small is u8, expected f32, bf16, f16 or f64");
}

TEST(StoredParameters, WarnsOfTensorsThatAreLeftAndRefusesScales) {
  const Scratch scratch;
  const auto finished = [&](const std::vector<std::string>& left) {
    NamedTensors tensors{{"weight", Tensor::full({2}, 1)}};
    for (const std::string& name : left) tensors.emplace_back(name, Tensor::full({1}, 0));
    write_safetensors(scratch / "model.safetensors", tensors);
    TensorStore store(scratch.path());
    StoredParameters parameters(store);
    parameters.provide("weight", {2}, {});
    parameters.finish();
  };
  EXPECT_EQ(test::warnings_of([&] { finished({}); }), "");
  EXPECT_EQ(test::warnings_of([&] { finished({"embeddings.position_ids", "encoder.embed_tokens.weight"}); }), "");
  EXPECT_THAT(test::warnings_of([&] { finished({"lm_head.weight"}); }),
              HasSubstr("1 tensor has no place in this model and is not used: lm_head.weight\n"));
  EXPECT_THAT(test::warnings_of([&] {
                finished({"decoder.a", "decoder.b", "decoder.c", "decoder.d", "ema.decay"});
              }),
              HasSubstr("5 tensors have no place in this model and are not used: decoder.a, decoder.b, decoder.c, "
                        "decoder.d, …\n"));
  for (const char* scale : {"weight.absmax", "blocks.0.to_q.scale_weight", "scaled_fp8"})
    EXPECT_REFUSED(finished({scale}), fmt::format("'{}' says that weights are quantized", scale));
}

}  // namespace
}  // namespace baton
