#include "kernels/embedding.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/embedding.cpp"
#include "kernels/cpu/targets.h"
//
#include "hwy/foreach_target.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {
namespace {

void gather_rows_here(const GatherRowsArgs& args) {
  const int64_t d = args.table.shape[1];
  const int32_t* ids = args.ids.as<const int32_t>();
  with_type(args.table.dtype, [&](auto table_type) {
    with_type(args.out.dtype, [&](auto out_type) {
      const auto* table = args.table.as<const decltype(table_type)>();
      auto* out = args.out.as<decltype(out_type)>();
      parallel_for(args.out.shape[0], d, [&](int64_t begin, int64_t end, int) {
        for (int64_t n = begin; n < end; ++n) {
          const auto* row = table + ids[n] * d;
          for_each_vector(d, [&](int64_t i, auto part) { store(load(row + i, part), out + n * d + i, part); });
        }
      });
    });
  });
}

// The rows of the target are dealt out to owners by their number, and each owner goes through all ids.
void scatter_add_rows_here(const ScatterAddRowsArgs& args) {
  constexpr int64_t owners = 64;
  const int64_t count = args.source.shape[0], d = args.source.shape[1];
  const int32_t* ids = args.ids.as<const int32_t>();
  float* target = args.target.as<float>();
  with_type(args.source.dtype, [&](auto type) {
    const auto* source = args.source.as<const decltype(type)>();
    parallel_for(owners, count * d / owners, [&](int64_t begin, int64_t end, int) {
      for (int64_t n = 0; n < count; ++n) {
        const int64_t owner = ids[n] % owners;
        if (owner < begin || owner >= end) continue;
        float* row = target + ids[n] * d;
        for_each_vector(d, [&](int64_t i, auto part) {
          store(hn::Add(load(row + i, part), load(source + n * d + i, part)), row + i, part);
        });
      }
    });
  });
}

}  // namespace
}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {
HWY_EXPORT(gather_rows_here);
HWY_EXPORT(scatter_add_rows_here);
void gather_rows(const GatherRowsArgs& args) { HWY_DYNAMIC_DISPATCH(gather_rows_here)(args); }
void scatter_add_rows(const ScatterAddRowsArgs& args) { HWY_DYNAMIC_DISPATCH(scatter_add_rows_here)(args); }
}  // namespace baton::kernels::cpu
#endif
