#include "engine/io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;

std::string with_header(const std::string& header, const std::string& data = "") {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

SafetensorsHeader parse(const std::string& header, size_t data_bytes = 0) {
  return parse_safetensors_header(with_header(header, std::string(data_bytes, 'x')), "t");
}

TEST(SafetensorsHeader, ReadsWhatTheFormatAllows) {
  const auto header = parse(
      R"({"__metadata__":{"format":"pt","note":"ü"},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[2,26]},)"
      R"("a":{"data_offsets":[0,2],"shape":[],"dtype":"BF16"},"none":{"dtype":"I64","shape":[0,7],"data_offsets":[2,2]},)"
      R"("q":{"dtype":"F4","shape":[2,3],"data_offsets":[26,29]}}    )",
      29);
  EXPECT_EQ(header.metadata.at("note"), "ü");
  EXPECT_EQ(header.tensors.size(), 4);
  EXPECT_EQ(header.tensors.at("b").shape, (Shape{2, 3}));
  EXPECT_EQ(header.tensors.at("b").begin, 2);
  EXPECT_EQ(header.tensors.at("a").shape, Shape{});
  EXPECT_TRUE(parse("{}").tensors.empty());
}

TEST(SafetensorsHeader, RefusesBadStructure) {
  const auto entry = [](const std::string& fields) { return R"({"a":{)" + fields + "}}"; };
  const std::pair<std::string, const char*> bad[] = {
      {"", "does not start with"},
      {" {}", "does not start with"},
      {"[]", "does not start with"},
      {"{", "not valid JSON"},
      {"{} x", "not valid JSON"},
      {std::string("{}\0{}", 5), "NUL"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       "twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "twice"},
      {R"({"__metadata__":{"a":"b","a":"c"}})", "twice"},
      {R"({"__metadata__":{"a":1}})", "a number where a text belongs"},
      {R"({"__metadata__":{"a":{}}})", "an object where a text belongs"},
      {R"({"__metadata__":[]})", "a list where"},
      {R"({"a\u0000b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "NUL"},
      {"{\"\xff\":{}}", "not valid JSON"},
      {R"({"a":3})", "a number where"},
      {R"({"a":null})", "null where"},
      {R"({"a":true})", "true or false where"},
      {R"({"a":"F32"})", "a text where"},
      {entry(R"("dtype":"F32","shape":[1])"), "needs dtype, shape and data_offsets"},
      {entry(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"extra":1)"), "unknown field 'extra'"},
      {entry(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"), "twice"},
      {entry(R"("dtype":4,"shape":[1],"data_offsets":[0,4])"), "a number where a text belongs"},
      {entry(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), "a number where a list"},
      {entry(R"("dtype":"F32","shape":"1","data_offsets":[0,4])"), "a text where a list"},
      {entry(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])"), "a list where a whole number"},
      {entry(R"("dtype":"F32","shape":[{}],"data_offsets":[0,4])"), "an object where a whole number"},
      {entry(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), "negative"},
      {entry(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), "1.0 where a whole number belongs"},
      {entry(R"("dtype":"F32","shape":["1"],"data_offsets":[0,4])"), "a text where a whole number"},
      {entry(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), "needs two numbers"},
      {entry(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])"), "more than two numbers"},
      {entry(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), "end before they begin"},
      {entry(R"("dtype":"F31","shape":[1],"data_offsets":[0,4])"), "unknown dtype 'F31'"},
      {entry(R"("dtype":"F64","shape":[1],"data_offsets":[0,4])"), "needs 8 bytes, data_offsets give 4"},
      {entry(R"("dtype":"F4","shape":[1],"data_offsets":[0,1])"), "does not fill whole bytes"},
      {entry(R"("dtype":"F32","shape":[2305843009213693952,8],"data_offsets":[0,0])"), "too large"},
      {entry(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])"), "too large"},
      {entry(R"("dtype":"F32","shape":[0,2147483648,2147483648],"data_offsets":[0,0])"), "too large"},
      {entry(R"("dtype":"U8","shape":[4611686018427387904,0,2],"data_offsets":[0,0])"), "too large"},
      {entry(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4])"), "out of range"},
      {entry(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4])"), "where a whole number belongs"},
  };
  for (const auto& [header, part] : bad) EXPECT_REFUSED(parse(header, 4), part) << header;
  std::string dimensions = "1";
  for (int i = 0; i < 64; ++i) dimensions += ",1";
  EXPECT_REFUSED(parse(entry(R"("dtype":"F32","shape":[)" + dimensions + R"(],"data_offsets":[0,4])"), 4),
                 "more than 64 dimensions");
}

TEST(SafetensorsHeader, RefusesHolesOverlapsAndTails) {
  const auto two = [](int a0, int a1, int b0, int b1) {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}},)"
                       R"("b":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}}}})",
                       a1 - a0, a0, a1, b1 - b0, b0, b1);
  };
  EXPECT_EQ(parse(two(4, 8, 0, 4), 8).tensors.size(), 2);  // the order in the header is free
  EXPECT_REFUSED(parse(two(0, 4, 3, 8), 8), "overlap");
  EXPECT_REFUSED(parse(two(0, 4, 0, 4), 8), "overlap");
  EXPECT_REFUSED(parse(two(0, 4, 5, 8), 8), "hole");
  EXPECT_REFUSED(parse(two(1, 4, 4, 8), 8), "hole");
  EXPECT_REFUSED(parse(two(0, 4, 4, 8), 9), "1 bytes after the last tensor");
  EXPECT_REFUSED(parse(two(0, 4, 4, 8), 7), "truncated");
  EXPECT_REFUSED(parse("{}", 1), "1 bytes after the last tensor");
}

TEST(SafetensorsHeader, RefusesLyingLengths) {
  const auto lie = [](uint64_t length) {
    std::string file = with_header("{}");
    std::memcpy(file.data(), &length, 8);
    return parse_safetensors_header(file, "t");
  };
  EXPECT_NO_THROW(lie(2));
  EXPECT_REFUSED(lie(0), "does not start with");
  EXPECT_REFUSED(lie(3), "truncated");
  EXPECT_REFUSED(lie(100'000'001), "not a safetensors file");
  EXPECT_REFUSED(lie(UINT64_MAX), "not a safetensors file");
  EXPECT_REFUSED(lie(UINT64_MAX - 7), "not a safetensors file");
  EXPECT_REFUSED(parse_safetensors_header("1234567", "t"), "too few");
}

// The same region claimed by very many tensors must be refused while the header is read, not after gigabytes were
// gathered.
TEST(SafetensorsHeader, RefusesManyOverlappingTensors) {
  std::string header = "{";
  for (int i = 0; i < 100'000; ++i)
    header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[200,200],"data_offsets":[0,160000]}})", i ? "," : "", i);
  EXPECT_REFUSED(parse(header + "}", 160'000), "'1': tensors overlap");
}

NamedTensors some_tensors() {
  const float values[] = {1, -2, 3.5f, 0, 5, 6};
  const int32_t ids[] = {7, -8, 9};
  Tensor odd = Tensor::zeros({3}, DType::u8);
  std::memcpy(odd.raw(), "abc", 3);
  return {{"z.weight", Tensor::from(values, {2, 3})},
          {"bytes", odd},
          {"a.ids", Tensor::from_ids(ids, {3})},
          {"scalar", Tensor::full({}, 4)},
          {"none", Tensor::zeros({0, 5})}};
}

TEST(Safetensors, WritesWhatItReads) {
  const Scratch scratch;
  write_safetensors(scratch / "a.safetensors", some_tensors(), {{"who", "test"}});
  const SafetensorsFile file(scratch / "a.safetensors");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"a.ids", "bytes", "none", "scalar", "z.weight"}));
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"who", "test"}}));
  EXPECT_EQ(file.tensor("z.weight").to_vector(), (std::vector<float>{1, -2, 3.5f, 0, 5, 6}));
  EXPECT_EQ(file.tensor("a.ids").data<int32_t>()[1], -8);
  EXPECT_EQ(file.tensor("scalar").item(), 4);
  EXPECT_EQ(file.tensor("none").shape(), (Shape{0, 5}));
  EXPECT_EQ(std::memcmp(file.tensor("bytes").raw(), "abc", 3), 0);
  EXPECT_TRUE(file.contains("scalar"));
  EXPECT_FALSE(file.contains("scalars"));
  EXPECT_REFUSED(file.tensor("z.wieght"), "has no tensor 'z.wieght', did you mean 'z.weight'?");
}

