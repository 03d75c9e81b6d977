#include "engine/config/parallel_config.h"

#include "engine/core/error.h"
#include "engine/parallel/mesh.h"

namespace baton {

void visit(ConfigVisitor& v, ParallelConfig& c) {
  v("ranks", c.ranks, "ranks, threads of this process with kernels of their own; 0: as many as the mesh takes",
    {0, 4096});
  v("mesh", c.mesh, "how the ranks work together: AXIS=SIZE,… of ep, pp, dp, cfg, ring, ulysses, tp; empty: dp");
  v("text_ranks", c.text_ranks,
    "ranks beside the mesh that hold the text encoders, and encode while the others load and draw", {0, 64});
  v("sequence_parallel", c.sequence_parallel, "with tp: ranks hold a share of the tokens between its matrices");
  v("interleave", c.interleave, "with pp: pieces of the stack of blocks that each rank holds; above 1 it idles less",
    {1, 256});
  v("profile", c.profile, "print at the end what the first rank sent, by axis");
}

int count_ranks(const ParallelConfig& c) {
  return static_cast<int>(c.ranks > 0 ? c.ranks : parse_mesh(c.mesh).ranks() + c.text_ranks);
}

void resolve(const ParallelConfig& c) {
  const MeshSpec spec = parse_mesh(c.mesh);
  check(!c.sequence_parallel || spec.size(Axis::tp) > 1, "sequence_parallel: only beside tp in the mesh, which is '{}'",
        c.mesh);
  check(c.interleave == 1 || spec.size(Axis::pp) > 1, "interleave: only beside pp in the mesh, which is '{}'", c.mesh);
  check(c.text_ranks < count_ranks(c), "text_ranks: {} of {} ranks leave none for the mesh", c.text_ranks,
        count_ranks(c));
  Mesh(spec, count_ranks(c) - static_cast<int>(c.text_ranks), std::vector<double>(spec.size(Axis::ep), 1.0));
}

}  // namespace baton
