#include "engine/ops/attention.h"

#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "kernels/attention.h"

namespace baton {
namespace {

void check_inputs(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  require(q && k && v && q.rank() == 4 && k.rank() == 4,
          "attention: q, k and v must be [batch, tokens, heads, head size]");
  require(q.dtype() == DType::f32 || q.dtype() == DType::bf16, "attention: q is {}, expected f32 or bf16",
          name(q.dtype()));
  require(k.dtype() == q.dtype() && v.dtype() == q.dtype(),
          "attention: q is {}, k {} and v {}: give all three the same type", name(q.dtype()), name(k.dtype()),
          name(v.dtype()));
  require(k.shape() == v.shape(), "attention: k is {} and v {}, expected equal shapes", k.shape(), v.shape());
  require((k.dim(0) == q.dim(0) || k.dim(0) == 1) && k.dim(2) == q.dim(2) && k.dim(3) == q.dim(3),
          "attention: q is {} and k {}: they may differ in the number of tokens, or k may have batch 1", q.shape(),
          k.shape());
  for (const Tensor* t : {&q, &k, &v})
    require(t->stride()[3] == 1 || t->dim(3) == 1,
            "attention: the last dimension of q, k and v must be contiguous (strides {})", t->stride());
  require(!options.causal || q.dim(1) == k.dim(1),
          "attention: causal with {} queries and {} keys, expected equally many", q.dim(1), k.dim(1));
  if (const Tensor& bias = options.bias)
    require(bias.dtype() == DType::f32 && bias.rank() == 3 && (bias.dim(0) == 1 || bias.dim(0) == q.dim(2)) &&
                bias.dim(1) == q.dim(1) && bias.dim(2) == k.dim(1) && bias.stride()[2] == 1,
            "attention: the bias is {} {}, expected f32 [{} or 1, {}, {}] with contiguous rows", name(bias.dtype()),
            bias.shape(), q.dim(2), q.dim(1), k.dim(1));
  if (const Tensor& count = options.key_count)
    require(count.dtype() == DType::f32 && count.rank() == 2 && (count.dim(0) == q.dim(0) || count.dim(0) == 1) &&
                count.dim(1) == k.dim(1) && count.stride()[1] == 1,
            "attention: key_count is {} {}, expected f32 [{}, {}] with contiguous rows", name(count.dtype()),
            count.shape(), q.dim(0), k.dim(1));
}

float scale_of(const AttentionOptions& options, int64_t head_size) {
  return options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<float>(head_size));
}

kernels::AttentionInputs inputs_of(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  return {q.view(),      k.view(), v.view(), options.bias.view(), options.key_count.view(), scale_of(options, q.dim(3)),
          options.causal};
}

void run_forward(const kernels::AttentionInputs& in, const Tensor& out, const Tensor& lse) {
  if (out.numel() == 0) return;
  kernels::AttentionForwardArgs args{in, out.view(), lse.view(), nullptr};
  const Tensor scratch = Tensor::empty({kernels::cpu::attention_forward_scratch(args)});
  args.scratch = scratch.data<float>();
  kernels::cpu::attention_forward(args);
}

// Gradients of q, k, v and the bias; those that are defined are filled.
void run_backward(const kernels::AttentionInputs& in, const AttentionPart& forward, const Tensor& grad_out,
                  std::span<const Tensor> grads) {
  if (grad_out.numel() == 0) {
    for (const Tensor& grad : grads)
      if (grad) copy_into(Tensor::zeros(grad.shape()), grad);
    return;
  }
  kernels::AttentionBackwardArgs args{in,
                                      forward.out.view(),
                                      grad_out.view(),
                                      forward.lse.view(),
                                      grads[0].view(),
                                      grads[1].view(),
                                      grads[2].view(),
                                      grads[3].view(),
                                      nullptr};
  const Tensor scratch = Tensor::empty({kernels::cpu::attention_backward_scratch(args)});
  args.scratch = scratch.data<float>();
  kernels::cpu::attention_backward(args);
}

Tensor with_contiguous_heads(const Tensor& x) { return x.stride()[3] == 1 ? x : contiguous(x); }

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  check_inputs(q, k, v, options);
  const Tensor inputs[] = {q, k, v, options.bias};
  const bool recorded = wants_grad(inputs);
  Tensor out = Tensor::empty(q.shape(), q.dtype());
  const Tensor lse = recorded ? Tensor::empty({q.dim(0), q.dim(2), q.dim(1)}) : Tensor();
  const kernels::AttentionInputs in = inputs_of(q, k, v, options);
  run_forward(in, out, lse);
  if (!recorded) return out;

  // `in` points into the tensors kept beside it.
  const std::vector<Tensor> kept{q.detach(), k.detach(), v.detach(), options.bias.detach(), options.key_count.detach()};
  const std::vector<bool> wanted{q.requires_grad(), k.requires_grad(), v.requires_grad(), options.bias.requires_grad()};
  record("attention", {out}, inputs,
         [in, kept, wanted, forward = AttentionPart{out.detach(), lse}](std::span<const Tensor> grad_outputs) {
           const Shape of_queries = kept[0].shape();
           const Shape of_keys{of_queries[0], kept[1].dim(1), of_queries[2], of_queries[3]};
           const DType dtype = kept[0].dtype();
           std::vector<Tensor> grads(4);
           if (wanted[0]) grads[0] = Tensor::empty(of_queries, dtype);
           if (wanted[1]) grads[1] = Tensor::empty(of_keys, dtype);
           if (wanted[2]) grads[2] = Tensor::empty(of_keys, dtype);
           if (wanted[3]) grads[3] = Tensor::zeros(kept[3].shape());
           run_backward(in, forward, with_contiguous_heads(grad_outputs[0]), grads);
           return grads;
         });
  return out;
}

AttentionPart attention_part(const Tensor& q, const Tensor& k, const Tensor& v) {
  check_inputs(q, k, v, {});
  const AttentionPart part{Tensor::empty(q.shape()), Tensor::empty({q.dim(0), q.dim(2), q.dim(1)})};
  run_forward(inputs_of(q, k, v, {}), part.out, part.lse);
  return part;
}

std::array<Tensor, 3> attention_part_gradients(const Tensor& q, const Tensor& k, const Tensor& v,
                                               const AttentionPart& whole, const Tensor& grad_out) {
  check_inputs(q, k, v, {});
  const Tensor grads[] = {Tensor::empty(q.shape()), Tensor::empty(k.shape()), Tensor::empty(v.shape()), Tensor()};
  run_backward(inputs_of(q, k, v, {}), whole, with_contiguous_heads(grad_out), grads);
  return {grads[0], grads[1], grads[2]};
}

}  // namespace baton
