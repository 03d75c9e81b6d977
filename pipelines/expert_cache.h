#pragma once

#include <future>
#include <map>
#include <memory>

#include "engine/io/pipeline_directory.h"

namespace baton {

// Keeps the experts of a run in memory, each read when it is first needed.
class ExpertCache {
 public:
  // `keep_all`: experts stay after the hand-over, for the pictures that follow; else each is let go when its successor
  // takes over.
  ExpertCache(const PipelineDirectory& model, DType compute, bool keep_all, const Layout& layout)
      : model_(model), compute_(compute), keep_all_(keep_all), layout_(layout) {}

  WanTransformer& get(int expert);
  // Starts to read `expert` in the background, so that the hand-over to it does not wait.
  void prefetch(int expert);

 private:
  const PipelineDirectory& model_;
  DType compute_;
  bool keep_all_;
  Layout layout_;
  std::map<int, std::unique_ptr<WanTransformer>> loaded_;
  std::map<int, std::future<std::unique_ptr<WanTransformer>>> coming_;
};

}  // namespace baton
