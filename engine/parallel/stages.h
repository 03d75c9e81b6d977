#pragma once

#include "engine/parallel/layout.h"

namespace baton {

// How a stack of blocks lies on the ranks of axis pp: it is cut into even_parts(), a stage each, as many as ranks times
// Layout::pieces(). Rank r has the stages r, r + ranks, … (Narayanan et al. 2021, section 2.2).
class Stages {
 public:
  Stages() = default;  // one stage, everything
  // Throws InputError when there are fewer blocks than stages.
  Stages(const Layout& layout, int64_t blocks);

  int count() const { return ranks() * pieces_; }
  int ranks() const { return layout_.on(Axis::pp).size(); }
  int pieces() const { return pieces_; }
  int owner(int stage) const { return stage % ranks(); }  // rank of axis pp
  bool has(int stage) const { return owner(stage) == layout_.on(Axis::pp).rank(); }
  bool has_last() const { return has(count() - 1); }
  bool is_last(int stage) const { return stage == count() - 1; }

  // Blocks [first, end) of a stage.
  struct Blocks {
    int64_t first, end;
  };
  Blocks blocks(int stage) const;
  bool has_block(int64_t block) const;

  // Where the states travel from stage to stage, and where their gradients travel back.
  Group& forward() const { return layout_.on(Axis::pp); }
  Group& backward() const { return layout_.backward_pp(); }

 private:
  Layout layout_;
  int pieces_ = 1;
  int64_t blocks_ = 0;
};

}  // namespace baton
