#include "engine/io/image.h"
#include "engine/io/image_header.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return baton::fuzz::run(size, [&] {
    const auto file = baton::fuzz::text_of(data, size);
    const auto header = baton::read_image_header(file, "fuzz");
    // Decoding large pictures teaches nothing more, and takes memory in proportion to the pixels, not to the file.
    const int64_t pixels = header.width * header.height;
    if (pixels > 1 << 20 || pixels * header.bytes_per_pixel > 32 << 20) return;
    const baton::Image image = baton::decode_image(file, "fuzz");
    baton::fuzz::require(image.width * image.height == header.width * header.height);
    baton::fuzz::require(image.pixels.size() == static_cast<size_t>(3 * image.width * image.height));
  });
}
