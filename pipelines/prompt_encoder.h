#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/io/pipeline_directory.h"
#include "engine/models/text_states.h"

namespace baton {

class Tokenizer;

// All text encoders of a pipeline with their tokenizers. The states of several encoders stand one behind the other
// along the sequence.
class PromptEncoder {
 public:
  PromptEncoder(const PipelineDirectory& model, DType compute);
  ~PromptEncoder();

  // One row for each text. A text that is too long is cut, with a warning that says what is left out.
  TextStates encode(const std::vector<std::string>& texts) const;

 private:
  struct Part;
  std::vector<std::unique_ptr<Part>> parts_;
  int64_t max_length_;
};

}  // namespace baton
