#include "engine/io/model_config.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"

namespace baton {
namespace {

// The end of every reader. Three kinds of keys are left: those of the library around the model, which are known to
// change nothing; quantized weights, for which there is no code; and strangers, which the library leaves unread as
// well.
void finish(JsonReader& r, std::string_view harmless) {
  r.ignore(harmless);
  r.expect("quantization_config", {});
  r.warn_of_unread();
}

void finish_diffusers(JsonReader& r) { finish(r, "_class_name _diffusers_version _name_or_path dtype"); }

// Switches of transformers that do not change the states of an encoder in evaluation: dropout, names of special tokens,
// heads of other tasks, and how to generate text, which configs held until 2023.
void finish_transformers(JsonReader& r) {
  r.expect("pruned_heads", {Json::object()});
  finish(r,
         "_attn_implementation _name_or_path add_cross_attention architectures attention_dropout "
         "attn_implementation bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward "
         "classifier_dropout cross_attention_hidden_size decoder_start_token_id diversity_penalty do_sample "
         "dropout dropout_rate dtype early_stopping encoder_no_repeat_ngram_size eos_token_id "
         "exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id id2label "
         "initializer_factor initializer_range is_decoder is_encoder_decoder label2id length_penalty max_length "
         "min_length model_type n_positions no_repeat_ngram_size num_beam_groups num_beams num_decoder_layers "
         "num_return_sequences output_attentions output_hidden_states output_past output_scores pad_token_id "
         "prefix problem_type projection_dim remove_invalid_values repetition_penalty return_dict "
         "return_dict_in_generate scalable_attention scale_decoder_outputs sep_token_id suppress_tokens "
         "task_specific_params temperature tf_legacy_loss tie_encoder_decoder tie_word_embeddings tokenizer_class "
         "top_k top_p torch_dtype torchscript transformers_version typical_p use_bfloat16 use_cache");
}

// A size must be in [1, most]: a config from a stranger may not make us allocate the world.
int64_t size(JsonReader& r, std::string_view key, int64_t fallback, int64_t most = 1 << 20) {
  const int64_t value = r.optional<int64_t>(key, fallback);
  check(value >= 1 && value <= most, "{} is {}, expected 1 to {}", r.where(key), value, most);
  return value;
}

float epsilon(JsonReader& r, std::string_view key, float fallback) {
  const float value = r.optional(key, fallback);
  check(value >= 0 && value < 1, "{} is {}, expected a small positive number", r.where(key), value);
  return value;
}

void refuse_image_condition(JsonReader& r, std::string_view key) {
  check(!r.has(key),
        "{} is set: this denoiser is conditioned on an image (image to video); Baton runs text-conditioned ones",
        r.where(key));
}

Activation activation(JsonReader& r, std::string_view key, const std::string& word,
                      const std::map<std::string, Activation>& known) {
  const auto it = known.find(word);
  std::vector<std::string> words;
  for (const auto& [name, value] : known) words.push_back(name);
  check(it != known.end(), "{}: '{}' is not one of {}", r.where(key), word, words);
  return it->second;
}

}  // namespace

WanTransformerConfig read_wan_transformer_config(const Path& file) {
  JsonReader r = JsonReader::file(file);
  WanTransformerConfig c;
  const auto patch = r.optional("patch_size", std::vector<int64_t>(c.patch_size.begin(), c.patch_size.end()));
  check(patch.size() == 3 && *std::min_element(patch.begin(), patch.end()) >= 1 &&
            *std::max_element(patch.begin(), patch.end()) <= 64,
        "{} is {}, expected three sizes (frames, rows, columns) of 1 to 64", r.where("patch_size"), patch);
  check(patch[0] == 1, "{} is {}: a picture has one frame, so the first size must be 1", r.where("patch_size"), patch);
  std::copy(patch.begin(), patch.end(), c.patch_size.begin());
  c.num_attention_heads = size(r, "num_attention_heads", c.num_attention_heads, 1024);
  c.attention_head_dim = size(r, "attention_head_dim", c.attention_head_dim, 256);
  check(c.attention_head_dim % 2 == 0, "{} is {}: the rotary embedding needs an even number",
        r.where("attention_head_dim"), c.attention_head_dim);
  c.in_channels = size(r, "in_channels", c.in_channels, 4096);
  c.out_channels = size(r, "out_channels", c.in_channels, 4096);
  c.text_dim = size(r, "text_dim", c.text_dim);
  c.freq_dim = size(r, "freq_dim", c.freq_dim, 65536);
  check(c.freq_dim % 2 == 0, "{} is {}, expected an even number", r.where("freq_dim"), c.freq_dim);
  c.ffn_dim = size(r, "ffn_dim", c.ffn_dim);
  c.num_layers = size(r, "num_layers", c.num_layers, 1024);
  c.cross_attn_norm = r.optional("cross_attn_norm", c.cross_attn_norm);
  const std::string norm = r.optional("qk_norm", "rms_norm_across_heads");
  check(norm == "rms_norm_across_heads", "{} is '{}', expected 'rms_norm_across_heads'", r.where("qk_norm"), norm);
  c.eps = epsilon(r, "eps", c.eps);
  c.rope_max_seq_len = size(r, "rope_max_seq_len", c.rope_max_seq_len);
  for (const char* key : {"image_dim", "added_kv_proj_dim", "pos_embed_seq_len"}) refuse_image_condition(r, key);
  // How related denoisers say that they are built otherwise.
  r.expect("model_type", {"t2v"});
  r.expect("activation_fn", {"gelu-approximate"});
  r.expect("norm_type", {"layer_norm"});
  r.expect("window_size", {Json::array({-1, -1})});
  for (const char* key : {"vace_layers", "vace_in_channels", "guidance_embeds", "add_control_adapter"})
    r.expect(key, {false});
  finish_diffusers(r);
  return c;
}

Json wan_transformer_json(const WanTransformerConfig& c) {
  return {{"_class_name", "WanTransformer3DModel"},
          {"_diffusers_version", "0.42.1"},
          {"added_kv_proj_dim", nullptr},
          {"attention_head_dim", c.attention_head_dim},
          {"cross_attn_norm", c.cross_attn_norm},
          {"eps", c.eps},
          {"ffn_dim", c.ffn_dim},
          {"freq_dim", c.freq_dim},
          {"image_dim", nullptr},
          {"in_channels", c.in_channels},
          {"num_attention_heads", c.num_attention_heads},
          {"num_layers", c.num_layers},
          {"out_channels", c.out_channels},
          {"patch_size", c.patch_size},
          {"pos_embed_seq_len", nullptr},
          {"qk_norm", "rms_norm_across_heads"},
          {"rope_max_seq_len", c.rope_max_seq_len},
          {"text_dim", c.text_dim}};
}

WanVaeConfig read_wan_vae_config(const Path& file) {
  JsonReader r = JsonReader::file(file);
  WanVaeConfig c;
  c.base_dim = size(r, "base_dim", c.base_dim, 4096);
  if (r.has("decoder_base_dim")) c.decoder_base_dim = size(r, "decoder_base_dim", 0, 4096);
  c.z_dim = size(r, "z_dim", c.z_dim, 4096);
  c.dim_mult = r.optional("dim_mult", c.dim_mult);
  check(!c.dim_mult.empty() && c.dim_mult.size() <= 8 && *std::min_element(c.dim_mult.begin(), c.dim_mult.end()) >= 1 &&
            *std::max_element(c.dim_mult.begin(), c.dim_mult.end()) <= 64,
        "{} is {}, expected 1 to 8 multiples of 1 to 64", r.where("dim_mult"), c.dim_mult);
  c.num_res_blocks = size(r, "num_res_blocks", c.num_res_blocks, 64);
  c.attn_scales = r.optional("attn_scales", c.attn_scales);
  c.temperal_downsample = r.optional("temperal_downsample", c.temperal_downsample);
  check(c.temperal_downsample.size() + 1 >= c.dim_mult.size(), "{} has {} entries, dim_mult needs {}",
        r.where("temperal_downsample"), c.temperal_downsample.size(), c.dim_mult.size() - 1);
  c.is_residual = r.optional("is_residual", c.is_residual);
  c.in_channels = size(r, "in_channels", c.in_channels, 4096);
  c.out_channels = size(r, "out_channels", c.out_channels, 4096);
  if (r.has("patch_size")) c.patch_size = size(r, "patch_size", 1, 64);
  c.scale_factor_spatial = size(r, "scale_factor_spatial", c.scale_factor_spatial, 1024);
  c.scale_factor_temporal = size(r, "scale_factor_temporal", c.scale_factor_temporal, 1024);
  const int64_t patch = c.patch_size.value_or(1), factor = patch << (c.dim_mult.size() - 1);
  check(c.scale_factor_spatial == factor, "{} is {}, but {} levels and patches of {} make pictures {} times smaller",
        r.where("scale_factor_spatial"), c.scale_factor_spatial, c.dim_mult.size(), patch, factor);
  check(c.in_channels == c.out_channels && c.in_channels == 3 * patch * patch,
        "{}: {} input and {} output channels, expected {}: three colours of patches of {} x {}", r.where("in_channels"),
        c.in_channels, c.out_channels, 3 * patch * patch, patch, patch);
  c.latents_mean = r.optional("latents_mean", std::vector<float>(c.z_dim, 0.0f));
  c.latents_std = r.optional("latents_std", std::vector<float>(c.z_dim, 1.0f));
  for (const char* key : {"latents_mean", "latents_std"}) {
    const auto& values = std::string_view(key) == "latents_mean" ? c.latents_mean : c.latents_std;
    check(static_cast<int64_t>(values.size()) == c.z_dim, "{} has {} values, z_dim is {}", r.where(key), values.size(),
          c.z_dim);
  }
  check(*std::min_element(c.latents_std.begin(), c.latents_std.end()) > 0, "{}: all must be positive",
        r.where("latents_std"));
  r.ignore("dropout clip_output");
  r.expect("act_fn", {"silu"});
  r.expect("norm_type", {"rms_norm"});
  finish_diffusers(r);
  return c;
}

Json wan_vae_json(const WanVaeConfig& c) {
  return {{"_class_name", "AutoencoderKLWan"},
          {"_diffusers_version", "0.42.1"},
          {"attn_scales", c.attn_scales},
          {"base_dim", c.base_dim},
          {"decoder_base_dim", c.decoder_base_dim ? Json(*c.decoder_base_dim) : Json()},
          {"dim_mult", c.dim_mult},
          {"dropout", 0.0},
          {"in_channels", c.in_channels},
          {"is_residual", c.is_residual},
          {"latents_mean", c.latents_mean},
          {"latents_std", c.latents_std},
          {"num_res_blocks", c.num_res_blocks},
          {"out_channels", c.out_channels},
          {"patch_size", c.patch_size ? Json(*c.patch_size) : Json()},
          {"scale_factor_spatial", c.scale_factor_spatial},
          {"scale_factor_temporal", c.scale_factor_temporal},
          {"temperal_downsample", c.temperal_downsample},
          {"z_dim", c.z_dim}};
}

T5EncoderConfig read_t5_config(const Path& file, const std::string& architecture) {
  JsonReader r = JsonReader::file(file);
  T5EncoderConfig c;
  c.bias_in_every_layer = architecture == "UMT5EncoderModel";
  c.vocab_size = size(r, "vocab_size", c.bias_in_every_layer ? 250112 : 32128, 1 << 24);
  c.d_model = size(r, "d_model", c.d_model);
  c.d_kv = size(r, "d_kv", c.d_kv, 256);
  c.d_ff = size(r, "d_ff", c.bias_in_every_layer ? 1024 : 2048);
  c.num_layers = size(r, "num_layers", c.bias_in_every_layer ? 8 : 6, 1024);
  c.num_heads = size(r, "num_heads", c.bias_in_every_layer ? 6 : 8, 1024);
  c.relative_attention_num_buckets = size(r, "relative_attention_num_buckets", 32, 65536);
  c.relative_attention_max_distance = size(r, "relative_attention_max_distance", 128);
  check(
      c.relative_attention_num_buckets >= 4 && c.relative_attention_max_distance > c.relative_attention_num_buckets / 4,
      "{}: {} buckets do not fit a largest distance of {}", r.where("relative_attention_num_buckets"),
      c.relative_attention_num_buckets, c.relative_attention_max_distance);
  c.layer_norm_epsilon = epsilon(r, "layer_norm_epsilon", c.layer_norm_epsilon);
  std::string projection = r.optional("feed_forward_proj", c.bias_in_every_layer ? "gated-gelu" : "relu");
  c.gated = projection.starts_with("gated-");
  if (c.gated) projection.erase(0, 6);
  const std::map<std::string, Activation> known{
      {"relu", Activation::relu},
      {"gelu", c.gated ? Activation::gelu_tanh : Activation::gelu},  // transformers' "gated-gelu" is gelu_new
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"silu", Activation::silu},
      {"swish", Activation::silu}};
  c.activation = activation(r, "feed_forward_proj", projection, known);
  // The same said twice; transformers believes these names.
  r.expect("is_gated_act", {c.gated});
  r.expect("dense_act_fn", {c.gated && projection == "gelu" ? "gelu_new" : projection});
  r.expect("hidden_size", {c.d_model});
  r.expect("head_dim", {c.d_kv});
  r.expect("num_attention_heads", {c.num_heads});
  r.expect("num_hidden_layers", {c.num_layers});
  finish_transformers(r);
  return c;
}

