#include "engine/comm/watch.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <ranges>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "engine/comm/signs_of_life.h"
#include "engine/comm/socket.h"
#include "engine/core/log.h"

namespace baton {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr Seconds period(0.1);  // between signs of life
constexpr int exit_lost = 1;

Clock::duration in_ticks(Seconds time) { return std::chrono::duration_cast<Clock::duration>(time); }

// Launchers start ranks one after another.
Seconds time_to_start(int ranks) { return Seconds(0.02) * ranks; }

// What goes over a socket, both ways; all hosts of a run have the same byte order.
struct Message {
  enum Kind : int64_t { hello, alive, bye, end } kind = alive;
  int64_t rank = 0;
  uint64_t word = 0;  // hello: that only the processes of this run know
  int64_t code = 0;   // end: with which all exit
  SignsOfLife signs;
};

bool send(const Socket& socket, const Message& message) { return socket.send(&message, sizeof message); }
bool receive(const Socket& socket, Message& message) { return socket.receive(&message, sizeof message); }

// Pages that were read from a disk: who waits for a slow one is alive.
int64_t pages_read() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_majflt;
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
  // For the main thread; the last word goes to whoever listens.
  void stop(const Message& last) {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    tell(last);
  }

 protected:
  [[noreturn]] void end_all(int code) {
    tell({.kind = Message::end, .code = code});
    std::_Exit(code);
  }
  virtual void run() = 0;
  virtual void tell(Message message) = 0;  // whoever listens

  SignsOfLife signs() const {
    return {.beats = life.beats + pages_read(),
            .waits = life.waits,
            .cpu_ms = cpu_ms_of_others(),
            .step = life.step,
            .waiting = life.waiting};
  }
  bool stopping() const { return stopping_; }

  const int rank_;
  const double patience_;

 private:
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

// The first rank: hears all others.
class Watch::First : public Side {
 public:
  First(Rendezvous& meeting, double patience) : Side(0, patience), sockets_(meeting.size()), now_(meeting.size()) {
    uint16_t port = 0;
    door_ = Socket::listen(port);
    word_ = std::random_device()() | uint64_t{std::random_device()()} << 32;
    meeting.publish(fmt::format("{} {} {}", host_name(), port, word_));
  }

 private:
  void run() override {
    Looks looks;
    auto next_sign = Clock::now(), next_look = next_sign + in_ticks(time_to_start(static_cast<int>(now_.size())));
    for (; !stopping(); std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
      admit();
      for (size_t r = 1; r < sockets_.size(); ++r) hear(static_cast<int>(r));
      const auto now = Clock::now();
      if (now >= next_sign) {
        next_sign = now + in_ticks(period);
        tell({.kind = Message::alive});
      }
      if (now < next_look) continue;
      next_look = now + in_ticks(Seconds(patience_ / Looks::in_patience));
      const int64_t heard = now_[0].heard + 1;
      now_[0] = signs();
      now_[0].heard = heard;
      if (const std::string found = looks.look(now_); !found.empty()) lose(found);
    }
  }

  // Lets in who has connected and knows the word, until all are there.
  void admit() {
    if (!door_.open()) return;
    for (Socket guest = door_.accept(); guest.open(); guest = door_.accept()) guests_.push_back(std::move(guest));
    std::erase_if(guests_, [this](Socket& guest) {
      if (!guest.readable(0)) return false;
      Message hello;
      const bool known = receive(guest, hello) && hello.kind == Message::hello && hello.word == word_ &&
                         hello.rank > 0 && hello.rank < std::ssize(sockets_) && now_[hello.rank].heard == 0;
      if (!known) return true;
      sockets_[hello.rank] = std::move(guest);
      now_[hello.rank].heard = 1;
      return true;
    });
    if (std::ranges::all_of(now_ | std::views::drop(1), [](const SignsOfLife& rank) { return rank.heard > 0; }))
      door_.close(), guests_.clear();
  }

  void hear(int rank) {
    while (sockets_[rank].open() && sockets_[rank].readable(0)) {
      Message message;
      if (!receive(sockets_[rank], message)) {
        sockets_[rank].close();
        if (!now_[rank].ended) lose(describe_rank(rank, now_[rank].step) + " was lost");
        return;
      }
      if (message.kind == Message::end) end_all(static_cast<int>(message.code));
      const int64_t heard = now_[rank].heard + 1;
      now_[rank] = message.signs;
      now_[rank].heard = heard;
      now_[rank].ended = message.kind == Message::bye;
    }
  }

  [[noreturn]] void lose(const std::string& reason) {
    spdlog::error("{}; all ranks stop", reason);
    end_all(exit_lost);
  }

  void tell(Message message) override {
    for (const Socket& socket : sockets_)
      if (socket.open()) send(socket, message);
  }

  Socket door_;
  uint64_t word_ = 0;
  std::vector<Socket> guests_;   // who have not said who they are
  std::vector<Socket> sockets_;  // of each rank
  std::vector<SignsOfLife> now_;
};

class Watch::Other : public Side {
 public:
  Other(Rendezvous& meeting, double patience) : Side(meeting.rank(), patience) {
    const Seconds time = Seconds(patience) + time_to_start(meeting.size());
    const auto where = meeting.from_first(static_cast<int>(time.count()));
    if (!where) first_is_lost("has not started");
    std::string host, port;
    uint64_t word = 0;
    std::istringstream(*where) >> host >> port >> word;
    first_ = Socket::connect(host, port);
    send(first_, {.kind = Message::hello, .rank = rank_, .word = word});
  }

 private:
  void run() override {
    // Counted, so that a process that was stopped itself does not blame the first rank.
    const int patient = static_cast<int>(patience_ / period.count());
    for (int silent = 0; !stopping(); ++silent) {
      tell({.kind = Message::alive});
      if (silent > patient) first_is_lost("does not answer");
      if (!first_.readable(static_cast<int>(period.count() * 1000))) continue;
      Message message;
      if (!receive(first_, message)) first_is_lost("was lost");
      if (message.kind == Message::end) std::_Exit(static_cast<int>(message.code));
      if (message.kind == Message::bye) return;
      silent = 0;
    }
  }

  // The others notice as well; one speaks, or all if it is lost too. The first, if it was stopped and is woken to be
  // ended, finds the reason in its socket.
  [[noreturn]] void first_is_lost(const char* how) {
    if (rank_ > 1) std::this_thread::sleep_for(std::chrono::seconds(1));
    spdlog::error("{} {}; all ranks stop", describe_rank(0, life.step), how);
    end_all(exit_lost);
  }

  void tell(Message message) override {
    message.rank = rank_;
    message.signs = signs();
    send(first_, message);
  }

  Socket first_;
};

Watch::Watch(Rendezvous& meeting, double patience) {
  if (meeting.rank() == 0)
    side_ = std::make_unique<First>(meeting, patience);
  else
    side_ = std::make_unique<Other>(meeting, patience);
  side_->start();
}

Watch::~Watch() { side_->stop({.kind = Message::bye}); }

void Watch::end_all(int code) {
  side_->stop({.kind = Message::end, .code = code});
  std::_Exit(code);
}

Watch::Life& Watch::life() { return side_->life; }

}  // namespace baton
