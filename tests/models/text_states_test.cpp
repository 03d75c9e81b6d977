#include "engine/models/text_states.h"

#include <gtest/gtest.h>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/models/clip_text.h"
#include "engine/models/t5_encoder.h"
#include "engine/models/wan_transformer.h"
#include "engine/ops/view.h"
#include "tests/models/tiny_models.h"

namespace baton {
namespace {

const T5EncoderConfig text_config = test::tiny_text_encoder(20);
constexpr int64_t max_length = 7;

class TextStatesTest : public testing::Test {
 protected:
  TextStatesTest() : encoder_(text_config, random_, DType::f32) {}
  RandomParameters random_{3};
  T5Encoder encoder_;
  const std::vector<std::vector<int32_t>> texts_{{4, 9, 1}, {7, 1}, {1}, {2, 3, 4, 5, 6, 7, 1}};
};

TEST_F(TextStatesTest, ATextIsTheSameAloneAndInABatch) {
  NoGrad off;
  const TextStates all = encode_texts(encoder_, texts_, max_length);
  EXPECT_EQ(all.states.shape(), (Shape{4, 8, 16}));
  for (size_t i = 0; i < texts_.size(); ++i) {
    const TextStates one = encode_texts(encoder_, {texts_[i]}, max_length);
    const auto tokens = static_cast<int64_t>(texts_[i].size());
    for (int64_t position = 0; position < 8; ++position)
      for (int64_t d = 0; d < 16; ++d) {
        const float value = all.states.data<float>()[(static_cast<int64_t>(i) * 8 + position) * 16 + d];
        if (position < tokens)
          EXPECT_NEAR(value, one.states.data<float>()[position * 16 + d], 1e-5);
        else
          EXPECT_EQ(value, 0);
      }
  }
}

// Zeros that are counted are zeros that are written out.
TEST_F(TextStatesTest, CountedPaddingIsPadding) {
  NoGrad off;
  const WanTransformer model(test::tiny_transformer(), random_, DType::f32);
  const Tensor latents = Tensor::empty({4, 4, 1, 4, 4});
  random_normal({latents.data<float>(), static_cast<size_t>(latents.numel())}, 1, 2);
  const Tensor timestep = Tensor::full({4}, 500);
  const TextStates counted = encode_texts(encoder_, texts_, max_length);
  const Tensor written = contiguous(narrow(counted.states, 1, 0, max_length));
  const auto a = model(latents, timestep, model.encode_text(counted.states, counted.count)).to_vector(),
             b = model(latents, timestep, model.encode_text(written, {})).to_vector();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4);
}

TEST_F(TextStatesTest, RefusesTokensThatTheEncoderDoesNotKnow) {
  EXPECT_NO_THROW(encode_texts(encoder_, {{19}}, max_length));
  EXPECT_THROW(encode_texts(encoder_, {{20}}, max_length), InputError);
  EXPECT_THROW(encode_texts(encoder_, {{-1}}, max_length), InputError);
}

TEST_F(TextStatesTest, RefusesTextsLongerThanTheEncodersPositions) {
  const ClipText clip({.vocab_size = 20,
                       .hidden_size = 8,
                       .intermediate_size = 8,
                       .num_hidden_layers = 1,
                       .num_attention_heads = 2,
                       .max_position_embeddings = 4},
                      random_, DType::f32);
  EXPECT_NO_THROW(encode_texts(clip, {{1, 2, 3}}, max_length));
  EXPECT_THROW(encode_texts(clip, {{1, 2, 3, 4}}, max_length), InputError);
}

TEST_F(TextStatesTest, RefusesEmptyAndLongTexts) {
  EXPECT_THROW(encode_texts(encoder_, {{}}, max_length), InputError);
  EXPECT_THROW(encode_texts(encoder_, {{1, 2, 3}}, 2), InputError);
}

}  // namespace
}  // namespace baton
