#include "engine/io/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::error_of;
using test::Scratch;
using test::slurp;
using ::testing::HasSubstr;

void write_model(const Path& target, const std::string& weights) {
  AtomicDirectory folder(target);
  std::filesystem::create_directories(folder.path() / "transformer");
  write_file(folder.path() / "model_index.json", "{}");
  write_file(folder.path() / "transformer/weights", weights);
  folder.commit();
}

TEST(Directory, AppearsWholeWithItsManifest) {
  const Scratch scratch;
  {
    AtomicDirectory folder(scratch / "model");
    write_file(folder.path() / "a", "x");
    EXPECT_FALSE(std::filesystem::exists(scratch / "model"));
  }
  EXPECT_EQ(scratch.entries(), 0);  // no commit: nothing stays
  write_model(scratch / "model/", "one");
  EXPECT_EQ(scratch.entries(), 1);
  EXPECT_EQ(slurp(scratch / "model/transformer/weights"), "one");
  EXPECT_NO_THROW(check_manifest(scratch / "model"));
}

TEST(Directory, ReplacesOnlyWhatItMayReplace) {
  const Scratch scratch;
  write_model(scratch / "model", "one");
  write_model(scratch / "model", "two");
  EXPECT_EQ(slurp(scratch / "model/transformer/weights"), "two");
  EXPECT_EQ(scratch.entries(), 1);
  EXPECT_NO_THROW(check_manifest(scratch / "model"));

  std::filesystem::create_directory(scratch / "pictures");
  write_model(scratch / "pictures", "x");  // it was empty
  std::filesystem::create_directory(scratch / "holiday");
  scratch.put("holiday/beach.png", "mine");
  EXPECT_REFUSED(write_model(scratch / "holiday", "x"), "holds files that were not written by baton");
  EXPECT_EQ(slurp(scratch / "holiday/beach.png"), "mine");
  scratch.put("file", "x");
  EXPECT_REFUSED(write_model(scratch / "file", "x"), "exists and is not a folder");
}

TEST(Directory, WhatStandsUnderThePartialNameIsNotTouched) {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "precious");
  scratch.put("precious/file", "x");
  std::filesystem::create_directory_symlink("precious", scratch / ".model.partial");
  write_model(scratch / "model", "one");
  scratch.put(".model.partial", "a file");
  write_model(scratch / "model", "two");
  EXPECT_FALSE(std::filesystem::is_symlink(scratch / "model"));
  EXPECT_EQ(slurp(scratch / "model/transformer/weights"), "two");
  EXPECT_EQ(slurp(scratch / "precious/file"), "x");
  EXPECT_EQ(scratch.entries(), 2);
}

TEST(Directory, TakesOverWhatAKilledWriterLeft) {
  const Scratch scratch;
  std::filesystem::create_directories(scratch / ".model.partial/transformer/deep");
  scratch.put(".model.partial/transformer/left", "old");
  write_model(scratch / "model", "new");
  EXPECT_EQ(scratch.entries(), 1);
  EXPECT_FALSE(std::filesystem::exists(scratch / "model/transformer/left"));
  const AtomicDirectory first(scratch / "other");
  EXPECT_THAT(error_of<RunError>([&] { AtomicDirectory second(scratch / "other"); }),
              HasSubstr("another process is writing it"));
}

TEST(Directory, FilesOfOthersDoNoHarm) {
  const Scratch scratch;
  write_model(scratch / "model", "weights");
  for (const char* name : {".DS_Store", "Thumbs.db", ".nfs0000000000a1", "transformer/._weights", "transformer/notes~"})
    scratch.put(std::string("model/") + name, "x");
  std::filesystem::create_directory(scratch / "model/@eaDir");
  EXPECT_NO_THROW(check_manifest(scratch / "model"));
}

TEST(Directory, ManifestFindsDamage) {
  const Scratch scratch;
  const auto damaged = [&](auto&& damage) {
    write_model(scratch / "model", "weights");
    damage();
    return error_of([&] { check_manifest(scratch / "model"); });
  };
  EXPECT_THAT(damaged([&] { scratch.put("model/transformer/weights", "weightz"); }), HasSubstr("not the content"));
  EXPECT_THAT(damaged([&] { scratch.put("model/transformer/weights", "weight"); }),
              HasSubstr("6 bytes, its manifest says 7"));
  EXPECT_THAT(damaged([&] { std::filesystem::remove(scratch / "model/model_index.json"); }),
              HasSubstr("missing, but listed"));
  EXPECT_THAT(damaged([&] { std::filesystem::remove(scratch / "model/manifest.json"); }), HasSubstr("No such file"));
  std::filesystem::remove_all(scratch / "model");
  for (const char* name : {"../a", "/etc/passwd", "transformer/../../a"})
    EXPECT_THAT(damaged([&] {
                  scratch.put("model/manifest.json",
                              fmt::format(R"({{"files":{{"{}":{{"bytes":1,"xxh3_128":"x"}}}}}})", name));
                }),
                HasSubstr("leads out of the folder"));
}

}  // namespace
}  // namespace baton
