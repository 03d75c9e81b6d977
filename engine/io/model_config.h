#pragma once

#include <string>

#include "engine/io/json.h"
#include "engine/models/clip_text.h"
#include "engine/models/t5_encoder.h"
#include "engine/models/wan_transformer.h"
#include "engine/models/wan_vae.h"

// config.json of each model family, as diffusers and transformers write it. Reading refuses values that Baton has no
// code for, naming those that it has; keys that neither library reads are named in a warning. Writing gives every key,
// so that a directory of ours loads there.
namespace baton {

WanTransformerConfig read_wan_transformer_config(const Path& file);
Json wan_transformer_json(const WanTransformerConfig& config);

WanVaeConfig read_wan_vae_config(const Path& file);
Json wan_vae_json(const WanVaeConfig& config);

// `architecture`: "T5EncoderModel" or "UMT5EncoderModel".
T5EncoderConfig read_t5_config(const Path& file, const std::string& architecture);
Json t5_json(const T5EncoderConfig& config);

ClipTextConfig read_clip_text_config(const Path& file);

}  // namespace baton
