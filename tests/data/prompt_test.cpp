#include "engine/data/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/data/html.h"
#include "engine/data/unicode.h"
#include "engine/io/json.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

// What diffusers' prompt_clean made of difficult prompts (tools/golden/tokenizers_and_prompts.py).
TEST(Prompt, CleansAsDiffusersDoes) {
  const Json rows = read_json(test_dir() / "golden/prompts.json");
  ASSERT_GT(rows.size(), 30);
  for (const Json& row : rows) {
    const std::string prompt = row["prompt"];
    EXPECT_EQ(clean_prompt(prompt), row["cleaned"].get<std::string>()) << prompt;
  }
}

// What it made of texts that were read in wrong encodings, and of clean ones in many languages
// (tools/golden/mojibake.py).
TEST(Prompt, RepairsEncodingsAsFtfyDoes) {
  const Json rows = read_json(test_dir() / "golden/mojibake.json");
  ASSERT_GT(rows.size(), 200);
  for (const Json& row : rows) {
    const std::string text = row["text"];
    EXPECT_EQ(clean_prompt(text), row["cleaned"].get<std::string>()) << text;
  }
  EXPECT_EQ(clean_prompt("itâ€™s a cafÃ© in MÃ¼nchen"), "it's a café in München");
}

TEST(Prompt, RepairOfLongTextsTakesLittleTime) {
  for (const char* unit : {"Ã", "Ã ", "Ã©", "â€", "Ãƒâ€šÃ‚Â", "Ã©\ufffd", "&ATILDE;&COPY;", "В°"}) {
    std::string text;
    while (text.size() < 60'000) text += unit;
    const std::clock_t start = std::clock();
    clean_prompt(text);
    EXPECT_LT(std::clock() - start, 5 * CLOCKS_PER_SEC) << unit;
  }
}

TEST(Prompt, NestingTakesLittleTime) {
  std::string references = "&", letters;
  while (references.size() < 60'000) references += "amp;";
  while (letters.size() < 60'000) letters += "\u00c2";
  for (const std::string& text : {references + "lt;", letters + "\u00a9"}) {
    const std::clock_t start = std::clock();
    clean_prompt(text);
    EXPECT_LT(std::clock() - start, 5 * CLOCKS_PER_SEC) << text.substr(0, 20);
  }
}

TEST(Prompt, LeavesCleanTextAlone) {
  for (const char* text : {"a red panda", "一只红色的熊猫", "schön, naïve café", "👩‍👩‍👧 🏳️‍🌈",
                           "f(x) < 3 & y > 2", "schÃ"})
    EXPECT_EQ(clean_prompt(text), text);
}

TEST(Prompt, CleansEachKindOfDirt) {
  EXPECT_EQ(clean_prompt("\u00a0 a \t\u3000\n b\u2003"), "a b");
  EXPECT_EQ(clean_prompt("ﬅ ŉ ǆ ﬃ"), "\u017ft 'n dž ffi");
  EXPECT_EQ(clean_prompt("“a” ‘b’ „c‟"), "\"a\" 'b' \"c\"");
  EXPECT_EQ(clean_prompt("\x1b[1;31mred\x1b[0m \x1b[red"), "red ed");  // "ESC [ r" is a sequence
  EXPECT_EQ(clean_prompt("&amp;amp;ldquo;x&rdquo;"), "\"x\"");         // references in references, then the quotes
  EXPECT_EQ(clean_prompt("<b>&rdquo;</b>"), "<b>”</b>");               // after a '<' references come last
  EXPECT_EQ(clean_prompt("e\u0301"), "é");
}

TEST(Prompt, FindsTheSyntaxOfOtherPrograms) {
  EXPECT_EQ(foreign_syntax("a (red apple:1.3) on a table"), "(red apple:1.3)");
  EXPECT_EQ(foreign_syntax("((a (cat:0.8)"), "(cat:0.8)");
  EXPECT_EQ(foreign_syntax("a {red|green} apple"), "{red|green}");
  EXPECT_EQ(foreign_syntax("a cat <lora:fluffy:0.7>"), "<lora:fluffy:0.7>");
  for (const char* words :
       {"a cat (sleeping)", "at (10:x)", "f(x) < 3 & y > 2", "{braces}", "(:", ")(", "(a:)", "", "a | b"})
    EXPECT_EQ(foreign_syntax(words), "") << words;
}

TEST(Prompt, RefusesWhatIsNoPrompt) {
  EXPECT_NO_THROW(check_prompt(std::string(65536, 'x'), "p"));
  EXPECT_THROW(check_prompt(std::string(65537, 'x'), "p"), InputError);
  EXPECT_THROW(check_prompt(std::string_view("a\0b", 3), "p"), InputError);
  for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xb8", "\x80"})
    EXPECT_THROW(check_prompt(bad, "p"), InputError) << bad;
  EXPECT_NO_THROW(check_prompt("ü 中 😀 \U0010ffff", "p"));
}

TEST(Html, ReplacesReferencesAsBrowsersDo) {
  EXPECT_EQ(unescape_html("&lt;&eacute;&#233;&#xE9;&#Xe9;&NotEqualTilde;&CounterClockwiseContourIntegral;"), "<éééé≂̸∳");
  EXPECT_EQ(unescape_html("&copy &copyright; &notit; &amp &unknown; & &; &# &#; &#x; &#xg"),
            "©"
            " ©right; ¬it; & &unknown; & &; &# &#; &#x; &#xg");
  EXPECT_EQ(unescape_html("&#0;&#128;&#xd800;&#x110000;&#99999999999999;&#1;&#xfffe;&#13;"),
            "\ufffd€\ufffd\ufffd\ufffd\r");
  EXPECT_EQ(unescape_html("&copy &#65 &lt;", true), "&copy &#65 <");
  EXPECT_EQ(unescape_html("&EACUTE; &SZLIG; &HELLIP; &nTILDE; &QUOT;", true), "É SS … &nTILDE; \"");
  EXPECT_EQ(unescape_html("&EACUTE; &HELLIP;"), "&EACUTE; &HELLIP;");
  EXPECT_EQ(unescape_html(std::string(100000, '&')), std::string(100000, '&'));
}

TEST(Unicode, PropertiesAndForms) {
  EXPECT_EQ(to_lower("ÄİΣ中"), "äi̇σ中");
  EXPECT_EQ(to_nfc("e\u0301\u0327"), "\u0229\u0301");
  EXPECT_TRUE(is_letter(U'中') && is_number(U'½') && is_space(0x3000) && !is_letter(U'1') && !is_number(U'a') &&
              !is_space(0x200b));
  EXPECT_EQ(graphemes("e\u0301a\r\n👩‍👧1").size(), 5);
  EXPECT_TRUE(graphemes("").empty());
  EXPECT_EQ(collapse_spaces(" \t a\u2028b "), "a b");
}

}  // namespace
}  // namespace baton
