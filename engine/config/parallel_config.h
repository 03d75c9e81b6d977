#pragma once

#include <string>

#include "engine/config/visitor.h"

namespace baton {

// How many ranks work together, and how (engine/parallel/mesh.h).
struct ParallelConfig {
  int64_t ranks = 0;  // 0: as many as the mesh says
  std::string mesh;   // "tp=2,dp=2"; empty: replicas
  bool sequence_parallel = false;
  int64_t text_ranks = 0;  // beside those of the mesh; they encode texts for them
  int64_t interleave = 1;  // pieces of the stack of blocks that each rank of axis pp holds
  bool profile = false;
};

void visit(ConfigVisitor& v, ParallelConfig& config);
// Throws InputError for a mesh that cannot be, or that does not fit the ranks.
void resolve(const ParallelConfig& config);
// The number of ranks that is meant, those for texts included.
int count_ranks(const ParallelConfig& config);

}  // namespace baton
