#include "engine/io/stored_parameters.h"

#include <algorithm>
#include <span>

#include "engine/core/error.h"
#include "engine/core/log.h"

namespace baton {
namespace {

// f16 and f64, which nothing here computes in, as the nearest f32. bf16 and f32 stay what they are.
Tensor computable(const Tensor& t, const std::string& where) {
  if (t.dtype() == DType::f32 || t.dtype() == DType::bf16) return t;
  check(t.dtype() == DType::f16 || t.dtype() == DType::f64, "{} is {}, expected f32, bf16, f16 or f64", where,
        baton::name(t.dtype()));
  Tensor out = Tensor::empty(t.shape());
  float* to = out.data<float>();
  for (int64_t i = 0; i < t.numel(); ++i)
    to[i] = t.dtype() == DType::f16 ? f16_to_f32(t.data<uint16_t>()[i]) : static_cast<float>(t.data<double>()[i]);
  return out;
}

// Scales and zero points beside weights that are stored as small whole numbers or in 8 bits: without them the weights
// are others.
bool belongs_to_quantized(const std::string& name) {
  static constexpr std::string_view ends[] = {".absmax",           ".quant_map",   ".scale_weight", ".weight_scale",
                                              ".weight_scale_inv", ".input_scale", ".scale_input",  ".zero_point",
                                              ".qzeros",           ".scales",      "scaled_fp8",    ".weight_format"};
  return std::ranges::any_of(ends, [&](std::string_view end) { return name.ends_with(end); });
}

}  // namespace

// transformers changed two names over the years: CLIP's prefix, and which of T5's two tied embeddings is written.
std::string StoredParameters::name_in_file(const std::string& name) const {
  if (store_.contains(name)) return name;
  if (const std::string old = "text_model." + name; store_.contains(old)) return old;
  if (name == "shared.weight" && store_.contains("encoder.embed_tokens.weight")) return "encoder.embed_tokens.weight";
  return name;
}

Tensor StoredParameters::provide(const std::string& name, const Shape& shape, Init) {
  const Tensor t = computable(store_.get(name_in_file(name), shape), store_.path().string() + ": " + name);
  return trainable_ ? f32_copy(t) : t;
}

void StoredParameters::finish() const {
  std::vector<std::string> left = store_.unused();
  // Copies of a tied embedding, and CLIP's table of positions 0, 1, 2, …, hold nothing of their own.
  std::erase_if(left, [](const std::string& n) {
    return n == "encoder.embed_tokens.weight" || n == "shared.weight" || n.ends_with("position_ids");
  });
  if (left.empty()) return;
  const auto scale = std::ranges::find_if(left, belongs_to_quantized);
  check(scale == left.end(),
        "{}: '{}' says that weights are quantized, which is not supported; save them as BF16 or F32",
        store_.path().string(), scale == left.end() ? "" : *scale);
  constexpr size_t most = 4;
  const auto first = std::span(left).first(std::min(most, left.size()));
  warn_once(fmt::format("{}: {} tensor{} no place in this model and {} not used: {}{}", store_.path().string(),
                        left.size(), left.size() == 1 ? " has" : "s have", left.size() == 1 ? "is" : "are",
                        fmt::join(first, ", "), left.size() > most ? ", …" : ""));
}

}  // namespace baton
