#pragma once

#include <string>
#include <string_view>

namespace baton {

// Refuses what no prompt is: more than 64 KiB, a NUL byte, text that is not UTF-8. `where` starts the message.
void check_prompt(std::string_view text, std::string_view where);

// The text as diffusers' WanPipeline cleans it before the tokenizer sees it, with ftfy installed: character references
// of HTML replaced, a wrong encoding undone ("schÃ¶n"), Latin ligatures split, full-width and half-width forms made
// normal (，becomes a comma), quotes straightened, line breaks unified, terminal escapes and control characters
// dropped, NFC; then references once more (twice), and white space collapsed.
std::string clean_prompt(std::string_view text);

// The first piece that other programs would not take as words, such as "(red apple:1.3)", "{red|green}" or
// "<lora:name:1>"; empty if there is none. Baton draws it as words.
std::string foreign_syntax(std::string_view text);

}  // namespace baton
