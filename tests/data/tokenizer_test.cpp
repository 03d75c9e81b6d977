#include "engine/data/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/require.h"
#include "engine/io/json.h"
#include "tests/io/scratch.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

using test::Scratch;

const Path golden = test_dir() / "golden";

std::vector<int32_t> used(const Tokens& tokens) { return {tokens.ids.begin(), tokens.ids.begin() + tokens.used}; }

// Ids that transformers gave for difficult prompts (tools/golden/tokenizers_and_prompts.py).
TEST(Tokenizer, GivesTheIdsOfTransformers) {
  const auto t5 = open_tokenizer(golden / "t5_tokenizer"), clip = open_tokenizer(golden / "clip_tokenizer");
  const Json rows = read_json(golden / "prompts.json");
  ASSERT_GT(rows.size(), 30);
  for (const Json& row : rows) {
    EXPECT_EQ(used(t5->encode(row["cleaned"].get<std::string>(), 512)), row["t5_ids"].get<std::vector<int32_t>>())
        << row["cleaned"];
    EXPECT_EQ(used(clip->encode(row["prompt"].get<std::string>(), 512)), row["clip_ids"].get<std::vector<int32_t>>())
        << row["prompt"];
  }
}

TEST(Tokenizer, PadsAndSaysWhatIsCut) {
  const auto t5 = open_tokenizer(golden / "t5_tokenizer");
  const Tokens all = t5->encode("a red panda sits in the snow", 64);
  EXPECT_EQ(all.ids.size(), 64);
  EXPECT_EQ(all.ids[all.used - 1], 1);
  EXPECT_EQ(all.ids[all.used], 0);
  EXPECT_FALSE(all.cut);
  const Tokens cut = t5->encode("a red panda sits in the snow", 4);
  EXPECT_EQ(cut.used, 4);
  EXPECT_TRUE(cut.cut);
  EXPECT_EQ(cut.ids, (std::vector<int32_t>{all.ids[0], all.ids[1], all.ids[2], 1}));
  EXPECT_EQ(cut.cut_text, "panda sits in the snow");
  EXPECT_THROW(t5->encode("x", 0), InputError);
  EXPECT_THROW(t5->encode("\xff", 8), LogicError);

  const auto clip = open_tokenizer(golden / "clip_tokenizer");
  const Tokens short_one = clip->encode("a red panda", 4);
  EXPECT_EQ(short_one.ids, (std::vector<int32_t>{772, 320, 530, 773}));
  EXPECT_EQ(short_one.cut_text, "panda");
  EXPECT_EQ(clip->encode("a", 6).ids, (std::vector<int32_t>{772, 320, 773, 773, 773, 773}));
}

TEST(Tokenizer, AddedTokensAreNeverSplit) {
  const auto t5 = open_tokenizer(golden / "t5_tokenizer");
  EXPECT_EQ(used(t5->encode("a</s>b<pad>", 32)), (std::vector<int32_t>{6, 1, 67, 0, 1}));
  const auto clip = open_tokenizer(golden / "clip_tokenizer");
  EXPECT_EQ(used(clip->encode("a<|endoftext|>a", 32)), (std::vector<int32_t>{772, 320, 773, 320, 773}));
}

