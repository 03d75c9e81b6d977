#include "engine/io/webp_animation.h"

#include <algorithm>

#include "engine/io/image_header.h"

namespace baton {
namespace {

// A RIFF chunk: {type, length, data, padding to even}.
struct Chunk {
  std::string_view type, data, whole;
};

// The chunk at the start of `rest`, which is moved behind it; what is cut short has what is there.
Chunk next_chunk(std::string_view& rest) {
  const std::string_view data = rest.substr(8, read_little(rest, 4, 4));
  const Chunk chunk{rest.substr(0, 4), data, rest.substr(0, 8 + data.size() + data.size() % 2)};
  rest.remove_prefix(chunk.whole.size());
  return chunk;
}

constexpr uint32_t alpha_flag = 0x10;  // of the header "VP8X"

std::string little(uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i & 0xff);
  return text;
}

// The data of an ANMF chunk: left and top by two, width and height less one (3 bytes each), 4 bytes of timing and
// blending, then the chunks of a still picture: "ALPH" and "VP8 ", or "VP8L".
WebpFrame read_frame(std::string_view data) {
  constexpr size_t head = 16;
  WebpFrame frame{.left = 2 * int64_t{read_little(data, 0, 3)}, .top = 2 * int64_t{read_little(data, 3, 3)}};
  std::string_view rest = data.substr(std::min(head, data.size()));
  const bool alpha = rest.starts_with("ALPH");
  std::string chunks;
  while (rest.size() >= 8) {
    const Chunk chunk = next_chunk(rest);
    if (chunk.type == "ALPH" || chunk.type == "VP8 " || chunk.type == "VP8L") chunks += chunk.whole;
  }
  if (alpha) {  // such a file starts with a header that says so
    chunks = "VP8X" + little(10, 4) + little(alpha_flag, 4) + std::string(data.substr(6, 6)) + chunks;
  }
  frame.file = "RIFF" + little(static_cast<uint32_t>(4 + chunks.size()), 4) + "WEBP" + chunks;
  return frame;
}

}  // namespace

std::optional<WebpFrame> first_webp_frame(std::string_view file) {
  if (file.size() < 12 || !file.starts_with("RIFF") || file.substr(8, 4) != "WEBP") return std::nullopt;
  bool alpha = false;
  for (std::string_view rest = file.substr(12); rest.size() >= 8;) {
    const Chunk chunk = next_chunk(rest);
    if (chunk.type == "VP8X") alpha = read_little(chunk.data, 0, 1) & alpha_flag;
    if (chunk.type != "ANMF") continue;
    WebpFrame frame = read_frame(chunk.data);
    frame.on_transparent = alpha;
    return frame;
  }
  return std::nullopt;
}

}  // namespace baton
