#include "engine/plan/machine.h"

#include "engine/config/yaml.h"
#include "engine/core/error.h"

namespace baton {
namespace {

constexpr double most = 1e30;

void visit(ConfigVisitor& v, Link& link) {
  v("bandwidth", link.bandwidth, "bytes per second that a device sends", {0, most});
  v("efficiency", link.efficiency, "share of the bandwidth that a long message gets", {0.01, 1});
  v("latency", link.latency, "seconds before the first byte of a message arrives", {0, 1});
}

void visit(ConfigVisitor& v, Host& host) {
  v("kernel", host.kernel, "seconds of the host to start a kernel", {0, 1});
  v("collective", host.collective, "seconds of the host to start a collective or a message", {0, 1});
}

void check_given(const Path& file, const char* key, double value) {
  check(value > 0, "{}: {}: missing; a machine file gives it as a number above 0, like those in configs/machines",
        file.string(), key);
}

}  // namespace

void visit(ConfigVisitor& v, Machine& m) {
  v("name", m.name, "for people");
  v("memory", m.memory, "bytes of a device", {0, most});
  v("devices", m.devices, "devices in a node", {1, 1 << 16});
  v("matrix_16bit", m.matrix_16bit, "peak FLOP/s of matrix products in bf16 or f16", {0, most});
  v("matrix_f32", m.matrix_f32, "peak FLOP/s of matrix products in f32", {0, most});
  v("gemm_efficiency", m.gemm_efficiency, "share of the peak that a very large product gets", {0.01, 1});
  v("gemm_half_size", m.gemm_half_size, "a cube of three times this size gets half of that share", {0, 1e6});
  v("bandwidth", m.bandwidth, "bytes per second of a device's memory", {0, most});
  v("bandwidth_efficiency", m.bandwidth_efficiency, "share of it that a pass over tensors gets", {0.01, 1});
  v("launch", m.launch, "seconds of a device from one kernel to the next", {0, 1});
  v("overlap", m.overlap, "share of a collective that independent work can hide", {0, 1});
  v.section("host", "the thread that starts kernels", [&] { visit(v, m.host); });
  v.section("inside", "a node: the link between two of its devices", [&] { visit(v, m.inside); });
  v.section("between", "nodes: a device's share of its node's network", [&] { visit(v, m.between); });
}

Machine read_machine(const Path& file) {
  Machine m;
  read_fields(file, {}, [&](ConfigVisitor& v) { visit(v, m); });
  check_given(file, "memory", m.memory);
  check_given(file, "matrix_16bit", m.matrix_16bit);
  check_given(file, "matrix_f32", m.matrix_f32);
  check_given(file, "bandwidth", m.bandwidth);
  if (m.devices > 1) check_given(file, "inside.bandwidth", m.inside.bandwidth);
  if (m.name.empty()) m.name = file.stem().string();
  return m;
}

}  // namespace baton