TEST(Tokenizer, LongWordsTakeLittleTime) {
  const auto t5 = open_tokenizer(golden / "t5_tokenizer"), clip = open_tokenizer(golden / "clip_tokenizer");
  EXPECT_TRUE(t5->encode(std::string(200'000, 'a'), 77).cut);
  EXPECT_TRUE(clip->encode(std::string(200'000, 'a'), 77).cut);
}

// tokenizer.json alone, as transformers 5 saves it.
constexpr const char* fast_unigram =
    R"({"added_tokens": [{"id": 5, "content": "<x>", "normalized": false}], "normalizer": null,
  "model": {"type": "Unigram", "unk_id": 2, "vocab": [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁", -2], ["a", -3], ["▁a", -1.5]]}})";

TEST(Tokenizer, ReadsTokenizerJson) {
  const Scratch scratch;
  scratch.put("tokenizer.json", fast_unigram);
  write_json(scratch / "tokenizer_config.json", {{"tokenizer_class", "T5TokenizerFast"}});
  const auto tokenizer = open_tokenizer(scratch.path());
  EXPECT_EQ(used(tokenizer->encode("a aa <x>b?c a", 32)), (std::vector<int32_t>{5, 5, 4, 5, 3, 2, 5, 1}));
  EXPECT_EQ(tokenizer->size(), 6);
}

// T5Tokenizer of transformers 4 gives <extra_id_N> both strips; the white space beside a token parts words anyway.
TEST(Tokenizer, ReadsTheFlagsOfAddedTokens) {
  const Scratch scratch;
  scratch.put("tokenizer.json", fast_unigram);
  write_json(scratch / "tokenizer_config.json",
             {{"tokenizer_class", "T5Tokenizer"},
              {"added_tokens_decoder",
               {{"6", {{"content", "<s>"}, {"lstrip", true}, {"rstrip", true}, {"special", true}}},
                {"7", {{"content", "cat"}, {"single_word", true}}}}}});
  const auto tokenizer = open_tokenizer(scratch.path());
  EXPECT_EQ(used(tokenizer->encode("a <s> a<s>a", 32)), (std::vector<int32_t>{5, 6, 5, 6, 5, 1}));
  EXPECT_EQ(used(tokenizer->encode("cat, cat", 32)), (std::vector<int32_t>{7, 3, 2, 7, 1}));
  EXPECT_THAT(used(tokenizer->encode("a_cat cats école_catcat écat", 32)), ::testing::Not(::testing::Contains(7)));
  EXPECT_EQ(tokenizer->size(), 8);
}

// Classes that say nothing, and folders without tokenizer_config.json: the files tell.
TEST(Tokenizer, TheFilesTellWhatNoClassDoes) {
  const std::vector<int32_t> expected{5, 5, 4, 1};
  for (const char* config : {R"({"tokenizer_class":"TokenizersBackend"})",
                             R"({"tokenizer_class":"PreTrainedTokenizerFast"})", R"({"tokenizer_class":null})", ""}) {
    const Scratch scratch;
    if (*config) scratch.put("tokenizer_config.json", config);
    scratch.put("tokenizer.json", fast_unigram);
    EXPECT_EQ(used(open_tokenizer(scratch.path())->encode("a aa", 8)), expected) << config;
  }
  const Scratch clip;
  for (const char* file : {"vocab.json", "merges.txt"})
    std::filesystem::copy(golden / "clip_tokenizer" / file, clip / file);
  EXPECT_EQ(used(open_tokenizer(clip.path())->encode("a", 8)), (std::vector<int32_t>{772, 320, 773}));
  const Scratch other;
  other.put("tokenizer.json", R"({"model":{"type":"WordPiece","vocab":{}}})");
  EXPECT_REFUSED(open_tokenizer(other.path()), "a tokenizer of type WordPiece");
  other.put("tokenizer.json", R"({"model":{"type":"BPE","end_of_word_suffix":null}})");
  EXPECT_REFUSED(open_tokenizer(other.path()), "a tokenizer of type BPE");
  EXPECT_REFUSED(open_tokenizer(Scratch().path().parent_path()), "no tokenizer: neither");
}

// Before transformers 4.34 tokens that a user had added stood in files of their own.
TEST(Tokenizer, ReadsAddedTokensOfOldFolders) {
  const Scratch scratch;
  std::filesystem::copy(golden / "t5_tokenizer/spiece.model", scratch / "spiece.model");
  scratch.put("tokenizer_config.json", R"({"tokenizer_class":"T5Tokenizer","extra_ids":0})");
  const int64_t before = open_tokenizer(scratch.path())->size();
  scratch.put("added_tokens.json", fmt::format(R"({{"<sks>": {}}})", before));
  const auto tokenizer = open_tokenizer(scratch.path());
  EXPECT_EQ(tokenizer->size(), before + 1);
  EXPECT_THAT(used(tokenizer->encode("a <sks>", 8)), ::testing::Contains(before));
}

TEST(Tokenizer, RefusesNormalizersThatChangeTheText) {
  const Scratch scratch;
  const auto with = [&](const char* normalizer) {
    std::string text = fast_unigram;
    text.replace(text.find("\"normalizer\": null"), 18, fmt::format("\"normalizer\": {}", normalizer));
    scratch.put("tokenizer.json", text);
    return open_tokenizer(scratch.path())->size();
  };
  EXPECT_EQ(with(R"({"type":"Sequence","normalizers":[{"type":"Strip"},
                 {"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"}]})"),
            6);
  EXPECT_REFUSED(with(R"({"type":"Lowercase"})"), "the normalizer Lowercase is not supported");
  EXPECT_REFUSED(with(R"({"type":"Replace","pattern":{"String":"a"},"content":"b"})"), "replaces characters");
}

TEST(Tokenizer, RefusesDamagedFiles) {
  const auto opened = [](const std::string& file, const std::string& bytes, const char* name) {
    const Scratch scratch;
    scratch.put("tokenizer_config.json", fmt::format(R"({{"tokenizer_class":"{}"}})", name));
    scratch.put(file, bytes);
    return test::error_of([&] { open_tokenizer(scratch.path()); });
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(opened("spiece.model", "\x0a\x7f", "T5Tokenizer"), HasSubstr("truncated"));
  EXPECT_THAT(opened("spiece.model", "", "T5Tokenizer"),
              HasSubstr("the special token '</s>' is not in the vocabulary"));
  EXPECT_THAT(opened("nothing", "", "T5Tokenizer"), HasSubstr("spiece.model is missing, and tokenizer.json too"));
  EXPECT_THAT(opened("nothing", "", "CLIPTokenizer"), HasSubstr("vocab.json or merges.txt is missing"));
  EXPECT_THAT(opened("nothing", "", "GPT2Tokenizer"), HasSubstr("'GPT2Tokenizer' is not supported"));
  EXPECT_THAT(opened("tokenizer.json", "{}", "T5Tokenizer"), HasSubstr("'model' is missing"));
  EXPECT_THAT(opened("tokenizer.json", R"({"model":{"type":"BPE"}})", "T5Tokenizer"), HasSubstr("not of type Unigram"));
  EXPECT_THAT(opened("tokenizer.json", R"({"model":{"type":"Unigram","vocab":[["a",1],["b"]]}})", "T5Tokenizer"),
              HasSubstr("not [text, number]"));
  EXPECT_THAT(opened("tokenizer.json", R"({"model":{"vocab":{"a":-1}}})", "CLIPTokenizer"),
              HasSubstr("a token id below"));
  EXPECT_THAT(opened("tokenizer.json", R"({"model":{"vocab":{"a":0},"merges":["a b"]}})", "CLIPTokenizer"),
              HasSubstr("'b' is not in the vocabulary"));
  EXPECT_THAT(opened("tokenizer.json", R"({"model":{"vocab":{"a":0},"merges":[]}})", "CLIPTokenizer"),
              HasSubstr("'<|startoftext|>' is not in"));
  EXPECT_THAT(test::error_of([] { open_tokenizer("/no/such/folder"); }), HasSubstr("no such folder"));
}

// No truncation or flipped byte of a model file may do worse than be refused or give other ids.
TEST(Tokenizer, SurvivesDamagedModelFiles) {
  const std::string whole = test::slurp(golden / "t5_tokenizer/spiece.model");
  const Scratch scratch;
  scratch.put("tokenizer_config.json", R"({"tokenizer_class":"T5Tokenizer","extra_ids":0})");
  int refused = 0;
  for (size_t i = 0; i < 160; ++i) {
    const size_t at = i < 80 ? i : whole.size() - 1 - (i - 80) * (whole.size() - 80) / 80;
    std::string damaged = whole;
    if (i % 2)
      damaged[at] = static_cast<char>(~damaged[at]);
    else
      damaged.resize(at);
    scratch.put("spiece.model", damaged);
    try {
      const auto tokenizer = open_tokenizer(scratch.path());
      for (const int32_t id : tokenizer->encode("a red panda é ﬁ 1２", 32).ids) EXPECT_LT(id, tokenizer->size());
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 60);
}

}  // namespace
}  // namespace baton
