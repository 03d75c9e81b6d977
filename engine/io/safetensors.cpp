#include "engine/io/safetensors.h"

#include <sys/mman.h>

#include <cstring>
#include <optional>

#include "engine/core/error.h"
#include "engine/io/nearest.h"

namespace baton {
namespace {

std::optional<DType> dtype_named(std::string_view name) {
  if (name == "F32") return DType::f32;
  if (name == "BF16") return DType::bf16;
  if (name == "F16") return DType::f16;
  if (name == "F64") return DType::f64;
  if (name == "I64") return DType::i64;
  if (name == "I32") return DType::i32;
  if (name == "U8") return DType::u8;
  return std::nullopt;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const Path& path) : path_(path), file_(std::make_shared<MappedFile>(path)) {
  header_ = parse_safetensors_header({file_->data(), file_->bytes()}, path.string());
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : header_.tensors) names.push_back(name);
  return names;
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  const auto found = header_.tensors.find(name);
  if (found == header_.tensors.end())
    fail("{}: has no tensor '{}'{}", path_.string(), name, did_you_mean(name, names()));
  const auto& entry = found->second;
  const std::optional<DType> dtype = dtype_named(entry.dtype);
  check(dtype.has_value(), "{}: '{}' is of dtype {}, which is not supported; convert it to BF16 or F32", path_.string(),
        name, entry.dtype);
  check(entry.shape.size() <= kernels::max_rank, "{}: '{}' has {} dimensions, at most {} are supported", path_.string(),
        name, entry.shape.size(), kernels::max_rank);
  const char* data = file_->data() + header_.data + entry.begin;
  if (reinterpret_cast<uintptr_t>(data) % size_of(*dtype) == 0) return Tensor::borrow(data, entry.shape, *dtype, file_);
  Tensor copy = Tensor::empty(entry.shape, *dtype);  // a writer that did not pad its header
  if (copy.bytes() > 0) std::memcpy(copy.raw(), data, copy.bytes());
  return copy;
}

void SafetensorsFile::read_rows(std::string_view name, int64_t first, const Tensor& rows) const {
  const auto& entry = header_.tensors.find(name)->second;
  const int64_t row = rows.bytes() / rows.dim(0), begin = entry.begin + first * row;
  check(first >= 0 && begin + rows.bytes() <= entry.end, "{}: rows {} to {} of '{}' {}", path_.string(), first,
        first + rows.dim(0), name, entry.shape);
  file_->read(header_.data + begin, rows.raw(), rows.bytes());
}

void SafetensorsFile::release_pages() const {
  ::madvise(const_cast<char*>(file_->data()), file_->bytes(), MADV_DONTNEED);
}

}  // namespace baton
