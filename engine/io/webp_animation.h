#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace baton {

// A frame of an animated WebP file, as a still WebP file of its own, and where it lies on the canvas, which is
// transparent, or black in a file that says to have nothing transparent.
struct WebpFrame {
  std::string file;
  int64_t left = 0, top = 0;
  bool on_transparent = false;
};

// The first frame of a WebP file, nothing for a still one (which decoders read as it is). They know no animations.
std::optional<WebpFrame> first_webp_frame(std::string_view file);

}  // namespace baton
