#pragma once

#include <functional>

#include "engine/config/parallel_config.h"
#include "engine/parallel/layout.h"
#include "pipelines/agreement.h"
#include "pipelines/runtime.h"
#include "pipelines/text_ranks.h"

namespace baton {

// What ranks do.
struct Roles {
  std::function<void(const Layout& layout, TextRanks* text)> draw;  // text: null if it encodes texts itself
  std::function<void(TextRanks& text)> encode;                      // as one of config.text_ranks
};

// What the ranks must have alike, found out only if they are processes: those of one read the same config and files.
using FindTerms = std::function<Terms()>;

// Runs its role on every rank that the config asks for, each with its share of the CPU threads; with one, in this
// thread. Started by mpirun, the processes are the ranks, and this one's is run. `loads`: of each expert, for an axis
// ep without sizes. Throws what the first rank that failed threw; an error of one process ends them all, a rank that
// hangs ends its process. Returns whether this process has the first rank.
bool on_ranks(const ParallelConfig& config, const Runtime& runtime, std::span<const double> loads,
              const FindTerms& terms, const Roles& roles);
// The same for work without texts to encode ahead: InputError for text_ranks.
bool on_ranks(const ParallelConfig& config, const Runtime& runtime, std::span<const double> loads,
              const FindTerms& terms, const std::function<void(const Layout&)>& body);

}  // namespace baton
