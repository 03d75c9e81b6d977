#include "engine/data/latent_cache.h"

#include <algorithm>
#include <cstring>

#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/core/require.h"
#include "engine/io/safetensors.h"
#include "engine/io/writable.h"

namespace baton {
namespace {

constexpr int format_version = 1;

std::map<std::string, std::string> metadata_of(const LatentSource& source) {
  return {{"baton.kind", "latents"},
          {"baton.version", std::to_string(format_version)},
          {"baton.encoder", source.encoder},
          {"baton.pictures", source.pictures},
          {"baton.flip", source.flip ? "true" : "false"},
          {"baton.dtype", std::string(name(source.dtype))}};
}

std::string hash_of(const LatentSource& source) {
  std::string text;
  for (const auto& [name, value] : metadata_of(source)) text += name + "=" + value + "\n";
  return hash_bytes(text);
}

void store(const Tensor& values, const Tensor& target, int64_t first_row) {
  const int64_t row = target.numel() / target.dim(0);
  const std::vector<float> from = values.to_vector();
  if (target.dtype() == DType::f32)
    std::ranges::copy(from, target.data<float>() + first_row * row);
  else
    std::ranges::transform(from, target.data<uint16_t>() + first_row * row, f32_to_bf16);
}

Tensor encode_all(const LatentSource& source, const Pictures& pictures, bool flip, int64_t batch,
                  const EncodePictures& encode, Progress& progress, int64_t done) {
  Tensor all;
  for (int64_t first = 0; first < pictures.count(); first += batch) {
    std::vector<Draw> draws;
    for (int64_t item = first; item < std::min(first + batch, pictures.count()); ++item)
      draws.push_back({.item = item, .flip = flip});
    const Tensor latents = encode(pictures.whole(draws));
    const auto rows = static_cast<int64_t>(draws.size());
    require(latents.rank() == 4 && latents.dim(0) == rows, "latent cache: {} pictures became latents {}", rows,
            latents.shape());
    if (!all) {
      Shape shape = latents.shape();
      shape[0] = pictures.count();
      all = Tensor::empty(shape, source.dtype);
    }
    require(latents.numel() / rows == all.numel() / all.dim(0), "latent cache: latents {} among {}", latents.shape(),
            all.shape());
    store(latents, all, first);
    progress.update(done + first + rows);
  }
  return all;
}

}  // namespace

LatentCache::LatentCache(const Path& path, const LatentSource& source)
    : file_(path), dtype_(source.dtype), mirrored_(source.flip) {
  for (const auto& [key, expected] : metadata_of(source)) {
    const auto found = file_.metadata().find(key);
    const std::string stored = found == file_.metadata().end() ? "nothing" : found->second;
    check(stored == expected, "{}: a latent cache of another source: {} is {}, expected {}", path.string(), key, stored,
          expected);
  }
  const Tensor latents = file_.tensor("latents");
  shape_ = latents.shape();
  for (const Tensor& tensor : {latents, mirrored_ ? file_.tensor("mirrored") : latents})
    check(tensor.dtype() == dtype_ && tensor.shape() == shape_ && tensor.rank() == 4 && tensor.numel() > 0,
          "{}: latents {} {}, expected {} [items, C, h, w]", path.string(), name(tensor.dtype()), tensor.shape(),
          name(dtype_));
}

Tensor LatentCache::latents(std::span<const Draw> draws) const {
  Shape shape = shape_;
  shape[0] = static_cast<int64_t>(draws.size());
  const Tensor out = Tensor::empty(shape);
  shape[0] = 1;
  const Tensor stored = Tensor::empty(shape, dtype_);
  const int64_t row = stored.numel();
  for (size_t i = 0; i < draws.size(); ++i) {
    const Draw& draw = draws[i];
    require(draw.item >= 0 && draw.item < count() && draw.top == 0 && draw.left == 0 && (mirrored_ || !draw.flip),
            "latent cache: item {} of {}, flip {}, crop at {}, {}: not in the cache", draw.item, count(), draw.flip,
            draw.top, draw.left);
    file_.read_rows(draw.flip ? "mirrored" : "latents", draw.item, stored);
    float* to = out.data<float>() + static_cast<int64_t>(i) * row;
    if (dtype_ == DType::f32)
      std::copy_n(stored.data<float>(), row, to);
    else
      std::transform(stored.data<uint16_t>(), stored.data<uint16_t>() + row, to, bf16_to_f32);
  }
  return out;
}

void write_latent_cache(const Path& file, const LatentSource& source, const Pictures& pictures, int64_t batch,
                        const EncodePictures& encode, ProgressMode mode) {
  require(source.dtype == DType::f32 || source.dtype == DType::bf16, "latent cache: dtype {}, expected f32 or bf16",
          name(source.dtype));
  require(source.pictures == pictures.hash(), "latent cache: made of other pictures than its source says");
  Progress progress(mode, "encode", pictures.count() * (source.flip ? 2 : 1));
  NamedTensors tensors{{"latents", encode_all(source, pictures, false, batch, encode, progress, 0)}};
  if (source.flip)
    tensors.emplace_back("mirrored", encode_all(source, pictures, true, batch, encode, progress, pictures.count()));
  write_safetensors(file, tensors, metadata_of(source));
}

LatentCache open_latent_cache(const Path& folder, const LatentSource& source, const Pictures& pictures, int64_t batch,
                              const EncodePictures& encode, ProgressMode progress) {
  make_folder(folder);
  const Path file = folder / fmt::format("latents-{}.safetensors", hash_of(source).substr(0, 16));
  std::error_code none;
  if (std::filesystem::exists(file, none)) {
    try {
      LatentCache cache(file, source);
      check(cache.count() == pictures.count(), "{}: {} latents for {} pictures", file.string(), cache.count(),
            pictures.count());
      return cache;
    } catch (const InputError& error) {
      spdlog::warn("{}; it is made anew", error.what());
    }
  }
  write_latent_cache(file, source, pictures, batch, encode, progress);
  return {file, source};
}

}  // namespace baton
