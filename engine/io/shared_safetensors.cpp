#include "engine/io/shared_safetensors.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "engine/core/error.h"
#include "engine/io/partial.h"

namespace baton {

SharedSafetensors::SharedSafetensors(const Path& path, std::vector<TensorEntry> entries, bool create)
    : path_(path),
      layout_(std::move(entries), {{"format", "pt"}}),
      descriptor_(::open(path.c_str(), O_WRONLY | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0666)) {
  if (descriptor_ < 0) partial::fail_open(path_, "opening", errno);
  if (!create) return;
  write_at(layout_.header().data(), static_cast<int64_t>(layout_.header().size()), 0);
  if (::ftruncate(descriptor_, layout_.bytes()) != 0) partial::fail_system(path_, "reserving space", errno);
}

SharedSafetensors::~SharedSafetensors() { ::close(descriptor_); }

void SharedSafetensors::write_at(const void* data, int64_t bytes, int64_t offset) {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::pwrite(descriptor_, from, bytes, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) partial::fail_system(path_, "writing", errno);
    from += written, offset += written, bytes -= written;
  }
}

void SharedSafetensors::write(std::string_view name, const Tensor& part, int dim, int64_t start) {
  const TensorEntry& entry = layout_.entry(name);
  check(part.is_contiguous() && part.dtype() == entry.dtype && part.rank() == static_cast<int>(entry.shape.size()),
        "{}: {} {} is no part of {}", path_.string(), baton::name(part.dtype()), part.shape(), entry.shape);
  const int64_t size = size_of(entry.dtype);
  if (dim == 0) {
    const int64_t row = part.rank() == 0 ? 0 : numel(entry.shape) / std::max<int64_t>(1, entry.shape[0]);
    return write_at(part.raw(), part.bytes(), entry.offset + start * row * size);
  }
  check(dim == 1 && part.rank() == 2, "{}: a part along dimension {} of {}", path_.string(), dim, entry.shape);
  const int64_t columns = part.dim(1);
  for (int64_t i = 0; i < part.dim(0); ++i)
    write_at(static_cast<const char*>(part.raw()) + i * columns * size, columns * size,
             entry.offset + (i * entry.shape[1] + start) * size);
}

void SharedSafetensors::flush() {
  if (::fsync(descriptor_) != 0) partial::fail_system(path_, "flushing", errno);
}

}  // namespace baton
