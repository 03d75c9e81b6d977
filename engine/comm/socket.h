#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace baton {

// A TCP socket for short messages, to which nobody is made to wait: neither for room to write nor, for more than a
// moment, for the rest of a message. Closed by its end.
class Socket {
 public:
  explicit Socket(int descriptor = -1) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket() { close(); }

  // Accepts whoever connects to the port, which is chosen here.
  static Socket listen(uint16_t& port);
  static Socket connect(const std::string& host, const std::string& port);
  // The next of those who have connected; not open if there is none.
  Socket accept() const;

  bool open() const { return descriptor_ >= 0; }
  void close();
  // Whether there is something to read, or the other side is gone, within some milliseconds.
  bool readable(int milliseconds) const;
  bool send(const void* message, size_t bytes) const;
  // False when the other side is gone.
  bool receive(void* message, size_t bytes) const;

 private:
  int descriptor_;
};

std::string host_name();

}  // namespace baton