TEST(Safetensors, SameTensorsGiveTheSameBytes) {
  const Scratch scratch;
  NamedTensors tensors = some_tensors();
  write_safetensors(scratch / "a.safetensors", tensors);
  std::reverse(tensors.begin(), tensors.end());
  write_safetensors(scratch / "b.safetensors", tensors);
  EXPECT_EQ(test::slurp(scratch / "a.safetensors"), test::slurp(scratch / "b.safetensors"));
  EXPECT_EQ(scratch.entries(), 2);
}

TEST(Safetensors, TensorsOutliveTheFileAndTheirPages) {
  const Scratch scratch;
  write_safetensors(scratch / "a.safetensors", some_tensors());
  Tensor weight;
  {
    const SafetensorsFile file(scratch / "a.safetensors");
    weight = file.tensor("z.weight");
    file.release_pages();
  }
  std::filesystem::remove(scratch / "a.safetensors");
  EXPECT_EQ(weight.to_vector()[2], 3.5f);
}

TEST(Safetensors, ReadsUnpaddedHeaders) {
  const Scratch scratch;
  for (int spaces = 0; spaces < 8; ++spaces) {
    const float value = 2.5f;
    const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})" + std::string(spaces, ' ');
    const Path path =
        scratch.put("a.safetensors", with_header(header, std::string(reinterpret_cast<const char*>(&value), 4)));
    EXPECT_EQ(SafetensorsFile(path).tensor("a").item(), 2.5f);
  }
}

