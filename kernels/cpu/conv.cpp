#include "kernels/conv.h"

#include "kernels/convert.h"
#include "kernels/cpu/onednn.h"

namespace baton::kernels::cpu {
namespace {

using dnnl::algorithm;
using dnnl::memory;

// A convolution and the reorder between the caller's weight and the blocked layout that oneDNN chose for it.
struct ConvPlan {
  onednn::Plan convolution, reorder;
  int64_t weight_bytes;  // of the blocked layout
};

constexpr int weight_slot = onednn::first_free_slot;

enum class Pass { forward, data, weight };

struct Descs {
  memory::desc x, y, weight, any_weight, any_weight_like_x, bias;
  memory::dims stride, before, after;

  explicit Descs(const ConvArgs& args) {
    const auto type = onednn::data_type(args.x.dtype), weight_type = onednn::data_type(args.weight.dtype);
    const auto nchw = [](const View& v) { return memory::dims{v.shape[0], v.shape[3], v.shape[1], v.shape[2]}; };
    x = memory::desc(nchw(args.x), type, memory::format_tag::nhwc);
    y = memory::desc(nchw(args.y), type, memory::format_tag::nhwc);
    const View& w = args.weight;
    const memory::dims shape(w.shape, w.shape + 4);
    weight = memory::desc(shape, weight_type, memory::dims(w.stride, w.stride + 4));
    any_weight = memory::desc(shape, weight_type, memory::format_tag::any);
    any_weight_like_x = memory::desc(shape, type, memory::format_tag::any);
    if (args.bias) bias = memory::desc({args.bias.shape[0]}, onednn::data_type(args.bias.dtype), memory::format_tag::x);
    stride = {args.stride, args.stride};
    before = {args.top, args.left};
    after = {args.bottom, args.right};
  }
};

dnnl::convolution_forward::primitive_desc forward_desc(const Descs& d, bool inference) {
  const auto kind = inference ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
  return onednn::describe<dnnl::convolution_forward>(onednn::attributes(), kind, algorithm::convolution_direct, d.x,
                                                     inference ? d.any_weight : d.any_weight_like_x, d.bias, d.y,
                                                     d.stride, d.before, d.after);
}

ConvPlan forward_plan(const Descs& d) {
  const auto chosen = forward_desc(d, true);
  const memory::desc blocked = chosen.weights_desc();
  return {
      onednn::Plan(dnnl::convolution_forward(chosen), chosen.scratchpad_desc(),
                   {{DNNL_ARG_SRC, d.x}, {DNNL_ARG_WEIGHTS, blocked}, {DNNL_ARG_BIAS, d.bias}, {DNNL_ARG_DST, d.y}}),
      onednn::reorder_plan(d.weight, blocked), static_cast<int64_t>(blocked.get_size())};
}

ConvPlan data_plan(const Descs& d) {
  const auto chosen = onednn::describe_backward<dnnl::convolution_backward_data>(
      forward_desc(d, false), algorithm::convolution_direct, d.x, d.any_weight, d.y, d.stride, d.before, d.after);
  const memory::desc blocked = chosen.weights_desc();
  return {onednn::Plan(dnnl::convolution_backward_data(chosen), chosen.scratchpad_desc(),
                       {{DNNL_ARG_DIFF_SRC, d.x}, {DNNL_ARG_WEIGHTS, blocked}, {DNNL_ARG_DIFF_DST, d.y}}),
          onednn::reorder_plan(d.weight, blocked), static_cast<int64_t>(blocked.get_size())};
}

ConvPlan weight_plan(const Descs& d) {
  const auto chosen = onednn::describe_backward<dnnl::convolution_backward_weights>(
      forward_desc(d, false), algorithm::convolution_direct, d.x, d.any_weight, d.y, d.stride, d.before, d.after);
  const memory::desc blocked = chosen.diff_weights_desc();
  return {onednn::Plan(dnnl::convolution_backward_weights(chosen), chosen.scratchpad_desc(),
                       {{DNNL_ARG_SRC, d.x}, {DNNL_ARG_DIFF_WEIGHTS, blocked}, {DNNL_ARG_DIFF_DST, d.y}}),
          onednn::reorder_plan(blocked, d.weight), static_cast<int64_t>(blocked.get_size())};
}

ConvPlan& plan_for(const ConvArgs& args, Pass pass) {
  const auto &x = args.x.shape, &y = args.y.shape, &w = args.weight.shape, &step = args.weight.stride;
  const onednn::Key<20> key{{static_cast<int64_t>(pass),
                             static_cast<int64_t>(args.x.dtype),
                             args.bias ? static_cast<int64_t>(args.bias.dtype) : -1,
                             x[0],
                             x[1],
                             x[2],
                             x[3],
                             y[1],
                             y[2],
                             w[0],
                             w[2],
                             w[3],
                             step[0],
                             step[1],
                             step[2],
                             step[3],
                             args.stride,
                             args.top,
                             args.left,
                             args.bottom * 65536 + args.right}};
  thread_local onednn::PlanCache<20, ConvPlan> plans;
  return plans.get(key, [&] {
    const Descs descs(args);
    switch (pass) {
      case Pass::forward:
        return forward_plan(descs);
      case Pass::data:
        return data_plan(descs);
      default:
        return weight_plan(descs);
    }
  });
}

// The arguments in f32 where the processor has no bf16 instructions; the outputs are not filled.
ConvArgs widened(const ConvArgs& args, Pass pass) {
  ConvArgs wide = args;
  constexpr int slot = onednn::first_free_slot + 1;
  const auto as_output = [](const View& view, int at) { return onednn::scratch_like(view, DType::f32, at); };
  wide.x = pass == Pass::data ? as_output(args.x, slot) : onednn::widened(args.x, slot);
  wide.y = pass == Pass::forward ? as_output(args.y, slot + 1) : onednn::widened(args.y, slot + 1);
  if (pass != Pass::weight) wide.weight = onednn::widened(args.weight, slot + 2);
  return wide;
}

bool needs_widening(const ConvArgs& args) { return args.x.dtype == DType::bf16 && !onednn::has_bf16(); }

}  // namespace

void conv2d(const ConvArgs& args) {
  if (args.y.numel() == 0) return;
  if (needs_widening(args)) {
    const ConvArgs wide = widened(args, Pass::forward);
    conv2d(wide);
    return copy({wide.y, args.y});
  }
  ConvPlan& plan = plan_for(args, Pass::forward);
  void* weight = onednn::scratch(weight_slot, plan.weight_bytes);
  plan.reorder.run({args.weight.data, weight});
  plan.convolution.run({args.x.data, weight, args.bias.data, args.y.data});
}

void conv2d_backward_data(const ConvArgs& args) {
  if (args.x.numel() == 0) return;
  if (needs_widening(args)) {
    const ConvArgs wide = widened(args, Pass::data);
    conv2d_backward_data(wide);
    return copy({wide.x, args.x});
  }
  ConvPlan& plan = plan_for(args, Pass::data);
  void* weight = onednn::scratch(weight_slot, plan.weight_bytes);
  plan.reorder.run({args.weight.data, weight});
  plan.convolution.run({args.x.data, weight, args.y.data});
}

void conv2d_backward_weight(const ConvArgs& args) {
  if (args.y.numel() == 0) {
    std::memset(args.weight.data, 0, args.weight.numel() * size_of(DType::f32));
    return;
  }
  if (needs_widening(args)) return conv2d_backward_weight(widened(args, Pass::weight));
  ConvPlan& plan = plan_for(args, Pass::weight);
  void* weight = onednn::scratch(weight_slot, plan.weight_bytes);
  plan.convolution.run({args.x.data, weight, args.y.data});
  plan.reorder.run({weight, args.weight.data});
}

}  // namespace baton::kernels::cpu
