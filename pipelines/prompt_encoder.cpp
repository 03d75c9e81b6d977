#include "pipelines/prompt_encoder.h"

#include "engine/autograd/tape.h"
#include "engine/core/log.h"
#include "engine/core/utf8.h"
#include "engine/data/prompt.h"
#include "engine/data/tokenizer.h"
#include "engine/ops/view.h"

namespace baton {

struct PromptEncoder::Part {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<TextEncoder> encoder;

  TextStates encode(const std::vector<std::string>& texts, int64_t max_length) const {
    std::vector<std::vector<int32_t>> ids;
    for (const std::string& text : texts) {
      const Tokens tokens = tokenizer->encode(text, max_length);
      if (tokens.cut)
        warn_once(fmt::format("the prompt is longer than {} tokens; left out: \"{}\"", max_length,
                              utf8_excerpt(tokens.cut_text)));
      ids.emplace_back(tokens.ids.begin(), tokens.ids.begin() + tokens.used);
    }
    return encode_texts(*encoder, ids, max_length);
  }
};

PromptEncoder::PromptEncoder(const PipelineDirectory& model, DType compute)
    : max_length_(model.defaults().max_sequence_length) {
  for (int i = 0; i < model.text_encoders(); ++i) {
    auto part = std::make_unique<Part>();
    part->tokenizer = open_tokenizer(model.tokenizer_folder(i));
    part->encoder = model.load_text_encoder(i, compute);
    parts_.push_back(std::move(part));
  }
}

PromptEncoder::~PromptEncoder() = default;

TextStates PromptEncoder::encode(const std::vector<std::string>& texts) const {
  NoGrad off;
  std::vector<std::string> clean;
  for (const std::string& text : texts) {
    clean.push_back(clean_prompt(text));
    if (const std::string piece = foreign_syntax(text); !piece.empty())
      warn_once(
          fmt::format("\"{}\" is drawn as words: weights, choices and adapters in the prompt are not understood yet",
                      utf8_excerpt(piece)));
  }
  std::vector<Tensor> states, counts;
  for (const auto& part : parts_) {
    const TextStates own = part->encode(clean, max_length_);
    states.push_back(own.states);
    counts.push_back(own.count);
  }
  return {concat(states, 1), concat(counts, 1)};
}

}  // namespace baton
