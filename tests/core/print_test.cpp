#include "engine/core/print.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(Print, SpellsOutWhatATerminalWouldObey) {
  EXPECT_EQ(printable("键 é 👩‍👧 a\nb"), "键 é 👩‍👧 a\nb");
  EXPECT_EQ(printable(std::string_view("\x1b]0;t\a\t\r\x7f\0", 10)), "\\u001b]0;t\\u0007\\u0009\\u000d\\u007f\\u0000");
  EXPECT_EQ(printable("a\u009b31mb\u0080"), "a\\u009b31mb\\u0080");
  EXPECT_EQ(printable("\u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c\u2028"),
            "\\u202egnp.exe\\u202c \\u2066x\\u2069 \\u200f\\u061c\\u2028");
  EXPECT_EQ(printable("\x9b\xff ok \xe4\xb8"), "\\x9b\\xff ok \\xe4\\xb8");
  EXPECT_EQ(printable_line("a\nerror: b"), "a\\nerror: b");
}

TEST(Print, WritesOnlyPrintableText) {
  testing::internal::CaptureStdout();
  print("a\x1b[31m\nb");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "a\\u001b[31m\nb");
}

}  // namespace
}  // namespace baton
