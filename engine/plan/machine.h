#pragma once

#include <string>

#include "engine/config/visitor.h"
#include "engine/core/dtype.h"
#include "engine/io/file.h"

namespace baton {

// A kind of connection between two devices, as one device sees it.
struct Link {
  double bandwidth = 0;   // bytes per second that a device sends
  double efficiency = 1;  // share of it that a long message gets
  double latency = 0;     // seconds before the first byte of a message arrives
};

// What a program's host thread takes to start work on a device. It runs ahead of the device, which waits where it
// cannot keep ahead; 0 where the host itself computes, as a CPU does.
struct Host {
  double kernel = 0;      // seconds for a kernel, with all that the program does about the operation that it belongs to
  double collective = 0;  // … for a collective or a message
};

// A computer, or a cluster of equal nodes, by the constants that decide how long training takes (configs/machines).
struct Machine {
  std::string name;
  double memory = 0;           // bytes of a device
  int64_t devices = 1;         // in a node
  double matrix_16bit = 0;     // peak FLOP/s of matrix products in bf16 or f16
  double matrix_f32 = 0;       // … in f32
  double gemm_efficiency = 1;  // share of the peak that a very large product gets
  double gemm_half_size = 0;   // a cube of three times this many rows, columns and depth gets half of that share
  double bandwidth = 0;        // bytes per second of a device's memory
  double bandwidth_efficiency = 1;
  double launch = 0;   // seconds of a device from one kernel to the next, however early the host started it
  double overlap = 0;  // share of a collective that independent work can hide
  Host host;
  Link inside, between;  // nodes

  double peak(DType compute) const { return compute == DType::f32 ? matrix_f32 : matrix_16bit; }
};

void visit(ConfigVisitor& v, Machine& machine);

// Reads a machine file. InputError, naming file and key, for what is missing or out of range.
Machine read_machine(const Path& file);

}  // namespace baton
