#include "engine/io/stored_parameters.h"

#include "engine/core/error.h"

namespace baton {
namespace {

Tensor f16_as_f32(const Tensor& t) {
  Tensor out = Tensor::empty(t.shape());
  const uint16_t* from = t.data<uint16_t>();
  float* to = out.data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) to[i] = f16_to_f32(from[i]);
  return out;
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
  Tensor t = store_.get(name_in_file(name), shape);
  check(t.dtype() == DType::f32 || t.dtype() == DType::bf16 || t.dtype() == DType::f16,
        "{}: {} is {}, expected f32, bf16 or f16", store_.path().string(), name, baton::name(t.dtype()));
  if (t.dtype() == DType::f16) t = f16_as_f32(t);
  return trainable_ ? f32_copy(t) : t;
}

void StoredParameters::finish() const {
  std::vector<std::string> left = store_.unused();
  // Copies of a tied embedding, and CLIP's table of positions 0, 1, 2, …, hold nothing of their own.
  std::erase_if(left, [](const std::string& n) {
    return n == "encoder.embed_tokens.weight" || n == "shared.weight" || n.ends_with("position_ids");
  });
  check(left.empty(), "{}: {} tensors have no place in this model, the first is {}; is config.json of the same model?",
        store_.path().string(), left.size(), left.empty() ? "" : left.front());
}

}  // namespace baton
