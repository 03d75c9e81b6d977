#include "engine/parallel/stages.h"

#include "engine/core/error.h"
#include "engine/parallel/region.h"

namespace baton {

Stages::Stages(const Layout& layout, int64_t blocks)
    : layout_(layout), pieces_(layout.on(Axis::pp).size() > 1 ? layout.pieces() : 1), blocks_(blocks) {
  check(count() <= blocks, "denoiser: {} blocks for pp={} with {} piece{} each; at most {} stages are possible", blocks,
        ranks(), pieces_, pieces_ == 1 ? "" : "s", blocks);
}

Stages::Blocks Stages::blocks(int stage) const {
  const std::vector<int64_t> parts = even_parts(blocks_, count());
  const int64_t first = part_start(parts, stage);
  return {first, first + parts[stage]};
}

bool Stages::has_block(int64_t block) const {
  int stage = 0;
  while (blocks(stage).end <= block) ++stage;
  return has(stage);
}

}  // namespace baton
