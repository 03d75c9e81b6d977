#pragma once

#include <array>

#include "engine/parallel/mesh.h"
#include "engine/plan/machine.h"

namespace baton {

// What a piece of work costs one rank: its device, and the host that starts the device's kernels and collectives.
struct Cost {
  double flops = 0;                                // of matrix products
  double compute = 0;                              // seconds of the device
  std::array<double, axis_count> communication{};  // seconds that no computation hides, by axis
  double host = 0;                                 // seconds of the host, beside all these

  double device() const;                                 // seconds of compute and communication
  double waits() const;                                  // seconds in which the device waits for the host
  double seconds() const { return device() + waits(); }  // of whichever takes longer
  double& on(Axis axis) { return communication[static_cast<int>(axis)]; }
  Cost& operator+=(const Cost& other);
};
Cost operator*(double times, Cost cost);

// The forward and the backward pass of the same work; recomputation is part of the latter.
struct PassCosts {
  Cost forward, backward;

  double seconds() const { return forward.seconds() + backward.seconds(); }  // the one begins when the other is done
  PassCosts& operator+=(const PassCosts& other);
};
PassCosts operator*(double times, const PassCosts& costs);

// `batch` products [m, k] x [k, n].
struct Gemm {
  double m, n, k, batch = 1;
};

// 2 m n k FLOP at efficiency e / (1 + h (1/m + 1/n + 1/k)), with e = gemm_efficiency and h = gemm_half_size. The sum is
// the product's bytes over its FLOPs, so this is a roofline whose corner is rounded off; tiles that do not fill the
// processor cost in the same proportion.
Cost gemm_cost(const Machine& machine, DType compute, const Gemm& gemm);

// The product and the two of its backward pass: for the input and for the weight.
PassCosts linear_cost(const Machine& machine, DType compute, const Gemm& gemm);

// A pass that reads and writes so many bytes and computes little.
Cost pass_cost(const Machine& machine, double bytes);

// So many kernels with next to nothing to do.
Cost kernels_cost(const Machine& machine, double count);

// What the host does for so many collectives; how long they take is in collective.h.
Cost collectives_cost(const Machine& machine, double count);

// Seconds of a collective that remain when as much as possible of it happens beside `compute` seconds of other work.
double exposed(const Machine& machine, double communication, double compute);

}  // namespace baton