TEST(Safetensors, RefusesUnsupportedTensorsOnlyWhenAsked) {
  const Scratch scratch;
  const Path path = scratch.put(
      "a.safetensors", with_header(R"({"half":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]},)"
                                   R"("deep":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,4],"data_offsets":[4,8]},)"
                                   R"("fine":{"dtype":"U8","shape":[4],"data_offsets":[8,12]}})",
                                   "abcdefghijkl"));
  const SafetensorsFile file(path);
  EXPECT_EQ(std::memcmp(file.tensor("fine").raw(), "ijkl", 4), 0);
  EXPECT_REFUSED(file.tensor("half"), "'half' is of dtype F8_E4M3, which is not supported");
  EXPECT_REFUSED(file.tensor("deep"), "'deep' has 10 dimensions");
}

TEST(Safetensors, RefusesEveryTruncation) {
  const Scratch scratch;
  write_safetensors(scratch / "whole.safetensors", some_tensors());
  const std::string whole = test::slurp(scratch / "whole.safetensors");
  for (size_t size = 0; size < whole.size(); ++size) {
    const Path path = scratch.put("cut.safetensors", whole.substr(0, size));
    EXPECT_THROW(SafetensorsFile{path}, InputError) << size << " of " << whole.size() << " bytes";
  }
  EXPECT_NO_THROW(SafetensorsFile{scratch.put("cut.safetensors", whole)});
}

// A flipped bit in the header is refused or changes a name or metadata text; it never moves a tensor out of the file.
TEST(Safetensors, SurvivesEveryFlippedHeaderBit) {
  const Scratch scratch;
  write_safetensors(scratch / "whole.safetensors", some_tensors());
  const std::string whole = test::slurp(scratch / "whole.safetensors");
  const auto header = parse_safetensors_header(whole, "t");
  int refused = 0;
  for (int64_t bit = 0; bit < header.data * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] ^= 1 << (bit % 8);
    try {
      for (const auto& [name, entry] : parse_safetensors_header(flipped, "t").tensors)
        EXPECT_LE(entry.end, static_cast<int64_t>(whole.size()) - header.data);
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, header.data * 4);  // most of them
}

TEST(Safetensors, RefusesWhatIsNoFile) {
  const Scratch scratch;
  EXPECT_REFUSED(SafetensorsFile(scratch / "none.safetensors"), "No such file");
  EXPECT_REFUSED(SafetensorsFile(scratch.path()), "not a regular file");
  EXPECT_REFUSED(SafetensorsFile(scratch.put("a", "")), "the file is empty");
}

TEST(Safetensors, WriterRefusesBadNames) {
  const Scratch scratch;
  const Tensor t = Tensor::zeros({1});
  const auto write = [&](const NamedTensors& tensors) { write_safetensors(scratch / "a.safetensors", tensors); };
  EXPECT_REFUSED(write({{"a", t}, {"a", t}}), "twice or not allowed");
  EXPECT_REFUSED(write({{"__metadata__", t}}), "twice or not allowed");
  EXPECT_REFUSED(write({{"\xff", t}}), "not UTF-8");
  EXPECT_REFUSED(write({{"a", Tensor()}}), "undefined");
  EXPECT_REFUSED(write({{"a", Tensor::zeros({2, 2}).alias({2, 2}, {1, 2})}}), "not contiguous");
  EXPECT_REFUSED(write_safetensors(scratch / "a.bin", {{"a", t}}), "must end in .safetensors");
  EXPECT_EQ(scratch.entries(), 0);
}

}  // namespace
}  // namespace baton
