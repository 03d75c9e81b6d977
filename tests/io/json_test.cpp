#include "engine/io/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;

std::string nested(int depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Json, RefusesWhatStrangersSend) {
  EXPECT_EQ(parse_json(R"({"a":[1,"ü",null]})", "t").dump(), R"({"a":[1,"ü",null]})");
  EXPECT_NO_THROW(parse_json(nested(64), "t"));
  EXPECT_REFUSED(parse_json(nested(65), "t"), "t: JSON nested deeper than 64 levels");
  EXPECT_REFUSED(parse_json(std::string(1'000'000, '['), "t"), "nested deeper");
  EXPECT_REFUSED(parse_json(R"({"a":1,"b":{"c":1,"c":2}})", "t"), "t: the key 'c' is there twice");
  EXPECT_NO_THROW(parse_json(R"([{"a":1},{"a":2},{"b":{"a":1},"a":3}])", "t"));
  EXPECT_REFUSED(parse_json(std::string("{}\0{}", 5), "t"), "NUL");
  for (const char* bad : {"", "{", "{} {}", "{'a':1}", "{\"a\":01}", "{\"a\":NaN}", "// x\n{}", "\"\xff\"",
                          "\"\xed\xa0\x80\"", "[1,]", "1e999"})
    EXPECT_REFUSED(parse_json(bad, "t"), "t: not valid JSON") << bad;
}

std::string repeated(std::string_view item, int count) {
  std::string list = "[";
  for (int i = 0; i < count; ++i) list.append(item).append(",");
  return list + "0]";
}

