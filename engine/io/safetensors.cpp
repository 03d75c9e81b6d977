#include "engine/io/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "engine/core/error.h"
#include "engine/io/nearest.h"
#include "engine/io/partial.h"

namespace baton {
namespace {

std::shared_ptr<const void> map_file(const Path& path, size_t& bytes) {
  const partial::Descriptor d{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (d.value < 0) partial::fail_open(path, "reading", errno);
  struct stat info;
  if (::fstat(d.value, &info) != 0) partial::fail_system(path, "reading", errno);
  check(S_ISREG(info.st_mode), "{}: not a regular file", path.string());
  check(info.st_size > 0, "{}: the file is empty", path.string());
  bytes = info.st_size;
  void* address = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, d.value, 0);
  if (address == MAP_FAILED) partial::fail_system(path, "mapping", errno);
  ::madvise(address, bytes,
            MADV_SEQUENTIAL);  // each weight is read once, front to back: a hint, so failure is harmless
  return {address, [bytes](const void* mapped) { ::munmap(const_cast<void*>(mapped), bytes); }};
}

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

SafetensorsFile::SafetensorsFile(const Path& path) : path_(path), mapping_(map_file(path, bytes_)) {
  header_ = parse_safetensors_header({static_cast<const char*>(mapping_.get()), bytes_}, path.string());
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
  const char* data = static_cast<const char*>(mapping_.get()) + header_.data + entry.begin;
  if (reinterpret_cast<uintptr_t>(data) % size_of(*dtype) == 0)
    return Tensor::borrow(data, entry.shape, *dtype, mapping_);
  Tensor copy = Tensor::empty(entry.shape, *dtype);  // a writer that did not pad its header
  if (copy.bytes() > 0) std::memcpy(copy.raw(), data, copy.bytes());
  return copy;
}

void SafetensorsFile::release_pages() const { ::madvise(const_cast<void*>(mapping_.get()), bytes_, MADV_DONTNEED); }

}  // namespace baton
