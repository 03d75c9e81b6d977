#include "pipelines/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/comm/local.h"
#include "engine/config/train_config.h"
#include "engine/core/error.h"
#include "tests/io/scratch.h"

namespace baton {
namespace {

using testing::Contains;
using testing::Each;
using testing::Key;
using testing::Not;
using testing::Pair;

Terms terms_of(TrainConfig config) {
  constexpr std::string_view may_differ[] = {"data.folder"};
  return config_terms([&](ConfigVisitor& v) { visit(v, config); }, may_differ);
}

// What each rank is told; the last has other terms.
std::vector<std::string> told(const Terms& most, const Terms& last) {
  std::vector<std::string> messages(3);
  run_ranks(3, {}, [&](Group& ranks) {
    try {
      check_agreement("configs", ranks.rank() == 2 ? last : most, ranks);
    } catch (const InputError& error) {
      messages[ranks.rank()] = error.what();
    }
  });
  return messages;
}

TEST(Agreement, EveryKeyOfAConfigIsATermButThoseThatMayDiffer) {
  TrainConfig config;
  config.optimizer.adamw.lr = 0.5;
  const Terms terms = terms_of(config);
  EXPECT_THAT(terms, Contains(Pair("optimizer.adamw.lr", "0.5")));
  EXPECT_THAT(terms, Contains(Pair("data.size", "128")));
  EXPECT_THAT(terms, Contains(Pair("kind", "denoiser")));
  EXPECT_THAT(terms, Not(Contains(Key("data.folder"))));
  EXPECT_THAT(terms, Not(Contains(Key("optimizer"))));
}

TEST(Agreement, RanksThatAgreeGoOn) {
  TrainConfig here, there;
  there.data.folder = "elsewhere";
  EXPECT_THAT(told(terms_of(here), terms_of(there)), Each(""));
  EXPECT_THAT(told({}, {}), Each(""));
}

TEST(Agreement, AllRanksAreToldTheFirstKeyThatDiffers) {
  TrainConfig here, there;
  there.seed = 7;
  there.steps = 1;
  EXPECT_THAT(told(terms_of(here), terms_of(there)), Each("ranks 0 and 2 have different configs: seed is 0 and 7"));
  there = here;
  there.checkpoint.folder = "a\nb: \"c\"";
  EXPECT_THAT(told(terms_of(here), terms_of(there)),
              Each(R"(ranks 0 and 2 have different configs: checkpoint.folder is "" and "a\x0ab: \"c\"")"));
  there = here;
  there.kind = TrainKind::vae;
  EXPECT_THAT(told(terms_of(here), terms_of(there)),
              Each("ranks 0 and 2 have different configs: kind is denoiser and vae"));
  EXPECT_THAT(told({{"a", "1"}}, {{"a", "1"}, {"b", "2"}}), Each(testing::HasSubstr("other keys")));
  EXPECT_THAT(told({{"a", "1"}}, {{"b", "1"}}), Each(testing::HasSubstr("other keys")));
}

TEST(Agreement, AFolderIsNamedByWhatAModelReadsFromIt) {
  const test::Scratch a, b;
  for (const test::Scratch* folder : {&a, &b}) {
    write_file(*folder / "config.json", "{}");
    write_file(*folder / "model.safetensors", "weights");
  }
  write_file(b / "README.md", "of no account");
  EXPECT_EQ(hash_folder(a.path()), hash_folder(b.path()));
  write_file(b / "model.safetensors", "wEights");
  EXPECT_NE(hash_folder(a.path()), hash_folder(b.path()));
}

}  // namespace
}  // namespace baton