Json t5_json(const T5EncoderConfig& c) {
  const std::string act = c.activation == Activation::relu   ? "relu"
                          : c.activation == Activation::silu ? "silu"
                          : c.activation == Activation::gelu ? "gelu"
                          : c.gated                          ? "gelu"
                                                             : "gelu_new";
  return {{"architectures", {c.bias_in_every_layer ? "UMT5EncoderModel" : "T5EncoderModel"}},
          {"model_type", c.bias_in_every_layer ? "umt5" : "t5"},
          {"d_ff", c.d_ff},
          {"d_kv", c.d_kv},
          {"d_model", c.d_model},
          {"dropout_rate", 0.0},
          {"eos_token_id", 1},
          {"feed_forward_proj", (c.gated ? "gated-" : "") + act},
          {"is_encoder_decoder", true},
          {"layer_norm_epsilon", c.layer_norm_epsilon},
          {"num_heads", c.num_heads},
          {"num_layers", c.num_layers},
          {"pad_token_id", 0},
          {"relative_attention_max_distance", c.relative_attention_max_distance},
          {"relative_attention_num_buckets", c.relative_attention_num_buckets},
          {"tie_word_embeddings", true},
          {"vocab_size", c.vocab_size}};
}

ClipTextConfig read_clip_text_config(const Path& file) {
  JsonReader r = JsonReader::file(file);
  ClipTextConfig c;
  c.vocab_size = size(r, "vocab_size", c.vocab_size, 1 << 24);
  c.hidden_size = size(r, "hidden_size", c.hidden_size);
  c.intermediate_size = size(r, "intermediate_size", c.intermediate_size);
  c.num_hidden_layers = size(r, "num_hidden_layers", c.num_hidden_layers, 1024);
  c.num_attention_heads = size(r, "num_attention_heads", c.num_attention_heads, 1024);
  check(c.hidden_size % c.num_attention_heads == 0, "{}: {} channels do not split into {} heads",
        r.where("num_attention_heads"), c.hidden_size, c.num_attention_heads);
  c.max_position_embeddings = size(r, "max_position_embeddings", c.max_position_embeddings, 65536);
  c.layer_norm_eps = epsilon(r, "layer_norm_eps", c.layer_norm_eps);
  c.hidden_act = activation(r, "hidden_act", r.optional("hidden_act", "quick_gelu"),
                            {{"quick_gelu", Activation::quick_gelu},
                             {"gelu", Activation::gelu},
                             {"gelu_new", Activation::gelu_tanh},
                             {"gelu_pytorch_tanh", Activation::gelu_tanh}});
  finish_transformers(r);
  return c;
}

}  // namespace baton
