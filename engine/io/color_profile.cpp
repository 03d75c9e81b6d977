#include "engine/io/color_profile.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/io/image_header.h"

namespace baton {
namespace {

// s15Fixed16: a signed number with 16 bits behind the point.
double fixed(std::string_view bytes, size_t at) { return static_cast<int32_t>(read_big(bytes, at, 4)) / 65536.0; }

// The data of a tag. A profile has 128 bytes, the number of tags, and {name, offset, size} of each.
std::string_view find_tag(std::string_view profile, std::string_view name) {
  constexpr uint32_t most = 128;
  const uint32_t count = std::min(read_big(profile, 128, 4), most);
  for (size_t at = 132; at < 132 + 12 * size_t{count} && at + 12 <= profile.size(); at += 12)
    if (profile.substr(at, 4) == name) {
      const size_t offset = read_big(profile, at + 4, 4);
      return profile.substr(std::min(offset, profile.size()), read_big(profile, at + 8, 4));
    }
  return {};
}

// What a curve makes of 0.5: "curv" is a table of 16-bit values, or one exponent with 8 bits behind the point; "para" a
// formula with the parameters g, a, b, c, d, e, f, of which (a x + b)^g + c or e holds for all but dark values.
double middle(std::string_view curve) {
  constexpr double nothing = -1;
  if (curve.starts_with("curv")) {
    const size_t count = read_big(curve, 8, 4);
    if (count == 0) return 0.5;
    if (count == 1) return std::pow(0.5, read_big(curve, 12, 2) / 256.0);
    return (read_big(curve, 12 + (count - 1) / 2 * 2, 2) + read_big(curve, 12 + count / 2 * 2, 2)) / 131070.0;
  }
  if (!curve.starts_with("para")) return nothing;
  const uint32_t kind = read_big(curve, 8, 2);
  const auto parameter = [&](int i) { return fixed(curve, 12 + 4 * i); };
  const double base = kind == 0 ? 0.5 : parameter(1) * 0.5 + parameter(2);
  return std::pow(base, parameter(0)) + (kind == 2 ? parameter(3) : kind == 4 ? parameter(5) : 0);
}

bool has_srgb_curve(std::string_view profile, std::string_view name) {
  constexpr double srgb = 0.2140, tolerance = 0.02;  // 8-bit values differ by 5 at most
  return std::abs(middle(find_tag(profile, name)) - srgb) < tolerance;
}

}  // namespace

bool is_srgb_profile(std::string_view profile) {
  if (profile.size() < 132 || profile.substr(36, 4) != "acsp") return true;
  if (profile.substr(16, 4) == "GRAY") return has_srgb_curve(profile, "kTRC");
  if (profile.substr(16, 4) != "RGB ") return false;
  // X, Y and Z of the primaries, adapted to D50 (IEC 61966-2-1). The nearest other ones, Display P3's, differ by 0.09.
  constexpr std::array<double, 3> red{0.436, 0.222, 0.014}, green{0.385, 0.717, 0.097}, blue{0.143, 0.061, 0.714};
  const auto is_near = [&](std::string_view name, const std::array<double, 3>& primary) {
    constexpr double tolerance = 0.03;
    const std::string_view xyz = find_tag(profile, name);
    for (size_t i = 0; i < 3; ++i)
      if (std::abs(fixed(xyz, 8 + 4 * i) - primary[i]) > tolerance) return false;
    return true;
  };
  return is_near("rXYZ", red) && is_near("gXYZ", green) && is_near("bXYZ", blue) && has_srgb_curve(profile, "rTRC") &&
         has_srgb_curve(profile, "gTRC") && has_srgb_curve(profile, "bTRC");
}

}  // namespace baton
