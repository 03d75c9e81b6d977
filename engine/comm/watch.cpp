#include "engine/comm/watch.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/log.h"

namespace baton {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double period = 0.1;  // seconds between signs of life
constexpr int exit_lost = 1;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What goes over a socket, both ways; all hosts of a run have the same byte order.
struct Message {
  enum Kind : int64_t { hello, alive, bye, lost } kind = alive;
  int64_t rank = 0;
  uint64_t word = 0;  // hello: that only the processes of this run know
  SignsOfLife signs;
};

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket() { close(); }

  int descriptor() const { return descriptor_; }
  bool open() const { return descriptor_ >= 0; }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }
  bool send(const Message& message) const {
    return ::send(descriptor_, &message, sizeof message, MSG_NOSIGNAL) == sizeof message;
  }
  // False when the other side is gone.
  bool receive(Message& message) const {
    return ::recv(descriptor_, &message, sizeof message, MSG_WAITALL) == sizeof message;
  }

 private:
  int descriptor_;
};

[[noreturn]] void no_socket(const char* what) {
  fail_run("mpi: {} for watching the other ranks: {}", what, std::strerror(errno));
}

Socket listen_anywhere(uint16_t& port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!socket.open() || bind(socket.descriptor(), generic, size) != 0 || listen(socket.descriptor(), 1024) != 0 ||
      getsockname(socket.descriptor(), generic, &size) != 0)
    no_socket("no socket");
  port = ntohs(address.sin_port);
  return socket;
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

// Ranks on the first one's host reach it there whatever its name resolves to.
Socket connect_to(const std::string& host, const std::string& port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  const std::string target = host == host_name() ? "127.0.0.1" : host;
  if (getaddrinfo(target.c_str(), port.c_str(), &hints, &found) != 0) no_socket("no address");
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const bool connected = socket.open() && connect(socket.descriptor(), found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (!connected) no_socket("no connection");
  return socket;
}

// Whether there is something to read, or the other side is gone, within some milliseconds.
bool readable(const Socket& socket, int milliseconds) {
  pollfd waiting{socket.descriptor(), POLLIN, 0};
  return poll(&waiting, 1, milliseconds) > 0;
}

}  // namespace

// One end of the watch, with a thread of its own.
class Watch::Side {
 public:
  Side(int rank, double patience) : rank_(rank), patience_(patience) {}
  virtual ~Side() = default;
  Life life;

  void start() {
    thread_ = std::thread([this] { run(); });
  }
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    say_goodbye();
  }

 protected:
  virtual void run() = 0;
  virtual void say_goodbye() = 0;
  SignsOfLife signs() const { return {life.beats, life.waits, life.step, life.waiting, false}; }
  bool stopping() const { return stopping_; }

  int rank_;
  double patience_;

 private:
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

// The first rank: hears all others.
class Watch::First : public Side {
 public:
  First(Group& world, double patience) : Side(0, patience), now_(world.size()), heard_(world.size(), Clock::now()) {
    uint16_t port = 0;
    const Socket door = listen_anywhere(port);
    const uint64_t word = std::random_device()() | uint64_t{std::random_device()()} << 32;
    from_first(fmt::format("{} {} {}", host_name(), port, word), world);
    for (int r = 0; r < world.size(); ++r) sockets_.emplace_back(-1);
    for (int missing = world.size() - 1; missing > 0;) {
      if (!readable(door, 20'000)) fail_run("mpi: {} ranks have not come to be watched", missing);
      Socket guest(accept4(door.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
      Message hello;
      if (!guest.open() || !readable(guest, 5'000) || !guest.receive(hello)) continue;
      const bool known = hello.kind == Message::hello && hello.word == word && hello.rank > 0 &&
                         hello.rank < world.size() && !sockets_[hello.rank].open();
      if (!known) continue;
      sockets_[hello.rank] = std::move(guest);
      --missing;
    }
  }

 private:
  void run() override {
    now_[0] = signs();
    std::vector<SignsOfLife> before = now_;
    for (auto looked = Clock::now(); !stopping();) {
      for (size_t r = 1; r < sockets_.size(); ++r) hear(static_cast<int>(r));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (seconds_since(looked) < patience_) continue;
      now_[0] = signs();
      if (const std::string found = find_trouble(before, now_); !found.empty()) end_all(found);
      for (size_t r = 1; r < sockets_.size(); ++r)
        if (!now_[r].ended && seconds_since(heard_[r]) > patience_)
          end_all(describe_rank(static_cast<int>(r), now_[r].step) + " does not answer");
      before = now_;
      looked = Clock::now();
    }
  }

  void hear(int rank) {
    while (sockets_[rank].open() && readable(sockets_[rank], 0)) {
      Message message;
      if (!sockets_[rank].receive(message)) {
        sockets_[rank].close();
        if (!now_[rank].ended) end_all(describe_rank(rank, now_[rank].step) + " was lost");
        return;
      }
      heard_[rank] = Clock::now();
      now_[rank] = message.signs;
      now_[rank].ended = message.kind == Message::bye;
    }
  }

  [[noreturn]] void end_all(const std::string& reason) {
    spdlog::error("{}; all ranks stop", reason);
    for (const Socket& socket : sockets_)
      if (socket.open()) socket.send({.kind = Message::lost});
    std::_Exit(exit_lost);
  }

  void say_goodbye() override {
    for (const Socket& socket : sockets_)
      if (socket.open()) socket.send({.kind = Message::bye});
  }

  std::vector<Socket> sockets_;  // of each rank
  std::vector<SignsOfLife> now_;
  std::vector<Clock::time_point> heard_;
};

class Watch::Other : public Side {
 public:
  Other(Group& world, double patience) : Side(world.rank(), patience), first_(-1) {
    const std::string where = from_first("", world);
    const size_t host_end = where.find(' '), port_end = where.rfind(' ');
    first_ = connect_to(where.substr(0, host_end), where.substr(host_end + 1, port_end - host_end - 1));
    if (!first_.send({.kind = Message::hello, .rank = rank_, .word = std::stoull(where.substr(port_end + 1))}))
      no_socket("no connection");
  }

 private:
  void run() override {
    while (!stopping()) {
      first_.send({.kind = Message::alive, .rank = rank_, .word = 0, .signs = signs()});
      if (!readable(first_, static_cast<int>(1000 * period))) continue;
      Message message;
      if (!first_.receive(message)) first_is_lost();
      if (message.kind == Message::lost) std::_Exit(exit_lost);
      if (message.kind == Message::bye) return;
    }
  }

  // The others notice as well; one speaks.
  [[noreturn]] void first_is_lost() const {
    if (rank_ == 1) spdlog::error("{} was lost; all ranks stop", describe_rank(0, life.step));
    std::_Exit(exit_lost);
  }

  void say_goodbye() override { first_.send({.kind = Message::bye, .rank = rank_, .word = 0, .signs = signs()}); }

  Socket first_;
};

Watch::Watch(Group& world, double patience) {
  if (world.rank() == 0)
    side_ = std::make_unique<First>(world, patience);
  else
    side_ = std::make_unique<Other>(world, patience);
  side_->start();
}

Watch::~Watch() { side_->stop(); }

Watch::Life& Watch::life() { return side_->life; }

}  // namespace baton
