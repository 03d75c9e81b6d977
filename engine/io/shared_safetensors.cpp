#include "engine/io/shared_safetensors.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/core/error.h"
#include "engine/io/partial.h"

namespace baton {

SharedSafetensors::SharedSafetensors(const Path& path, std::vector<TensorEntry> entries, bool create)
    : path_(path),
      layout_(std::move(entries), {{"format", "pt"}}),
      output_(path, ::open(path.c_str(), O_WRONLY | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0666)) {
  if (!output_.is_open()) partial::fail_open(path_, "opening", errno);
  if (!create) return;
  output_.write(layout_.header().data(), static_cast<int64_t>(layout_.header().size()), 0);
  if (::ftruncate(output_.descriptor(), layout_.bytes()) != 0) partial::fail_system(path_, "reserving space", errno);
}

void SharedSafetensors::write(std::string_view name, const Tensor& part, int dim, int64_t start) {
  const TensorEntry& entry = layout_.entry(name);
  check(part.is_contiguous() && part.dtype() == entry.dtype && part.rank() == static_cast<int>(entry.shape.size()),
        "{}: {} {} is no part of {}", path_.string(), baton::name(part.dtype()), part.shape(), entry.shape);
  const int64_t size = size_of(entry.dtype);
  if (dim == 0) {
    const int64_t row = part.rank() == 0 ? 0 : numel(entry.shape) / std::max<int64_t>(1, entry.shape[0]);
    return output_.write(part.raw(), part.bytes(), entry.offset + start * row * size);
  }
  check(dim == 1 && part.rank() == 2, "{}: a part along dimension {} of {}", path_.string(), dim, entry.shape);
  const int64_t columns = part.dim(1);
  for (int64_t i = 0; i < part.dim(0); ++i)
    output_.write(static_cast<const char*>(part.raw()) + i * columns * size, columns * size,
                  entry.offset + (i * entry.shape[1] + start) * size);
}

}  // namespace baton
