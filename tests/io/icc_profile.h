#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string>

namespace baton::test {

inline std::string big_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> 8 * i);
  return text;
}

// An ICC profile of RGB (or GRAY, which has a curve alone), with X, Y and Z of its primaries and one curve for all.
using Primaries = std::array<std::array<double, 3>, 3>;
constexpr Primaries srgb_primaries{{{0.4361, 0.2225, 0.0139}, {0.3851, 0.7169, 0.0971}, {0.1431, 0.0606, 0.7141}}};
constexpr Primaries display_p3{{{0.5151, 0.2412, -0.0011}, {0.2919, 0.6922, 0.0419}, {0.1572, 0.0666, 0.7841}}};

inline std::string fixed_point(double value) {
  return big_endian(static_cast<uint32_t>(std::lround(value * 65536)), 4);
}

inline std::string gamma_curve(double gamma) {
  return "curv" + big_endian(0, 4) + big_endian(1, 4) + big_endian(static_cast<uint32_t>(std::lround(gamma * 256)), 2);
}

inline std::string icc_profile(const Primaries& primaries, const std::string& curve,
                               const std::string& space = "RGB ") {
  constexpr int head = 128, tags = 7;
  std::string table = big_endian(tags, 4), data;
  const auto add = [&](const std::string& name, const std::string& value) {
    table += name + big_endian(head + 4 + 12 * tags + data.size(), 4) + big_endian(value.size(), 4);
    data += value;
  };
  const std::string rgb = "rgb";
  for (int c = 0; c < 3; ++c) {
    std::string xyz = "XYZ " + big_endian(0, 4);
    for (const double value : primaries[c]) xyz += fixed_point(value);
    add(rgb[c] + std::string("XYZ"), xyz);
    add(rgb[c] + std::string("TRC"), curve);
  }
  add("kTRC", curve);
  std::string start(head, '\0');
  start.replace(16, 4, space);
  start.replace(36, 4, "acsp");
  return start + table + data;
}

}  // namespace baton::test
