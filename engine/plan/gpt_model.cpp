#include "engine/plan/gpt_model.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "engine/core/error.h"

namespace baton {
namespace {

struct Field {
  std::string_view key;
  int64_t most;
  std::optional<int64_t> value;
};

int64_t number(const Field& field, std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= field.most,
        "gpt: {}={}, expected a whole number from 1 to {}", field.key, text, field.most);
  return value;
}

// FLOP of one layer's forward pass over one token are 24 h^2 (1 + s / 6h), of the head 2 h V.
double forward_flops(const GptModel& m, double batch, double passes_through_layers, double attention_share) {
  const auto h = static_cast<double>(m.hidden), s = static_cast<double>(m.sequence);
  const double layer = 24 * h * h * (passes_through_layers + attention_share * s / (6 * h));
  return batch * s * (static_cast<double>(m.layers) * layer + 3 * 2 * h * static_cast<double>(m.vocabulary));
}

}  // namespace

double GptModel::block_parameters() const { return 12.0 * static_cast<double>(hidden) * static_cast<double>(hidden); }

double GptModel::parameters() const {
  const auto h = static_cast<double>(hidden), l = static_cast<double>(layers);
  return 12 * l * h * h * (1 + 13 / (12 * h) + static_cast<double>(vocabulary + sequence) / (12 * l * h));
}

double GptModel::model_flops(double batch) const { return forward_flops(*this, batch, 3, 3); }
double GptModel::hardware_flops_selective(double batch) const { return forward_flops(*this, batch, 3, 6); }
double GptModel::hardware_flops_full(double batch) const { return forward_flops(*this, batch, 4, 4); }

GptModel parse_gpt(std::string_view text) {
  Field fields[] = {{"layers", 1 << 16, {}},
                    {"hidden", 1 << 24, {}},
                    {"heads", 1 << 16, {}},
                    {"seq", 1 << 26, {}},
                    {"vocab", 1 << 26, {}}};
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string_view part = text.substr(at, end - at);
    at = end + 1;
    const size_t equals = std::min(part.find('='), part.size());
    auto* field = std::ranges::find(fields, part.substr(0, equals), &Field::key);
    check(field != std::end(fields) && equals < part.size(),
          "gpt: '{}', expected layers=N,hidden=N,heads=N,seq=N,vocab=N", part);
    check(!field->value, "gpt: {} is given twice", field->key);
    field->value = number(*field, part.substr(equals + 1));
  }
  for (const Field& field : fields)
    check(field.value.has_value(), "gpt: {} is missing; expected layers=N,hidden=N,heads=N,seq=N,vocab=N", field.key);
  const GptModel model{*fields[0].value, *fields[1].value, *fields[2].value, *fields[3].value, *fields[4].value};
  check(model.hidden % model.heads == 0, "gpt: hidden={} cannot be divided into heads={}", model.hidden, model.heads);
  return model;
}

}  // namespace baton