TEST(Json, ManyValuesTakeTimeInProportion) {
  for (const char* item : {"{}", "[]", R"({"a":{"b":[1,{}]}})", "0"}) {
    const std::clock_t start = std::clock();
    EXPECT_EQ(parse_json(repeated(item, 100'000), "t").size(), 100'001u);
    EXPECT_LT(std::clock() - start, 5 * CLOCKS_PER_SEC) << item;
  }
}

TEST(Json, RefusesATreeFarLargerThanItsText) {
  for (const char* item : {"{}", "[]", R"({"":0})", R"([[""]])"})
    EXPECT_REFUSED(parse_json(repeated(item, 1'000'000), "t"), "t: too many values in this JSON for its size") << item;
  EXPECT_NO_THROW(parse_json(repeated(R"(["▁the",-3.29])", 260'000), "t"));  // the largest tokenizer.json we know
}

TEST(Json, ErrorsAreInItsOwnWords) {
  for (const char* bad : {"", "[1,]", "1e999", "{\"a\" 1}"}) try {
      parse_json(bad, "t");
      ADD_FAILURE() << bad;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("json.exception"))) << bad;
    }
}

TEST(Json, FilesComeBack) {
  const Scratch scratch;
  write_json(scratch / "a.json", {{"b", 1}, {"a", {1.5, "x"}}});
  EXPECT_EQ(test::slurp(scratch / "a.json"), "{\n  \"a\": [\n    1.5,\n    \"x\"\n  ],\n  \"b\": 1\n}\n");
  EXPECT_EQ(read_json(scratch / "a.json")["b"], 1);
  EXPECT_REFUSED(read_json(scratch / "a.json", 5), "at most 5 are accepted");
  EXPECT_REFUSED(write_json(scratch / "b.json", Json("\xff")), "cannot be written as JSON");
  EXPECT_EQ(scratch.entries(), 1);
}

TEST(JsonReader, GivesTypedValues) {
  JsonReader r = JsonReader::text(
      R"({"n":3,"big":9007199254740993,"x":1.5,"whole":2,"yes":true,"s":"t","list":[1,2],"flags":[true,false],)"
      R"("nothing":null,"inner":{"k":[0.5]},"parts":[{"id":1},{"id":2}],"mixed":[null,"a"]})",
      "c.json");
  EXPECT_EQ(r.required<int>("n"), 3);
  EXPECT_EQ(r.required<int64_t>("big"), 9007199254740993);
  EXPECT_EQ(r.required<float>("x"), 1.5f);
  EXPECT_EQ(r.required<double>("whole"), 2.0);
  EXPECT_TRUE(r.required<bool>("yes"));
  EXPECT_EQ(r.required<std::string>("s"), "t");
  EXPECT_EQ(r.required<std::vector<int>>("list"), (std::vector{1, 2}));
  EXPECT_EQ(r.required<std::vector<bool>>("flags"), (std::vector{true, false}));
  EXPECT_EQ(r.optional("nothing", 7), 7);
  EXPECT_EQ(r.optional("absent", "fallback"), "fallback");
  EXPECT_EQ(r.optional("n", 0), 3);
  EXPECT_TRUE(r.has("mixed"));
  EXPECT_TRUE(r.raw("mixed")[0].is_null());
  JsonReader inner = r.object("inner");
  EXPECT_EQ(inner.required<std::vector<float>>("k"), std::vector{0.5f});
  EXPECT_NO_THROW(inner.finish());
  std::vector<JsonReader> parts = r.objects("parts");
  ASSERT_EQ(parts.size(), 2);
  EXPECT_EQ(parts[1].required<int>("id"), 2);
  EXPECT_NO_THROW(r.finish());
}

TEST(JsonReader, SaysWhereAndWhatWasExpected) {
  JsonReader r = JsonReader::text(
      R"({"n":"3","x":1.5,"big":4294967296,"list":[1,"a"],"inner":{"k":1},"huge":1e300,"parts":[1]})", "c.json");
  EXPECT_REFUSED(r.required<int>("n"), "c.json: n: expected a whole number, found \"3\"");
  EXPECT_REFUSED(r.required<int>("x"), "c.json: x: expected a whole number, found 1.5");
  EXPECT_REFUSED(r.required<int>("big"), "c.json: big: 4294967296 is out of range");
  EXPECT_REFUSED(r.required<float>("huge"), "out of range");
  EXPECT_REFUSED(r.required<bool>("x"), "expected true or false");
  EXPECT_REFUSED(r.required<std::string>("x"), "expected a text, found 1.5");
  EXPECT_REFUSED(r.required<std::vector<int>>("list"), "c.json: list[1]: expected a whole number, found \"a\"");
  EXPECT_REFUSED(r.required<std::vector<int>>("inner"), "expected a list, found object");
  EXPECT_REFUSED(r.required<int>("absent"), "c.json: absent: missing");
  EXPECT_REFUSED(r.object("x"), "expected an object {…} as x");
  EXPECT_REFUSED(r.object("inner").required<bool>("k"), "c.json: inner.k: expected true or false, found 1");
  EXPECT_REFUSED(r.objects("parts"), "expected an object {…} as parts[0]");
  EXPECT_REFUSED(JsonReader::text("[]", "c.json"), "c.json: expected an object");
}

TEST(JsonReader, UnknownKeysAreErrors) {
  JsonReader r = JsonReader::text(R"({"num_layer":3,"_class_name":"x"})", "c.json");
  EXPECT_EQ(r.optional("num_layers", 5), 5);
  r.ignore("_class_name");
  EXPECT_REFUSED(r.finish(), "c.json: num_layer: unknown key, did you mean 'num_layers'?");
  JsonReader far = JsonReader::text(R"({"zzzzzz":3})", "c.json");
  far.ignore("num_layers other");
  EXPECT_EQ(test::error_of([&] { far.finish(); }), "c.json: zzzzzz: unknown key");
}

TEST(JsonReader, KeysOfOthersAreNamedInOneWarning) {
  using ::testing::HasSubstr;
  JsonReader r = JsonReader::text(
      R"({"known":1,"flow_shfit":3,"off":false,"none":null,"absent":[null,null],"empty":[]})", "warn.json");
  r.required<int>("known");
  r.ignore("flow_shift");
  const std::string warned = test::warnings_of([&] { r.warn_of_unread(); });
  EXPECT_THAT(warned, HasSubstr("warn.json: 2 unknown keys are not used: flow_shfit = 3, did you mean 'flow_shift'?; "
                                "off = false\n"));
  EXPECT_EQ(test::warnings_of([&] { r.warn_of_unread(); }), "") << "said twice";
  Json many;
  for (int i = 0; i < 20; ++i) many[fmt::format("key_{:02}", i)] = i;
  EXPECT_THAT(test::warnings_of([&] { JsonReader::text(many.dump(), "many.json").warn_of_unread(); }),
              HasSubstr("20 unknown keys are not used: key_00 = 0; "));
  EXPECT_EQ(test::warnings_of([] { JsonReader::text(R"({"a":null})", "quiet.json").warn_of_unread(); }), "");
}

TEST(JsonReader, ExpectsTheValuesThatThereIsCodeFor) {
  JsonReader r = JsonReader::text(R"({"act":"silu","heads":{},"none":null,"n":2})", "c.json");
  r.expect("act", {"silu", "swish"});
  r.expect("heads", {Json::object()});
  r.expect("none", {});
  r.expect("missing", {});
  r.expect("n", {2.0});
  EXPECT_REFUSED(r.expect("act", {"gelu", 1}), "c.json: act: \"silu\" is not supported; expected \"gelu\" or 1");
  EXPECT_REFUSED(r.expect("n", {}), "c.json: n: 2 is not supported");
}

TEST(Json, MessagesAreShortHoweverLongTheTextIs) {
  const std::string key(1 << 20, 'k'), member = fmt::format(R"("{}":1)", key);
  const auto refused = [](const auto& body) {
    const std::string message = test::error_of(body);
    EXPECT_LT(message.size(), 300) << message.substr(0, 300);
    EXPECT_THAT(message, ::testing::HasSubstr("kkkk"));
  };
  refused([&] { parse_json(fmt::format("{{{},{}}}", member, member), "a"); });
  refused([&] { parse_json(fmt::format(R"({{"a":"{})", key), "a"); });
  JsonReader r = JsonReader::text(fmt::format("{{{}}}", member), "a");
  refused([&] { r.finish(); });
  refused([&] { r.object(key); });
  refused([&] { r.required<std::string>(key); });
}

}  // namespace
}  // namespace baton
