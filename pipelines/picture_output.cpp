#include "pipelines/picture_output.h"

#include <algorithm>
#include <cctype>

#include "engine/core/error.h"
#include "engine/io/new_file.h"
#include "engine/io/safetensors_layout.h"
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

void check_latents(const GenerateConfig& config) {
  const Path latents = config.latents_out;
  check(latents.extension() == ".safetensors",
        "latents_out: {} is no .safetensors file, which is what is written; name {}", config.latents_out,
        Path(latents).replace_extension(".safetensors").string());
  check_writable(latents);
  if (is_file(config)) return;  // of another extension
  const Path pictures = fs::weakly_canonical(folder_of(config)).lexically_relative(fs::weakly_canonical(latents));
  check(!pictures.empty() && *pictures.begin() == "..", "out: {} is latents_out too; name two places", config.out);
}

}  // namespace

void check_output(const GenerateConfig& config) {
  if (config.dry_run) return;
  is_file(config) ? check_file(config) : check_folder(config);
  if (!config.latents_out.empty()) check_latents(config);
}

Path save_picture(const GenerateConfig& config, int64_t index, std::string_view png) {
  if (is_file(config)) {
    write_file(config.out, png);
    return config.out;
  }
  if (config.out.empty() && config.count == 1) return write_new_file("picture.png", {png});
  const Path folder = folder_of(config);
  make_folder(folder);
  return write_new_file(folder / fmt::format("{}-{}.png", config.seed + index, index), {png});
}

Path save_latents(const GenerateConfig& config, const Tensor& latents) {
  const SafetensorsLayout layout({{"latents", latents.dtype(), latents.shape()}}, {{"format", "pt"}});
  const std::string_view values(static_cast<const char*>(latents.raw()), latents.bytes());
  return write_new_file(config.latents_out, {layout.header(), values});
}

}  // namespace baton
