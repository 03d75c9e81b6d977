#include "pipelines/picture_output.h"

#include <algorithm>
#include <cctype>

#include "engine/core/error.h"
#include "engine/io/new_file.h"
#include "engine/io/writable.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

// ".png" also of NAME.PNG.
std::string extension_of(const Path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return std::tolower(c); });
  return extension;
}

bool is_folder(const Path& path) {
  std::error_code none;
  return fs::is_directory(path, none);
}

bool is_file(const GenerateConfig& config) { return extension_of(config.out) == ".png"; }

Path folder_of(const GenerateConfig& config) {
  if (!config.out.empty()) return config.out;
  return config.count == 1 ? "." : "pictures";
}

void check_file(const GenerateConfig& config) {
  const Path out = config.out;
  check(config.count == 1, "out is the single file {}, but count is {}: name a folder", config.out, config.count);
  check(out.parent_path().empty() || is_folder(out.parent_path()), "out: there is no folder {}",
        out.parent_path().string());
  check_writable(out);
}

void check_folder(const GenerateConfig& config) {
  const Path out = config.out;
  for (const char* other : {".jpg",  ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif",  ".tiff", ".avif",
                            ".heic", ".heif", ".jxl", ".jp2",  ".ppm",  ".pnm", ".tga", ".apng", ".svg",  ".pdf"})
    check(extension_of(out) != other || is_folder(out), "out: {} is no PNG file, which is what is written; name {}",
          config.out, Path(out).replace_extension(".png").string());
  std::error_code none;
  check(out.empty() || !fs::exists(out, none) || is_folder(out),
        "out: {} exists and is no folder; name a .png file or a folder", config.out);
  check_writable_folder(folder_of(config));
}

}  // namespace

void check_output(const GenerateConfig& config) {
  if (config.dry_run) return;
  is_file(config) ? check_file(config) : check_folder(config);
  if (!config.latents_out.empty()) check_writable(config.latents_out);
}

Path save_picture(const GenerateConfig& config, int64_t index, std::string_view png) {
  if (is_file(config)) {
    write_file(config.out, png);
    return config.out;
  }
  if (config.out.empty() && config.count == 1) return write_new_file("picture.png", png);
  const Path folder = folder_of(config);
  make_folder(folder);
  return write_new_file(folder / fmt::format("{}-{}.png", config.seed + index, index), png);
}

}  // namespace baton
