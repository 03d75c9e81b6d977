#include "engine/comm/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/core/error.h"

namespace baton {
namespace {

[[noreturn]] void no_socket(const char* what) {
  fail_run("mpi: {} for watching the other ranks: {}", what, std::strerror(errno));
}

Socket limited(int descriptor) {
  const timeval moment{.tv_sec = 2, .tv_usec = 0};
  for (const int way : {SO_RCVTIMEO, SO_SNDTIMEO})
    if (descriptor >= 0) setsockopt(descriptor, SOL_SOCKET, way, &moment, sizeof moment);
  return Socket(descriptor);
}

}  // namespace

Socket Socket::listen(uint16_t& port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!socket.open() || bind(socket.descriptor_, generic, size) != 0 || ::listen(socket.descriptor_, 1024) != 0 ||
      getsockname(socket.descriptor_, generic, &size) != 0)
    no_socket("no socket");
  port = ntohs(address.sin_port);
  return socket;
}

// Ranks on the first one's host reach it there whatever its name resolves to.
Socket Socket::connect(const std::string& host, const std::string& port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  const std::string target = host == host_name() ? "127.0.0.1" : host;
  if (const int code = getaddrinfo(target.c_str(), port.c_str(), &hints, &found); code != 0)
    fail_run("mpi: no address of host {} for watching the other ranks: {}", host, gai_strerror(code));
  Socket socket = limited(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const bool connected = socket.open() && ::connect(socket.descriptor_, found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (!connected) no_socket("no connection");
  return socket;
}

Socket Socket::accept() const { return limited(accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC)); }

void Socket::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

bool Socket::readable(int milliseconds) const {
  pollfd waiting{descriptor_, POLLIN, 0};
  return poll(&waiting, 1, milliseconds) > 0;
}

bool Socket::send(const void* message, size_t bytes) const {
  return ::send(descriptor_, message, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(bytes);
}

bool Socket::receive(void* message, size_t bytes) const {
  return ::recv(descriptor_, message, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace baton
