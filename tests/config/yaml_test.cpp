#include "engine/config/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <ctime>

#include "engine/core/error.h"

namespace baton {
namespace {

using testing::HasSubstr;

enum class Colour { red, green };

struct Inner {
  double rate = 0.5;
  float eps = 1e-6f;
};

struct Sample {
  bool on = false;
  int64_t steps = 7;
  std::string name = "a";
  Colour colour = Colour::red;
  std::vector<bool> flags{true, false};
  std::vector<int64_t> sizes{1, 2};
  std::vector<double> levels;
  std::array<int64_t, 3> patch{1, 2, 2};
  Inner inner;
};

void visit(ConfigVisitor& v, Inner& c) {
  v("rate", c.rate, "share", {0, 1});
  v("eps", c.eps, "small", {0, 1});
}

void visit(ConfigVisitor& v, Sample& c) {
  v("on", c.on, "switch");
  v("steps", c.steps, "how many", {1, 100});
  v("name", c.name, "what");
  v.choice("colour", c.colour, {"red", "green"}, "which");
  v("flags", c.flags, "flags");
  v("sizes", c.sizes, "sizes", {0, 10});
  v("levels", c.levels, "levels", {0, 1});
  v("patch", c.patch, "patch", {1, 4});
  v.section("inner", "more", [&] { visit(v, c.inner); });
}

Sample read(const std::string& yaml, std::vector<std::string> overrides = {}) {
  Sample sample;
  if (overrides.empty()) {
    read_fields_text(yaml, "f.yaml", [&](ConfigVisitor& v) { visit(v, sample); });
  } else {
    const Path file = testing::TempDir() + "/overridden.yaml";
    write_file(file, yaml);
    read_fields(file, overrides, [&](ConfigVisitor& v) { visit(v, sample); });
  }
  return sample;
}

std::string error_of(const std::string& yaml, std::vector<std::string> overrides = {}) {
  try {
    read(yaml, std::move(overrides));
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Yaml, ReadsEveryType) {
  const Sample s = read(
      "# comment\non: true\nsteps: 1e1\nname: 'a: b'\ncolour: green\nflags: [false]\nsizes:\n  - 3\n  - 4\nlevels: "
      "[.5, "
      "1e-3]\npatch: [1, 1, 1]\ninner: {rate: 1, eps: 1e-5}\n");
  EXPECT_TRUE(s.on);
  EXPECT_EQ(s.steps, 10);
  EXPECT_EQ(s.name, "a: b");
  EXPECT_EQ(s.colour, Colour::green);
  EXPECT_EQ(s.flags, std::vector<bool>{false});
  EXPECT_EQ(s.sizes, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(s.levels, (std::vector<double>{0.5, 1e-3}));
  EXPECT_EQ(s.patch, (std::array<int64_t, 3>{1, 1, 1}));
  EXPECT_EQ(s.inner.rate, 1);
  EXPECT_EQ(s.inner.eps, 1e-5f);
}

TEST(Yaml, KeepsDefaults) {
  for (const char* yaml : {"", "---\n", "inner:\n", "inner: {}\n"}) {
    const Sample s = read(yaml);
    EXPECT_EQ(s.steps, 7);
    EXPECT_EQ(s.inner.rate, 0.5);
  }
}

TEST(Yaml, PrintsWhatReadsBack) {
  Sample s = read("name: \"quo\\\"te\\\\ \\n # é\"\nlevels: [0.1, 0.30000000000000004]\ninner: {eps: 3e-7}");
  const std::string printed = print_fields([&](ConfigVisitor& v) { visit(v, s); });
  Sample back = read(printed);
  EXPECT_EQ(back.name, s.name);
  EXPECT_EQ(back.levels, s.levels);
  EXPECT_EQ(back.inner.eps, s.inner.eps);
  EXPECT_EQ(print_fields([&](ConfigVisitor& v) { visit(v, back); }), printed);
  EXPECT_THAT(printed, HasSubstr("  eps: 3e-07"));
  EXPECT_THAT(printed, HasSubstr("# red | green: which"));
}

TEST(Yaml, OverridesBeatTheFile) {
  const Sample s = read("steps: 5\ninner: {rate: 0.1}\nsizes: [1]",
                        {"steps=6", "inner.rate=0.2", "inner.eps=1e-3", "sizes=[7, 8]", "name=", "steps=8"});
  EXPECT_EQ(s.steps, 8);
  EXPECT_EQ(s.inner.rate, 0.2);
  EXPECT_EQ(s.inner.eps, 1e-3f);
  EXPECT_EQ(s.sizes, (std::vector<int64_t>{7, 8}));
  EXPECT_EQ(s.name, "");
}

TEST(Yaml, OverridesThrowNothingAway) {
  EXPECT_THAT(error_of("- steps: 4", {"steps=5"}), HasSubstr("overridden.yaml:1: a list, expected keys and values"));
  EXPECT_THAT(error_of("nonsense", {"--steps=5"}),
              HasSubstr("overridden.yaml:1: 'nonsense', expected keys and values"));
  EXPECT_THAT(
      error_of("on: true\ninner: nonsense", {"inner.rate=1"}),
      HasSubstr("overridden.yaml:2: inner is 'nonsense', expected keys and values, of which --set inner.rate=1"));
  EXPECT_THAT(error_of("inner: {rate: [1]}", {"inner.rate.x=1"}), HasSubstr("inner.rate is a list, expected keys"));
  EXPECT_EQ(read("inner:", {"inner.rate=1"}).inner.rate, 1);
  EXPECT_EQ(read("", {"inner=", "inner.rate=1"}).inner.rate, 1);
}

TEST(Yaml, OneValueIsAListOfOne) {
  EXPECT_EQ(read("levels: 0.5").levels, std::vector{0.5});
  EXPECT_THAT(error_of("patch: 1"), HasSubstr("1 values, expected 3"));
}

TEST(Yaml, NamesFileLineAndKey) {
  EXPECT_EQ(error_of("on: true\ninner:\n  rate: 2"), "f.yaml:3: inner.rate: 2 is out of range, expected 0 to 1");
  EXPECT_THAT(error_of("steps: many"), HasSubstr("f.yaml:1: steps: 'many', expected an integer"));
  EXPECT_THAT(error_of("steps: 1.5"), HasSubstr("expected an integer"));
  EXPECT_THAT(error_of("steps: 99999999999999999999"), HasSubstr("expected an integer"));
  EXPECT_THAT(error_of("steps: [1]"), HasSubstr("a list, expected an integer"));
  EXPECT_THAT(error_of("steps:"), HasSubstr("no value, expected an integer"));
  EXPECT_THAT(error_of("on: yes"), HasSubstr("expected true or false"));
  EXPECT_THAT(error_of("colour: blue"), HasSubstr("'blue', expected one of red, green"));
  EXPECT_THAT(error_of("levels: [0.5, nan]"), HasSubstr("f.yaml:1: levels: 'nan', expected a number"));
  EXPECT_THAT(error_of("levels: {a: 1}"), HasSubstr("expected a list"));
  EXPECT_THAT(error_of("patch: [1, 2]"), HasSubstr("2 values, expected 3"));
  EXPECT_THAT(error_of("name: {a: b}"), HasSubstr("a group of keys, expected a text"));
  EXPECT_THAT(error_of("inner: 3"), HasSubstr("inner is '3', expected keys and values"));
  EXPECT_THAT(error_of("- 3"), HasSubstr("f.yaml:1: a list, expected keys and values"));
  EXPECT_THAT(error_of("inner: {rate: 0.1}", {"inner.rate=9"}), HasSubstr("--set inner.rate=9: inner.rate: 9 is out"));
  EXPECT_THAT(error_of("", {"--steps=many"}), HasSubstr("--steps=many: steps: 'many', expected an integer"));
}

TEST(Yaml, ManyKeysTakeTimeInProportion) {
  std::string keys;
  for (int i = 0; i < 40'000; ++i) keys += "k" + std::to_string(i) + ": 1\n";
  const std::clock_t start = std::clock();
  EXPECT_THAT(error_of(keys), HasSubstr("f.yaml:1: k0: no such key"));
  EXPECT_THAT(error_of(keys + "k0: 2\n"), HasSubstr("f.yaml:40001: the key 'k0' stands here a second time, first at"));
  EXPECT_LT(std::clock() - start, 5 * CLOCKS_PER_SEC);
  std::string list = "levels: [0";
  for (int i = 0; i < 100'000; ++i) list += ",0";
  EXPECT_THAT(error_of(list + "]"), HasSubstr("more than 100000 keys and values"));
}

TEST(Yaml, NamesTheNearestKnownKey) {
  const std::string error = error_of("on: true\ninner:\n  rat: 2");
  EXPECT_THAT(error, HasSubstr("f.yaml:3: inner.rat: no such key, did you mean 'rate'?"));
  EXPECT_THAT(error, HasSubstr("known: rate, eps"));
  EXPECT_THAT(error_of("", {"innner.rate=1"}), HasSubstr("did you mean 'inner'?"));
}

TEST(Yaml, RefusesHostileDocuments) {
  std::string bomb = "a: &a [x, x]\n";
  for (char c = 'b'; c < 'z'; ++c) bomb += fmt::format("{}: &{} [*{}, *{}]\n", c, c, char(c - 1), char(c - 1));
  EXPECT_THAT(error_of(bomb), HasSubstr("anchors are not accepted"));
  EXPECT_THAT(error_of("name: *a"), HasSubstr("f.yaml:1: "));
  EXPECT_THAT(error_of("name: !!python/object x"), HasSubstr("tags are not accepted"));
  EXPECT_THAT(error_of(std::string(100'000, '[')), HasSubstr("nested more than 16 levels"));
  EXPECT_THAT(error_of("steps: 1\nsteps: 2"), HasSubstr("f.yaml:2: the key 'steps' stands here a second time"));
  EXPECT_THAT(error_of("? [a]\n: b"), HasSubstr("a key must be a word"));
  EXPECT_THAT(error_of("steps: 1\n---\nsteps: 2"), HasSubstr("more than one document"));
  EXPECT_THAT(error_of(std::string("a\0b", 3)), HasSubstr("NUL"));
  EXPECT_THAT(error_of("steps: \"1"), HasSubstr("f.yaml:"));
  EXPECT_THAT(error_of("on: true\n\tsteps: 3"), HasSubstr("f.yaml:2: "));
  EXPECT_THAT(error_of("steps: 1", {"=3"}), HasSubstr("expected key=value"));
  EXPECT_THAT(error_of("steps: 1", {"steps"}), HasSubstr("expected key=value"));
  EXPECT_THAT(error_of("steps: 1", {"inner..rate=3"}), HasSubstr("empty key"));
  EXPECT_THAT(error_of("steps: 1", {"name=[1"}), HasSubstr("--set name=[1"));
  EXPECT_THAT(error_of(std::string(2 << 20, ' '), {"steps=1"}), HasSubstr("at most 1048576"));
}

}  // namespace
}  // namespace baton
