#include "engine/data/sentencepiece_model.h"

#include <bit>
#include <cstdint>
#include <cstring>

#include "engine/core/error.h"

namespace baton {
namespace {

// Walks over the fields of one protocol buffer message.
class Message {
 public:
  Message(std::string_view bytes, std::string_view where) : rest_(bytes), where_(where) {}

  // Moves to the next field; false at the end.
  bool next() {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    field_ = key >> 3;
    number_ = 0;
    text_ = {};
    switch (key & 7) {
      case 0:
        number_ = varint();
        break;
      case 1:
        text_ = take(8);
        break;
      case 2:
        text_ = take(varint());
        break;
      case 5:
        text_ = take(4);
        break;
      default:
        fail("{}: not a SentencePiece model (damaged protocol buffer)", where_);
    }
    return true;
  }
  uint64_t field() const { return field_; }
  uint64_t number() const { return number_; }
  std::string_view text() const { return text_; }
  float real() const {
    uint32_t bits = 0;
    check(text_.size() == sizeof bits, "{}: not a SentencePiece model (a number of {} bytes)", where_, text_.size());
    std::memcpy(&bits, text_.data(), sizeof bits);
    return std::bit_cast<float>(bits);
  }

 private:
  std::string_view take(uint64_t size) {
    check(size <= rest_.size(), "{}: truncated", where_);
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    fail("{}: not a SentencePiece model (a number of more than 64 bits)", where_);
  }

  std::string_view rest_;
  const std::string_view where_;
  uint64_t field_ = 0, number_ = 0;
  std::string_view text_;
};

// SentencePiece { 1: piece, 2: score, 3: type }
void add_piece(UnigramModel& model, std::string_view bytes, std::string_view where) {
  constexpr uint64_t control = 3, user_defined = 4;
  std::pair<std::string, double> piece;
  for (Message m(bytes, where); m.next();) {
    if (m.field() == 1) piece.first = m.text();
    if (m.field() == 2) piece.second = m.real();
    if (m.field() == 3 && (m.number() == control || m.number() == user_defined))
      model.set_apart.push_back(static_cast<int32_t>(model.pieces.size()));
  }
  model.pieces.push_back(std::move(piece));
}

}  // namespace

UnigramModel parse_sentencepiece(std::string_view bytes, std::string_view where) {
  constexpr uint64_t unigram = 1;
  UnigramModel model;
  for (Message m(bytes, where); m.next();) {
    if (m.field() == 1) add_piece(model, m.text(), where);
    if (m.field() == 2)  // TrainerSpec { 3: model_type }
      for (Message trainer(m.text(), where); trainer.next();)
        check(trainer.field() != 3 || trainer.number() == unigram, "{}: not a unigram model (type {})", where,
              trainer.number());
    if (m.field() == 3)  // NormalizerSpec { 2: precompiled_charsmap }
      for (Message normalizer(m.text(), where); normalizer.next();)
        if (normalizer.field() == 2) model.character_map = normalizer.text();
  }
  return model;
}

}  // namespace baton
