#include "engine/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>

#include "engine/core/print.h"

namespace baton {

// One of a list that a signal handler can walk at any moment: entries are never freed, but used again.
struct MappedFile::Watched {
  std::atomic<const char*> begin = nullptr;  // null: free
  size_t bytes = 0;
  std::string message;
  Watched* next = nullptr;

  static inline std::atomic<Watched*> first = nullptr;
  static inline std::mutex mutex;  // of those who change entries

  static Watched* add(const char* begin, size_t bytes, const Path& path);
  static void on_bus_error(int signal, siginfo_t* info, void*);
};

// Only what a signal handler may call. A fault elsewhere comes again, now with the system's own consequence.
void MappedFile::Watched::on_bus_error(int signal, siginfo_t* info, void*) {
  const auto* address = static_cast<const char*>(info->si_addr);
  for (const Watched* entry = first; entry; entry = entry->next) {
    const char* begin = entry->begin;
    if (!begin || address < begin || address >= begin + entry->bytes) continue;
    (void)!::write(STDERR_FILENO, entry->message.data(), entry->message.size());
    ::_exit(1);
  }
  std::signal(signal, SIG_DFL);
}

MappedFile::Watched* MappedFile::Watched::add(const char* begin, size_t bytes, const Path& path) {
  const std::lock_guard lock(mutex);
  if (!first) {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGBUS, &action, nullptr);
  }
  Watched* entry = first;
  while (entry && entry->begin) entry = entry->next;
  if (!entry) {
    entry = new Watched;
    entry->next = first;
    first = entry;
  }
  entry->bytes = bytes;
  entry->message = fmt::format("\nerror: {}: became shorter while it was in use\n", printable_line(path.string()));
  entry->begin = begin;
  return entry;
}

MappedFile::MappedFile(const Path& path) : path_(path) {
  descriptor_.value = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_.value < 0) partial::fail_open(path, "reading", errno);
  struct stat info;
  if (::fstat(descriptor_.value, &info) != 0) partial::fail_system(path, "reading", errno);
  check(S_ISREG(info.st_mode), "{}: not a regular file", path.string());
  check(info.st_size > 0, "{}: the file is empty", path.string());
  bytes_ = info.st_size;
  void* address = ::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, descriptor_.value, 0);
  if (address == MAP_FAILED) partial::fail_system(path, "mapping", errno);
  // Each weight is read once, front to back: a hint, so failure is harmless.
  ::madvise(address, bytes_, MADV_SEQUENTIAL);
  data_ = static_cast<const char*>(address);
  watched_ = Watched::add(data_, bytes_, path);
}

MappedFile::~MappedFile() {
  if (!data_) return;
  watched_->begin = nullptr;
  ::munmap(const_cast<char*>(data_), bytes_);
}

void MappedFile::read(size_t offset, void* to, size_t bytes) const {
  auto* out = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = ::pread(descriptor_.value, out, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) partial::fail_system(path_, "reading", errno);
    if (n == 0) throw LostData(fmt::format("{}: became shorter while it was in use", path_.string()));
    out += n, offset += n, bytes -= n;
  }
}

}  // namespace baton
